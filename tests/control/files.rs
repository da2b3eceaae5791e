//! A process that has as many files open as it may.

use std::net::SocketAddr;
use std::time::Duration;

use crate::control::{address, answering, fetch, sample, status};
use crate::support::{Proxy, RawClient, curl, wait_until};

/// Enough for the proxy itself; a third of them is kept back.
const FILES: u32 = 120;

/// With clients that may be silent for as long as the test takes.
fn patient(body: &str) -> String {
    answering(body).replacen(
        "\n\n",
        "\nheader_timeout = \"5m\"\nidle_timeout = \"5m\"\n\n",
        1,
    )
}

fn clients(web: SocketAddr) -> Vec<RawClient> {
    (0..FILES).map(|_| RawClient::connect(web)).collect()
}

#[test]
fn without_descriptors_a_client_is_turned_away_and_the_operator_is_answered() {
    let mut proxy = Proxy::start_with_files(&patient("hello"), FILES);
    let web = address(&proxy, "web");
    let mut held = clients(web);
    // Each worker has its own queue: what came last is not always what is turned away.
    let refused = "openclaw_refusals_total{reason=\"limit.connections\"}";
    wait_until("a client is turned away", || {
        sample(&proxy, refused).is_some_and(|count| count != "0")
    });
    proxy.wait_for("is the limit of open files high enough?");
    let open = status(&proxy)["connections"].as_u64().unwrap();
    let turned_away = held.len() as u64 - open;
    wait_until("every other client is turned away", || {
        sample(&proxy, refused).is_some_and(|count| count == turned_away.to_string())
    });
    let mut ended = 0;
    for client in &mut held {
        client.patience(Duration::from_millis(5));
        ended += u64::from(client.try_read_to_end().is_ok());
    }
    assert_eq!(ended, turned_away, "to an end, not a reset");

    // All that an operator does meanwhile.
    proxy.cli(&["blocklist", "add", "203.0.113.7"]).ok();
    let ready = format!("http://{}/readyz", proxy.metrics());
    assert_eq!(curl(&[&ready]).ok().text(), "ok\n");
    let more = patient("new") + "[listener.more]\nbind = [\"127.0.0.1:0\"]\n";
    proxy.rewrite(&more);
    proxy.cli(&["reload"]).ok();

    drop(held);
    wait_until("the connections are gone", || {
        status(&proxy)["connections"] == 0
    });
    assert_eq!(fetch(web), "new");
    assert_eq!(fetch(address(&proxy, "more")), "new");
    assert!(proxy.is_running());
}
