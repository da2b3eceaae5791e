//! Every way to balance, seen at the origins' own counters, over two workers.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use super::{Group, get, plain, weighted};
use crate::support::{Origin, Peer, RawClient, free_port};

const ALL: [&str; 7] = [
    "round_robin",
    "least_connections",
    "least_time",
    "random",
    "ip_hash",
    "url_hash",
    "maglev",
];

fn three() -> [Origin; 3] {
    ["one", "two", "three"].map(Origin::serving)
}

fn balance(kind: &str) -> String {
    format!("balance = \"{kind}\"")
}

/// Answers with its name, but to `/wait` only when it is told to.
fn patient(name: &'static str, told: Arc<Mutex<Receiver<()>>>) -> Origin {
    Origin::start(move |peer: &mut Peer| -> io::Result<()> {
        while let Some(request) = peer.request()? {
            if request.start.contains("/wait") {
                // The end of the test tells, too.
                let _told_or_over = told.lock().unwrap().recv();
            }
            let length = name.len();
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}"
            ))?;
        }
        Ok(())
    })
}

#[test]
fn whatever_the_balance_a_dead_endpoint_costs_nobody_anything() {
    for kind in ALL {
        let origins = three();
        let endpoints = [
            plain(&origins[0]),
            format!("\"127.0.0.1:{}\"", free_port()),
            plain(&origins[1]),
            weighted(&origins[2], 0),
        ];
        let group = Group::start(&endpoints, &balance(kind));
        for number in 0..24 {
            group.ask(&format!("/{number}"), &format!("192.0.2.{number}"));
        }
        let counts = origins.each_ref().map(|origin| origin.requests().len());
        assert_eq!(counts.iter().sum::<usize>(), 24, "{kind}");
        assert_eq!(counts[2], 0, "{kind}: weight 0");
        assert!(counts[0] > 0 && counts[1] > 0, "{kind}: {counts:?}");
    }
}

#[test]
fn turns_by_weight_are_right_over_all_workers_together() {
    let origins = three();
    let endpoints = [
        weighted(&origins[0], 1),
        weighted(&origins[1], 2),
        weighted(&origins[2], 3),
    ];
    let group = Group::start(&endpoints, "");
    for _ in 0..60 {
        group.ask("/", "192.0.2.1");
    }
    let counts = origins.each_ref().map(|origin| origin.requests().len());
    for (count, expected) in counts.into_iter().zip([10, 20, 30]) {
        // Each of the two workers may be in the middle of a cycle.
        assert!(count.abs_diff(expected) <= 4, "{counts:?}");
    }
}

#[test]
fn who_is_busy_on_one_worker_is_busy_for_the_others() {
    for kind in ["least_connections", "random", "least_time"] {
        let (go, told) = channel();
        let told = Arc::new(Mutex::new(told));
        let origins = ["one", "two"].map(|name| patient(name, Arc::clone(&told)));
        let group = Group::start(&origins.each_ref().map(plain), &balance(kind));
        let mut waiting = RawClient::connect(group.web);
        waiting.send(get("/wait", "192.0.2.1"));
        crate::support::wait_until("the request is with an origin", || {
            origins.iter().any(|origin| !origin.requests().is_empty())
        });
        let idle = usize::from(origins[1].requests().is_empty());
        let expected = ["one", "two"][idle];
        let answers = (0..4).flat_map(|_| {
            let mut client = RawClient::connect(group.web);
            [(); 5].map(|()| client.exchange(get("/", "192.0.2.1")).text())
        });
        let right = answers.filter(|name| name == expected).count();
        // A client may have its answer a moment before its exchange is over, but a connection goes on only after that.
        assert!(right >= 16, "{kind}: {right}");
        go.send(()).unwrap();
        assert_ne!(waiting.response().text(), expected, "{kind}");
    }
}

#[test]
fn the_slow_one_gets_little() {
    let slow = Origin::start(|peer| {
        while peer.request()?.is_some() {
            std::thread::sleep(std::time::Duration::from_millis(40));
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")?;
        }
        Ok(())
    });
    let quick = Origin::serving("quick");
    let group = Group::start(&[plain(&slow), plain(&quick)], &balance("least_time"));
    for _ in 0..40 {
        group.ask("/", "192.0.2.1");
    }
    assert!(slow.requests().len() <= 4, "{}", slow.requests().len());
}

/// Who answers for each of 60 keys.
fn map(group: &Group, kind: &str) -> BTreeMap<u32, String> {
    let ask = |number: u32| match kind {
        "url_hash" => group.ask(&format!("/images?id={number}"), "192.0.2.1"),
        _ => group.ask("/", &format!("192.0.2.{number}")),
    };
    (0..60).map(|number| (number, ask(number))).collect()
}

#[test]
fn a_key_stays_at_its_endpoint_and_only_those_of_a_lost_one_move() {
    for kind in ["ip_hash", "url_hash", "maglev"] {
        let origins = three();
        let endpoints = origins.each_ref().map(plain);
        let keys = balance(kind);
        let group = Group::start(&endpoints, &keys);
        let before = map(&group, kind);
        assert_eq!(before, map(&group, kind), "{kind}");
        let again = Group::start(&endpoints, &keys);
        assert_eq!(before, map(&again, kind), "{kind}: after a restart");
        let without = [
            endpoints[0].clone(),
            weighted(&origins[1], 0),
            endpoints[2].clone(),
        ];
        let fewer = map(&Group::start(&without, &keys), kind);
        let moved = before.iter().filter(|(key, name)| fewer[key] != **name);
        let lost = before.values().filter(|name| *name == "two").count();
        let moved = moved.count();
        // The ranks move exactly those, the table of maglev a few more.
        let strays = if kind == "maglev" { 8 } else { 0 };
        assert!(
            (lost..=lost + strays).contains(&moved),
            "{kind}: {moved} of {lost}"
        );
        assert!((8..=34).contains(&lost), "{kind}: {lost}");
    }
}
