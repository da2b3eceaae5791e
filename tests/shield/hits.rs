//! What entries have decided, by entry and by list, and what is not counted entry by entry.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use super::lists::{Stage, addresses, json};
use crate::support::Proxy;

/// A client of each family with the address at which it is served.
fn ways(stage: &Stage, proxy: &Proxy) -> impl Iterator<Item = (IpAddr, SocketAddr)> {
    let clients: [IpAddr; 2] = [stage.net.inside4.into(), stage.net.inside6.into()];
    clients.into_iter().zip(addresses(proxy))
}

/// The hits of an entry, and those of its list.
fn hits(proxy: &Proxy, list: &str) -> (Value, Value) {
    let entries = json(
        &proxy
            .cli(&["-o", "json", "blocklist", "list", "--list", list])
            .ok(),
    );
    let stats = json(&proxy.cli(&["-o", "json", "blocklist", "stats"]).ok());
    let mut lists = stats["lists"].as_array().expect("a list").iter();
    let of_list = lists
        .find(|one| one["name"] == list)
        .expect("the list is there");
    (
        entries["entries"][0]["hits"].clone(),
        of_list["hits"].clone(),
    )
}

#[test]
fn entries_count_on_over_a_restart() {
    let stage = Stage::new();
    let mut proxy = Proxy::start(&stage.answering());
    for (client, server) in ways(&stage, &proxy) {
        let list = ["--list", if client.is_ipv4() { "four" } else { "six" }];
        let add = ["blocklist", "add", &client.to_string()];
        proxy.cli(&[&add[..], &list].concat()).ok();
        assert!(!stage.reaches(client, server));
    }
    let so_far =
        |proxy: &Proxy| ["four", "six"].map(|list| hits(proxy, list).0.as_u64().expect("a number"));
    let before = so_far(&proxy);
    assert!(before.iter().all(|hits| *hits > 0), "{before:?}");
    for signal in ["TERM", "KILL"] {
        proxy.signal(signal);
        proxy.wait();
        proxy.start_again();
        let after = so_far(&proxy);
        let mut pairs = before.iter().zip(&after);
        assert!(
            pairs.all(|(before, after)| before <= after),
            "{signal}: {after:?}"
        );
    }
}

#[test]
fn packets_are_counted_by_entry_and_by_list_except_where_a_class_word_drops_them() {
    let stage = Stage::new();
    let mut proxy = Proxy::start(&stage.answering());
    for (client, server) in ways(&stage, &proxy) {
        for (list, ttl) in [("banned", Some("1h")), ("kept", None)] {
            let client_text = client.to_string();
            let mut add = vec!["blocklist", "add", &client_text, "--list", list];
            add.extend(ttl.iter().flat_map(|ttl| ["--ttl", ttl]));
            proxy.cli(&add).ok();
            assert_eq!(hits(&proxy, list), (0.into(), 0.into()), "{client} {list}");
            assert!(!stage.reaches(client, server));
            let (entry, of_list) = hits(&proxy, list);
            assert!(
                entry.as_u64().is_some_and(|hits| hits > 0),
                "{client} {list}"
            );
            assert_eq!(entry, of_list, "{client} {list}");
            proxy.cli(&["blocklist", "flush", "--list", list]).ok();
        }
    }
    proxy
        .cli(&["blocklist", "add", "198.51.100.0/24", "--list", "wide"])
        .ok();
    assert_eq!(hits(&proxy, "wide"), (Value::Null, Value::Null));
    let text = proxy.cli(&["blocklist", "list", "--list", "wide"]).ok();
    let row = text.text().lines().nth(1).expect("an entry").to_owned();
    let columns: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(columns[..4], ["198.51.100.0/24", "wide", "never", "-"]);
    let stats = json(&proxy.cli(&["-o", "json", "blocklist", "stats"]).ok());
    for place in ["kernel", "process"] {
        let bytes = stats["memory"][place].as_u64().expect("a number");
        assert!(bytes > 1 << 20, "{place}: {bytes}");
    }
    proxy.signal("TERM");
    proxy.wait();
}
