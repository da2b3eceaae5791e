//! Endpoints come and go under load, and no request fails.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::{GET, ip, proxy};
use crate::control::address;
use crate::support::{Dns, Origin, RawClient, wait_until};

const KEEP: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

#[test]
fn a_name_that_changes_all_the_time_costs_no_request() {
    let origins = Origin::siblings(4);
    let port = origins[0].address().port();
    let dns = Dns::start();
    let pairs = [[0, 1], [1, 2], [2, 3], [3, 0]];
    let point = |pair: [usize; 2]| {
        dns.addresses("app.internal", 0, &pair.map(|index| ip(&origins[index])));
    };
    point(pairs[0]);
    let resolver = dns.address();
    let proxy = proxy(&format!(
        "discover = {{ dns = \"app.internal:{port}\", resolver = \"{resolver}\" }}\nretries = 0"
    ));
    let web = address(&proxy, "web");
    let over = AtomicBool::new(false);
    let [asked, failed] = [0, 0].map(AtomicUsize::new);
    let ask = |text: &str, client: &mut RawClient| {
        let response = client.exchange(text);
        asked.fetch_add(1, Ordering::Relaxed);
        if response.status() != 200 {
            failed.fetch_add(1, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut kept = RawClient::connect(web);
                while !over.load(Ordering::Acquire) {
                    ask(KEEP, &mut kept);
                    ask(GET, &mut RawClient::connect(web));
                }
            });
        }
        let served = |index: usize| origins[index].requests().len();
        for pair in [pairs[1], pairs[2], pairs[3]] {
            let before = served(pair[1]);
            point(pair);
            wait_until("the new endpoint is used", || served(pair[1]) > before);
        }
        over.store(true, Ordering::Release);
    });
    let (asked, failed) = (asked.into_inner(), failed.into_inner());
    assert_eq!(failed, 0, "of {asked}");
    assert!(asked > 100, "{asked}");
}
