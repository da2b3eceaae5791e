//! `openclaw explain request` for ports where bytes are forwarded.

use std::process::Command;

use crate::support::{Folder, Output, Proxy};

const CONFIG: &str = r#"
[listener.web]
bind = ["127.0.0.1:8080"]

[listener.db]
bind = ["0.0.0.0:5432"]
mode = "tcp"
to = "db"

[listener.shared]
bind = ["127.0.0.1:5433"]
mode = "tcp"
to = [{ upstream = "db", weight = 1 }, { upstream = "other", weight = 1 }]

[listener.names]
bind = ["127.0.0.1:8443"]
mode = "tls"
sni = { "a.example.com" = [{ upstream = "other", alpn = ["acme-tls/1"] }, "app"], "*.b.example.com" = "other" }

[listener.dns]
bind = ["127.0.0.1:53"]
mode = "udp"
to = "dns"

[upstream.app]
endpoints = ["127.0.0.1:9001"]
[upstream.db]
endpoints = ["127.0.0.1:9002"]
[upstream.other]
endpoints = ["127.0.0.1:9003"]
[upstream.dns]
endpoints = ["127.0.0.1:9004"]

[[route]]
name = "all"
to = "app"
"#;

fn explain(arguments: &[&str]) -> String {
    let folder = Folder::new();
    folder.write("openclaw.toml", CONFIG);
    let mut command = Command::new(env!("CARGO_BIN_EXE_openclaw"));
    let words = ["-o", "json", "explain", "request", "GET"];
    command.args(words).args(arguments);
    Output::of(command.current_dir(folder.path()), "the proxy")
        .ok()
        .text()
}

#[test]
fn the_listener_and_its_upstream_are_told() {
    let check = |url: &str, expected: &[(&str, &str)]| {
        let told: serde_json::Value = serde_json::from_str(&explain(&[url])).unwrap();
        for (key, value) in expected {
            assert_eq!(told[key], *value, "{url}: {told}");
        }
    };
    let db = [
        ("verdict", "relay"),
        ("listener", "db"),
        ("mode", "tcp"),
        ("upstream", "db"),
    ];
    check("tcp://db.example.com:5432", &db);
    check("tcp://192.0.2.1:5432", &db);
    let names = |upstream| {
        [
            ("listener", "names"),
            ("mode", "tls"),
            ("upstream", upstream),
        ]
    };
    check("https://A.example.com:8443/x", &names("app"));
    check("tls://x.b.example.com:8443", &names("other"));
    let refused = [
        ("verdict", "refuse"),
        ("listener", "names"),
        ("reason", "route.none"),
    ];
    check("https://c.example.com:8443/", &refused);
    check(
        "udp://127.0.0.1:53",
        &[("listener", "dns"), ("upstream", "dns")],
    );
    // Where requests are read, routes decide; and an address that is not bound leads nowhere.
    check(
        "http://a.example.com:8080/",
        &[("verdict", "forward"), ("route", "all")],
    );
    check(
        "http://192.0.2.1:5433/",
        &[("verdict", "forward"), ("route", "all")],
    );
}

#[test]
fn a_client_has_one_of_several_upstreams() {
    let told = |client: u32| {
        let from = format!("192.0.2.{client}");
        let told = explain(&["tcp://127.0.0.1:5433", "--from", &from]);
        assert_eq!(told, explain(&["tcp://127.0.0.1:5433", "--from", &from]));
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        told["upstream"].as_str().unwrap().to_owned()
    };
    let to_db = (0..12).filter(|client| told(*client) == "db").count();
    assert!((1..12).contains(&to_db), "{to_db}");
}

#[test]
fn an_address_is_told_where_it_is_forwarded() {
    let proxy = Proxy::start(
        &CONFIG
            .replace(":8080\"", ":0\"")
            .replace(":5432\"", ":0\"")
            .replace(":5433\"", ":0\"")
            .replace(":8443\"", ":0\"")
            .replace(":53\"", ":0\""),
    );
    let told = proxy
        .cli(&["-o", "json", "explain", "ip", "192.0.2.7"])
        .ok();
    let told: serde_json::Value = serde_json::from_str(&told.text()).unwrap();
    let relays = told["relays"].as_array().unwrap();
    let relays: Vec<_> = relays
        .iter()
        .map(|relay| {
            let part = |key: &str| relay[key].as_str().unwrap_or("-").to_owned();
            [part("listener"), part("mode"), part("upstream")].join(" ")
        })
        .collect();
    let shared = relays[1].clone();
    assert_eq!(
        relays,
        ["db tcp db", &shared, "names tls -", "dns udp dns"],
        "{told}"
    );
    assert!(shared.starts_with("shared tcp "), "{shared}");
    let text = proxy.cli(&["explain", "ip", "192.0.2.7"]).ok().text();
    for part in [
        "relay: listener db (mode tcp), to db",
        "relay: listener names (mode tls), by the name that it asks for",
        "listener.db.max_connections_per_ip",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
