//! Endpoints of the own zone, and of others, at the origins' own counters.

use super::{Group, config, get};
use crate::support::{Origin, RawClient, free_port, wait_until};

const ALL: [&str; 7] = [
    "round_robin",
    "least_connections",
    "least_time",
    "random",
    "ip_hash",
    "url_hash",
    "maglev",
];

fn at(endpoint: &str, zone: &str) -> String {
    format!("{{ address = \"{endpoint}\", zone = \"{zone}\" }}")
}

fn group(endpoints: &[String], keys: &str) -> Group {
    let server = "[server]\nzone = \"a\"\nworkers = 2\nstate_dir = \"state\"\n";
    Group::with(&format!("{server}{}", config(endpoints, keys)))
}

/// Requests of many clients for many paths.
fn ask(group: &Group, count: u32) {
    let mut client = RawClient::connect(group.web);
    for number in 0..count {
        let request = get(&format!("/{number}"), &format!("192.0.2.{}", number % 250));
        assert_eq!(client.exchange(request).status(), 200);
    }
}

fn served(origins: &[Origin]) -> usize {
    origins.iter().map(|origin| origin.requests().len()).sum()
}

#[test]
fn all_requests_stay_in_the_zone_while_it_is_well() {
    for balance in ALL {
        let [near, far] =
            [["one", "two"], ["three", "four"]].map(|names| names.map(Origin::serving));
        let endpoints = near
            .iter()
            .map(|origin| at(&origin.address().to_string(), "a"));
        let others = far
            .iter()
            .map(|origin| at(&origin.address().to_string(), "b"));
        let endpoints: Vec<String> = endpoints.chain(others).collect();
        let group = group(&endpoints, &format!("balance = \"{balance}\""));
        ask(&group, 40);
        assert_eq!((served(&near), served(&far)), (40, 0), "{balance}");
        assert!(
            near.iter().all(|origin| !origin.requests().is_empty()),
            "{balance}"
        );
    }
}

#[test]
fn as_much_as_is_missing_goes_elsewhere_and_nobody_fails() {
    for balance in ["round_robin", "ip_hash"] {
        let near = [Origin::serving("near")];
        let far = ["one", "two"].map(Origin::serving);
        let dead = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
        let mut endpoints: Vec<String> = dead.iter().map(|dead| at(dead, "a")).collect();
        endpoints.push(at(&near[0].address().to_string(), "a"));
        endpoints.extend(
            far.iter()
                .map(|origin| at(&origin.address().to_string(), "b")),
        );
        // A third of it is well, and two thirds would have to be.
        let keys = format!(
            "balance = \"{balance}\"\nspill_below = \"67%\"\nhealth = {{ every = \"50ms\", timeout = \"5s\", fall = 1 }}"
        );
        let group = group(&endpoints, &keys);
        for dead in &dead {
            let line =
                format!("openclaw_upstream_healthy{{upstream=\"app\",endpoint=\"{dead}\"}} 0");
            wait_until(&line, || group.metrics().contains(&line));
        }
        let before = served(&far);
        ask(&group, 250);
        let spilt = served(&far) - before;
        assert!((85..=165).contains(&spilt), "{balance}: {spilt} of 250");
    }
}

#[test]
fn a_zone_of_which_nothing_is_left_costs_nobody_anything() {
    let far = [Origin::serving("far")];
    let endpoints = [
        at(&format!("127.0.0.1:{}", free_port()), "a"),
        at(&far[0].address().to_string(), "b"),
    ];
    let group = group(&endpoints, "");
    ask(&group, 20);
    assert_eq!(served(&far), 20);
    let listed = group.proxy.cli(&["-o", "json", "upstream", "list"]).text();
    assert!(
        listed.contains("\"zone\": \"b\"") || listed.contains("\"zone\":\"b\""),
        "{listed}"
    );
}

#[test]
fn where_the_zone_has_no_room_others_serve_at_once() {
    let near = Origin::start(|peer| {
        peer.request()?;
        peer.read_to_end().map(drop)
    });
    let far = [Origin::serving("far")];
    let endpoints = [
        at(&near.address().to_string(), "a"),
        at(&far[0].address().to_string(), "b"),
    ];
    let group = group(&endpoints, "max_connections = 1");
    let mut waiting = RawClient::connect(group.web);
    waiting.send(get("/", "192.0.2.1"));
    near.wait_for_requests(1);
    ask(&group, 10);
    assert_eq!((near.requests().len(), served(&far)), (1, 10));
}
