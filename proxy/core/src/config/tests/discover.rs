//! Where endpoints come from: what is accepted, and what is not.

use crate::config::Discover;

use super::{accepted, rejected};

fn text(keys: &str) -> String {
    format!("[listener.web]\nbind = [\"127.0.0.1:80\"]\n[upstream.app]\n{keys}\n")
}

fn source(discover: &str) -> Discover {
    let config = accepted(&text(&format!("discover = {{ {discover} }}")));
    assert!(config.upstreams[0].endpoints.is_empty());
    config.upstreams[0].discover.clone().unwrap()
}

fn wrong(keys: &str, message: &str) {
    let problems = rejected(&text(keys));
    let told: Vec<&str> = problems.0.iter().map(|p| p.message.as_str()).collect();
    assert!(
        told.len() == 1 && told[0].contains(message),
        "{keys}\n{told:#?}"
    );
}

#[test]
fn names_and_services_are_sources() {
    assert_eq!(
        source("dns = \"App.internal:8080\""),
        Discover::Dns {
            host: "app.internal".to_owned(),
            port: 8080,
            resolver: None
        }
    );
    assert_eq!(
        source("srv = \"_http._tcp.app.internal.\", resolver = \"127.0.0.1\""),
        Discover::Srv {
            name: "_http._tcp.app.internal".to_owned(),
            resolver: Some(([127, 0, 0, 1], 53).into())
        }
    );
    let both =
        "endpoints = [\"127.0.0.1:1\"]\ndiscover = { dns = \"a:80\", resolver = \"[::1]:5353\" }";
    let config = accepted(&text(both));
    assert_eq!(config.upstreams[0].endpoints.len(), 1);
    accepted(&text("endpoints = []\ndiscover = { dns = \"a:80\" }"));
}

#[test]
fn there_is_exactly_one_source() {
    wrong("", "missing key `endpoints`");
    wrong("endpoints = []", "at least one endpoint");
    wrong("discover = {}", "nothing is said about where");
    wrong("discover = { resolver = \"127.0.0.1\" }", "nothing is said");
    wrong(
        "discover = { dns = \"a:80\", srv = \"a\" }",
        "`dns` and `srv` exclude each other",
    );
    wrong(
        "discover = { dnss = \"a:80\", dns = \"a:80\" }",
        "unknown key `dnss`",
    );
    wrong("discover = \"a:80\"", "expected a table");
}

#[test]
fn a_source_is_named_in_full() {
    wrong("discover = { dns = \"a\" }", "it has no port");
    wrong(
        "discover = { dns = \"127.0.0.1:80\" }",
        "no name to ask for",
    );
    wrong(
        "discover = { dns = \"builtin:demo\" }",
        "no name to ask for",
    );
    wrong("discover = { srv = \"a:80\" }", "not the name of a service");
    wrong("discover = { srv = 5 }", "expected a string");
    for resolver in ["a", "127.0.0.1:0", "a:53", ""] {
        let keys = format!("discover = {{ dns = \"a:80\", resolver = \"{resolver}\" }}");
        wrong(&keys, "not the address of a name server");
    }
}
