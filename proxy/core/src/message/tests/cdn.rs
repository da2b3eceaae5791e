//! What an endpoint hears of a request that comes through a content delivery network.

use std::sync::Arc;

use super::bytes;
use super::rendering::hop;
use crate::config::{Cdn, Forwarded, HeaderEdit};
use crate::message::h1::parse_request;
use crate::message::render::{Hop, request_head};
use crate::message::{Fields, client_in};

#[test]
fn an_endpoint_hears_of_the_client_that_the_edge_names() {
    let cdns = [Arc::new(Cdn {
        name: "own".into(),
        ranges: Vec::new(),
        client_header: Some("x-edge".into()),
    })];
    let check = |(trusted, by_cdn): (bool, bool), row: &str, expected: &str| {
        let message = bytes(&format!("GET / HTTP/1.1↵Host: a↵{row}↵"));
        let mut fields = Fields::new();
        let (request, _) = parse_request(&message, 4096, &mut fields).unwrap().unwrap();
        let edits = HeaderEdit::default();
        let hop = Hop {
            cdns: &cdns,
            by_cdn,
            forwarded: Forwarded::Both,
            ..hop(request.target, trusted, &edits)
        };
        let mut out = Vec::new();
        request_head(&mut out, &request, &hop);
        let got = String::from_utf8_lossy(&out).replace("\r\n", "↵");
        let got = got.strip_prefix("GET / HTTP/1.1↵Host: a↵").unwrap();
        let got = got.split("X-Request-Id").next().unwrap();
        let rest = "X-Forwarded-Proto: https↵X-Forwarded-Host: a↵";
        assert_eq!(got.replace(rest, ""), expected, "{row}");
    };
    let own = "for=192.0.2.1;host=\"a\";proto=https↵";
    check(
        (true, true),
        "X-Edge: 1.1.1.1↵X-Forwarded-For: 6.6.6.6↵",
        &format!(
            "X-Edge: 1.1.1.1↵X-Forwarded-For: 1.1.1.1, 192.0.2.1↵Forwarded: for=1.1.1.1, {own}"
        ),
    );
    let nobody = format!("X-Forwarded-For: 192.0.2.1↵Forwarded: {own}");
    for lie in ["X-Edge: 1.1.1.1↵", "X_Edge: 1.1.1.1↵", "x-edge: 6.6.6.6↵"] {
        check((false, false), lie, &nobody);
    }
    // Whom nobody has decided for, no endpoint is told of.
    let listed = format!("X-Forwarded-For: 1.1.1.1, 192.0.2.1↵Forwarded: for=1.1.1.1, {own}");
    check(
        (true, false),
        "X-Edge: 2.2.2.2↵X_Edge: 1.1.1.1↵X-Forwarded-For: 1.1.1.1↵",
        &listed,
    );
}

#[test]
fn a_field_names_one_address_or_nobody() {
    let check = |row: &str, expected: Option<&str>| {
        let message = bytes(&format!("GET / HTTP/1.1↵Host: a↵{row}↵"));
        let mut fields = Fields::new();
        let (request, _) = parse_request(&message, 4096, &mut fields).unwrap().unwrap();
        let got = client_in(request.fields, b"x-edge");
        assert_eq!(
            got.map(|address| address.to_string()).as_deref(),
            expected,
            "{row}"
        );
    };
    check("X-Edge: 1.1.1.1↵", Some("1.1.1.1"));
    check("X-Edge: 2001:db8::1↵", Some("2001:db8::1"));
    check("X-Edge: ::ffff:1.1.1.1↵", Some("1.1.1.1"));
    for none in [
        "",
        "X-Edge: 1.1.1.1, 2.2.2.2↵",
        "X-Edge: 1.1.1.1↵X-Edge: 1.1.1.1↵",
        "X-Edge: a↵",
        "X-Edge: 1.1.1.1:80↵",
        "X-Edge:↵",
    ] {
        check(none, None);
    }
}
