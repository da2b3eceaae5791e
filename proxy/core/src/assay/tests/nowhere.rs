//! Tests of requests that no listener speaks.

use super::{fails, passes, read};
use crate::assay::{Asked, Open, Verdict, Wire, World};
use crate::config::Config;

const TEAPOT: &str =
    "request = \"GET /teapot\"\nheaders = { Host = \"a.test\" }\nfrom = \"192.0.2.1\"\n";

#[test]
fn a_test_over_what_no_listener_speaks_is_met_by_nothing() {
    let why = "no listener speaks h3";
    fails(
        &format!("{TEAPOT}protocol = \"h3\"\nexpect = {{ status = 418, route = \"teapot\" }}"),
        &["route: teapot, none", &format!("status: 418, none, {why}")],
    );
    let rows = [
        ("verdict = \"pass\"", "verdict: pass, nowhere"),
        ("cache = \"none\"", "cache: none, nowhere"),
        (
            "headers = { Server = false }",
            "headers.server: a response without it, none",
        ),
        ("reason = \"route.none\"", "reason: route.none, none"),
    ];
    for (expect, told) in rows {
        let test = format!("{TEAPOT}protocol = \"h3\"\nexpect = {{ {expect} }}");
        fails(&test, &[told]);
    }
    for spoken in ["h1", "h2"] {
        passes(&format!(
            "{TEAPOT}protocol = \"{spoken}\"\nexpect = {{ status = 418 }}"
        ));
    }
}

/// A listener without TLS alone.
fn plain(test: &str) -> Config {
    read(&format!(
        "[listener.web]\nbind = [\"127.0.0.1:80\"]\nprotocols = [\"h1\"]\n\
         [[route]]\nname = \"all\"\nrespond = {{ status = 200 }}\n{test}"
    ))
}

#[test]
fn the_wire_of_a_test_needs_a_listener_of_its_scheme() {
    let check = |asks: &str, expected: Option<&str>| {
        let config = plain(&format!("[[test]]\n{asks}\nexpect = {{ status = 200 }}\n"));
        let fate = World::new(&config, &Open).asks(&config.tests[0].asks);
        let detail = fate.detail.filter(|_| fate.verdict == Verdict::Nowhere);
        assert_eq!(detail.as_deref(), expected, "{asks}");
    };
    check("request = \"GET http://a.test/\"", None);
    check("request = \"GET http://a.test:81/\"", None);
    check("request = \"GET http://a.test/\"\nprotocol = \"h1\"", None);
    check(
        "request = \"GET https://a.test/\"\nlistener = \"web\"",
        None,
    );
    check("request = \"GET https://a.test/\"", None);
    check(
        "request = \"GET https://a.test/\"\nprotocol = \"h1\"",
        Some("no listener speaks h1 for https URLs"),
    );
    check(
        "request = \"GET http://a.test/\"\nprotocol = \"h2\"",
        Some("no listener speaks h2 for http URLs"),
    );
}

#[test]
fn what_is_asked_outside_of_tests_goes_to_the_routes_all_the_same() {
    let config = plain("");
    let asked = Asked {
        wire: Some(Wire::H3),
        ..Asked::new("GET", "https://a.test/", &[]).unwrap()
    };
    let fate = World::new(&config, &Open).fate(&asked);
    assert_eq!(fate.route.as_deref(), Some("all"));
    assert_eq!(fate.listener, None);
}
