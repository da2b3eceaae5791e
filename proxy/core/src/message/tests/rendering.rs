//! What endpoints and clients get of a message (RFC 9110 §7.6, RFC 9113 §8.2.3).

use std::net::SocketAddr;

use super::{bytes, check, list};
use crate::config::{Forwarded, HeaderEdit};
use crate::message::h1::parse_request;
use crate::message::render::{
    Hop, is_named, named, request_head, response_field, response_fields, switches_as_offered,
};
use crate::message::request::from_list;
use crate::message::via::passes;
use crate::message::{Field, Fields, Request, websocket};

pub(super) fn hop<'a>(target: &'a [u8], trusted: bool, edits: &'a HeaderEdit) -> Hop<'a> {
    Hop {
        peer: "192.0.2.1",
        trusted,
        cdns: &[],
        by_cdn: false,
        forwarded: Forwarded::X,
        client: [1, 1, 1, 1].into(),
        scheme: "https",
        local: SocketAddr::from(([192, 0, 2, 9], 8443)),
        request_id: "ID",
        traceparent: "TP",
        target,
        early: false,
        websocket_key: None,
        edits,
    }
}

fn rendered(request: &Request<'_>, trusted: bool, edits: &HeaderEdit) -> String {
    let mut out = Vec::new();
    request_head(&mut out, request, &hop(request.target, trusted, edits));
    String::from_utf8_lossy(&out).replace("\r\n", "↵")
}

fn of_h1(row: &str, trusted: bool, edits: &HeaderEdit) -> String {
    let message = bytes(row);
    let mut fields = Fields::new();
    let (request, _) = parse_request(&message, 4096, &mut fields).unwrap().unwrap();
    rendered(&request, trusted, edits)
}

fn of_h2(row: &str, ended: bool, edits: &HeaderEdit) -> String {
    let list = list(row);
    let mut fields = Fields::new();
    let request = from_list(&list, ended, &mut fields).unwrap();
    rendered(&request, false, edits)
}

/// What this hop says of itself to an endpoint, when nobody else says anything.
const OWN: &str = "X-Forwarded-For: 192.0.2.1↵X-Forwarded-Proto: https↵X-Forwarded-Host: a↵X-Request-Id: ID↵traceparent: TP↵Via: 1.1 openclaw↵";

/// Rows of fields after `GET / HTTP/1.1, Host: a`; left are the fields that the endpoint gets, OWN included as `…`.
fn check_fields(trusted: bool, edits: &HeaderEdit, table: &str) {
    check(table, |row| {
        let got = of_h1(&format!("GET / HTTP/1.1↵Host: a↵{row}↵"), trusted, edits);
        let fields = got.strip_prefix("GET / HTTP/1.1↵Host: a↵").unwrap();
        fields.strip_suffix('↵').unwrap().replace(OWN, "…")
    });
}

#[test]
fn fields_of_one_hop_stay_on_it() {
    check_fields(
        false,
        &HeaderEdit::default(),
        r"
        …                      |
        X: y↵…                 | X:y↵
        x-Y: z↵x-Y: a↵…        | x-Y: z↵x-Y: a↵
        …                      | Connection: close↵
        …                      | Keep-Alive: timeout=5↵Proxy-Connection: x↵Proxy-Authenticate: x↵Proxy-Authorization: x↵
        Trailer: x↵…           | Trailer: x↵Upgrade: x↵HTTP2-Settings: AA↵TE: gzip↵
        # Connection names fields of this hop, on as many lines as it likes
        Z: 3↵…                 | Connection: x, Y↵X: 1↵y: 2↵Z: 3↵
        Z: 3↵…                 | X: 1↵Connection: x↵y: 2↵Connection: close, y↵Z: 3↵
        …                      | Connection: close, keep-alive, x↵X: 1↵
        Y: 2↵…                 | Connection: ,, x ,↵X: 1↵Y: 2↵
        # … but cannot take away what the origin has to see
        Cookie: c↵…            | Connection: Cookie, Host, X-Forwarded-For, X-Forwarded-Proto, X-Request-Id↵Cookie: c↵
        # Who the client is, only this hop knows
        …                      | X-Forwarded-For: 6.6.6.6↵X-Forwarded-Proto: http↵X-Forwarded-Host: evil↵
        …                      | Forwarded: for=6.6.6.6↵X-Real-IP: 6.6.6.6↵X-Request-Id: mine↵traceparent: mine↵
        …                      | X-Forwarded-Port: 77↵x-forwarded-prefix: /p↵X-FORWARDED-SSL: on↵X-Forwarded-Server: z↵
        # An origin that reads `_` as `-` would see these twice
        …                      | X_Forwarded_For: 6.6.6.6↵X-Forwarded_Proto: http↵Content_Length: 5↵Transfer_Encoding: chunked↵
        …                      | X_Real_IP: 6.6.6.6↵X_Request_Id: x↵X_Forwarded_Port: 77↵
        ",
    );
    check_fields(
        false,
        &HeaderEdit::default(),
        r"
        X_Own: y↵…             | X_Own: y↵
        a_name_longer_than_every_known_one: y↵… | a_name_longer_than_every_known_one: y↵
        # RFC 9110 §10.1.1, §10.1.4
        …                      | Expect: 100-continue↵
        …TE: trailers↵Connection: TE↵ | TE: trailers↵Connection: TE↵
        # RFC 9110 §7.8; h2c would pass requests by
        …Upgrade: websocket↵Connection: upgrade↵ | Upgrade: websocket↵Connection: Upgrade↵
        …                      | Upgrade: h2c↵Connection: Upgrade, HTTP2-Settings↵HTTP2-Settings: AA↵
        …                      | Upgrade: websocket, H2C↵Connection: Upgrade↵
        …                      | Upgrade: websocket↵
        Sec-WebSocket-Key: k↵…Upgrade: websocket↵Connection: upgrade↵ | Connection: upgrade, x↵X: 1↵Upgrade: websocket↵Sec-WebSocket-Key: k↵
        ",
    );
}

#[test]
fn a_trusted_proxy_is_believed_and_its_list_extended() {
    let tail = "X-Request-Id: ID↵traceparent: TP↵Via: 1.1 openclaw↵";
    check_fields(
        true,
        &HeaderEdit::default(),
        &r"
        …                      |
        X-Forwarded-For: 1.1.1.1, 2.2.2.2, 192.0.2.1↵X-Forwarded-Proto: https↵X-Forwarded-Host: a↵^ | X-Forwarded-For: 1.1.1.1↵X-Forwarded-For: 2.2.2.2↵
        X-Forwarded-Proto: http↵X-Forwarded-For: 192.0.2.1↵X-Forwarded-Host: a↵^ | X-Forwarded-Proto: http↵
        X-Forwarded-Host: b↵X-Forwarded-For: 192.0.2.1↵X-Forwarded-Proto: https↵^ | X-Forwarded-Host: b↵X-Forwarded-For:↵
        Forwarded: for=1.1.1.1↵X-Real-IP: 1.1.1.1↵X-Forwarded-For: 1.1.1.1, 192.0.2.1↵X-Forwarded-Proto: https↵X-Forwarded-Host: a↵^ | Forwarded: for=1.1.1.1↵X-Real-IP: 1.1.1.1↵
        Forwarded: for=6.6.6.6, for=1.1.1.1;proto=http;host=b, for=_x↵X-Forwarded-For: 1.1.1.1, unknown, 192.0.2.1↵X-Forwarded-Proto: http↵X-Forwarded-Host: b↵^ | Forwarded: for=6.6.6.6, for=1.1.1.1;proto=http;host=b, for=_x↵
        X-Forwarded-Prefix: /p↵… | X-Forwarded-Prefix: /p↵
        # Of two that name the client, what did not decide goes no further
        X-Forwarded-For: 1.1.1.1, 192.0.2.1↵X-Forwarded-Proto: https↵X-Forwarded-Host: a↵^ | Forwarded: for=6.6.6.6↵X-Forwarded-For: 1.1.1.1↵Forwarded: for=7.7.7.7↵
        …                      | X-Real-IP: 6.6.6.6↵
        X-Real-IP: ::ffff:1.1.1.1↵… | X-Real-IP: ::ffff:1.1.1.1↵
        …                      | X-Request-Id: theirs↵traceparent: theirs↵
        …                      | X_Forwarded_For: 6.6.6.6↵
        X-Forwarded-Proto: http↵X-Forwarded-For: 1.1.1.1, 192.0.2.1↵X-Forwarded-Host: a↵^ | Connection: X-Forwarded-For, X-Forwarded-Proto↵X-Forwarded-For: 1.1.1.1↵X-Forwarded-Proto: http↵
        "
        .replace('^', tail),
    );
}

#[test]
fn the_standard_field_says_the_same_where_an_upstream_wants_it() {
    let check = |forwarded: Forwarded, trusted: bool, row: &str, expected: &str| {
        let message = bytes(&format!("GET / HTTP/1.1↵Host: a↵{row}↵"));
        let mut fields = Fields::new();
        let (request, _) = parse_request(&message, 4096, &mut fields).unwrap().unwrap();
        let edits = HeaderEdit::default();
        let hop = Hop {
            forwarded,
            ..hop(request.target, trusted, &edits)
        };
        let mut out = Vec::new();
        request_head(&mut out, &request, &hop);
        let got = String::from_utf8_lossy(&out).replace("\r\n", "↵");
        let got = got.strip_prefix("GET / HTTP/1.1↵Host: a↵").unwrap();
        let got = got.split("X-Request-Id").next().unwrap();
        assert_eq!(got, expected, "{row}");
    };
    let own = "for=192.0.2.1;host=\"a\";proto=https↵";
    let older = "X-Forwarded-For: 192.0.2.1↵X-Forwarded-Proto: https↵X-Forwarded-Host: a↵";
    let lies = "Forwarded: for=6.6.6.6↵X-Forwarded-For: 6.6.6.6↵X-Forwarded-Proto: http↵X-Forwarded-Host: evil↵";
    let only = Forwarded::Rfc7239;
    check(only, false, "", &format!("Forwarded: {own}"));
    check(only, false, lies, &format!("Forwarded: {own}"));
    check(
        Forwarded::Both,
        false,
        lies,
        &format!("{older}Forwarded: {own}"),
    );
    let said = "Forwarded: for=1.1.1.1;proto=http↵Forwarded: for=_x↵";
    check(
        only,
        true,
        said,
        &format!("Forwarded: for=1.1.1.1;proto=http, for=_x, {own}"),
    );
    let said = "X-Forwarded-For: 1.1.1.1, 2001:db8::1↵X-Forwarded-For: x\"y, 2.2.2.2↵X-Forwarded-Proto: http↵X-Forwarded-Host: b↵Forwarded: for=6.6.6.6↵";
    check(
        only,
        true,
        said,
        &format!(
            "Forwarded: for=1.1.1.1, for=\"[2001:db8::1]\", for=unknown, for=2.2.2.2;host=\"b\";proto=\"http\", {own}"
        ),
    );
    let said = "X-Forwarded-For: 1.1.1.1↵X-Forwarded-Host: b\"c↵";
    check(only, true, said, &format!("Forwarded: for=1.1.1.1, {own}"));
}

fn edits(set: &[(&str, &str)], add: &[(&str, &str)], remove: &[&str]) -> HeaderEdit {
    let pairs = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect()
    };
    HeaderEdit {
        set: pairs(set),
        add: pairs(add),
        remove: remove.iter().map(|name| (*name).to_owned()).collect(),
    }
}

#[test]
fn edits_have_the_last_word() {
    let edit = edits(&[("x-set", "new")], &[("x-add", "more")], &["cookie"]);
    check_fields(
        false,
        &edit,
        r"
        …x-set: new↵x-add: more↵                    |
        …x-set: new↵x-add: more↵                    | X-Set: old↵X-SET: older↵
        X-Add: one↵…x-set: new↵x-add: more↵         | X-Add: one↵
        Y: z↵…x-set: new↵x-add: more↵               | Cookie: a=b↵cookie: c=d↵Y: z↵
        ",
    );
    let host = edits(
        &[("host", "inner"), ("x-forwarded-proto", "http")],
        &[],
        &[],
    );
    assert_eq!(
        of_h1("GET / HTTP/1.1↵Host: a↵↵", false, &host),
        "GET / HTTP/1.1↵X-Forwarded-For: 192.0.2.1↵X-Forwarded-Host: a↵X-Request-Id: ID↵traceparent: TP↵Via: 1.1 openclaw↵\
         host: inner↵x-forwarded-proto: http↵↵"
    );
    let none = edits(
        &[],
        &[],
        &[
            "x-forwarded-for",
            "x-request-id",
            "traceparent",
            "x-forwarded-host",
            "via",
        ],
    );
    assert_eq!(
        of_h1("GET / HTTP/1.1↵Host: a↵X-Request-Id: x↵↵", false, &none),
        "GET / HTTP/1.1↵Host: a↵X-Forwarded-Proto: https↵↵"
    );
}

#[test]
fn the_framing_is_written_from_what_was_understood() {
    check(
        r"
        GET /x?y HTTP/1.1↵Host: a↵…↵                             | GET http://A/x?y HTTP/1.1↵Host: a↵↵
        OPTIONS * HTTP/1.1↵Host: a↵…↵                            | OPTIONS http://a HTTP/1.1↵Host: a↵↵
        POST / HTTP/1.1↵Host: a↵…Content-Length: 5↵↵             | POST / HTTP/1.1↵content-LENGTH: 005↵Host: a↵↵
        POST / HTTP/1.1↵Host: a↵…Content-Length: 0↵↵             | POST / HTTP/1.1↵Host: a↵↵
        DELETE / HTTP/1.1↵Host: a↵…↵                             | DELETE / HTTP/1.1↵Host: a↵Content-Length: 0↵↵
        PUT / HTTP/1.1↵Host: a↵…Transfer-Encoding: chunked↵↵     | PUT / HTTP/1.1↵Host: a↵transfer-encoding: Chunked↵↵
        PUT / HTTP/1.1↵Host: a↵Expect: 100-continue↵…Content-Length: 5↵↵ | PUT / HTTP/1.1↵Host: a↵Expect: 100-continue↵Content-Length: 5↵↵
        ",
        |row| {
            of_h1(row, false, &HeaderEdit::default())
                .replace("Host: A", "Host: a")
                .replace(OWN, "…")
        },
    );
}

#[test]
fn an_http_1_0_request_without_host_gets_the_address_it_came_to() {
    assert_eq!(
        of_h1("GET / HTTP/1.0↵↵", false, &HeaderEdit::default()),
        "GET / HTTP/1.1↵Host: 192.0.2.9:8443↵X-Forwarded-For: 192.0.2.1↵X-Forwarded-Proto: https↵\
         X-Request-Id: ID↵traceparent: TP↵Via: 1.0 openclaw↵↵"
    );
}

#[test]
fn cookie_crumbs_become_one_field() {
    let row = ":method=GET ; :scheme=https ; :path=/ ; :authority=a ; cookie=a=1 ; x=y ; cookie=b=2 ; cookie=c=3";
    assert_eq!(
        of_h2(row, true, &HeaderEdit::default())
            .replace("Via: 2.0", "Via: 1.1")
            .replace(OWN, "…"),
        "GET / HTTP/1.1↵Host: a↵cookie: a=1; b=2; c=3↵x: y↵…↵"
    );
    let edit = edits(&[("cookie", "own")], &[], &[]);
    assert_eq!(
        of_h2(row, true, &edit)
            .replace("Via: 2.0", "Via: 1.1")
            .replace(OWN, "…"),
        "GET / HTTP/1.1↵Host: a↵x: y↵…cookie: own↵↵"
    );
}

#[test]
fn the_endpoint_cannot_tell_by_which_wire_a_request_came() {
    let same = |h1: &str, h2: &str, ended: bool| {
        let none = HeaderEdit::default();
        let h2 = format!(":scheme=https ; :authority=a ; {h2}");
        // But for Via, which says it.
        let of_h2 = of_h2(&h2, ended, &none).replace("Via: 2.0", "Via: 1.1");
        assert_eq!(of_h1(h1, false, &none), of_h2);
    };
    same(
        "GET /x?y=z HTTP/1.1↵Host: a↵user-agent: t↵x: 1↵x: 2↵↵",
        ":method=GET ; :path=/x?y=z ; user-agent=t ; x=1 ; x=2",
        true,
    );
    same(
        "POST / HTTP/1.1↵Host: a↵content-length: 5↵expect: 100-continue↵↵",
        ":method=POST ; :path=/ ; content-length=5 ; expect=100-continue",
        false,
    );
    same(
        "POST / HTTP/1.1↵Host: a↵transfer-encoding: chunked↵te: trailers↵connection: te↵trailer: t↵↵",
        ":method=POST ; :path=/ ; te=trailers ; trailer=t",
        false,
    );
    same(
        "GET / HTTP/1.1↵Host: a↵cookie: a=1; b=2↵expect: 100-continue↵x-forwarded-for: 6.6.6.6↵x_real_ip: 6.6.6.6↵↵",
        ":method=GET ; :path=/ ; cookie=a=1 ; cookie=b=2 ; expect=100-continue ; x-forwarded-for=6.6.6.6 ; x_real_ip=6.6.6.6",
        true,
    );
    same(
        "OPTIONS http://a HTTP/1.1↵Host: a↵↵",
        ":method=OPTIONS ; :path=*",
        true,
    );
    same(
        "PUT / HTTP/1.1↵Host: a↵proxy-authorization: x↵http2-settings: x↵↵",
        ":method=PUT ; :path=/ ; proxy-authorization=x ; http2-settings=x",
        true,
    );
}

#[test]
fn an_extended_connect_becomes_the_upgrade_that_it_stands_for() {
    let list = list(
        ":method=CONNECT ; :protocol=websocket ; :scheme=https ; :authority=a ; :path=/chat ; sec-websocket-version=13 ; sec-websocket-key=theirs ; sec-websocket-protocol=p ; origin=o",
    );
    let mut fields = Fields::new();
    let request = from_list(&list, false, &mut fields).unwrap();
    let key = websocket::key(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
    let edits = HeaderEdit::default();
    let mut out = Vec::new();
    let hop = Hop {
        websocket_key: Some(&key),
        ..hop(request.target, false, &edits)
    };
    request_head(&mut out, &request, &hop);
    let got = String::from_utf8_lossy(&out).replace("\r\n", "↵");
    assert_eq!(
        got.replace("Via: 2.0", "Via: 1.1").replace(OWN, "…"),
        "GET /chat HTTP/1.1↵Host: a↵sec-websocket-version: 13↵sec-websocket-protocol: p↵origin: o↵…Upgrade: websocket↵Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==↵Connection: upgrade↵↵"
    );
}

/// What the client gets of response fields, `Name: value↵` each on both sides.
fn kept(edit: &HeaderEdit, tunnel: bool) -> impl Fn(&str) -> String {
    move |row| {
        let lines: Vec<_> = row.split('↵').filter(|line| !line.is_empty()).collect();
        let received: Vec<Field<'_>> = lines
            .iter()
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| Field::new(name.as_bytes(), value.as_bytes()))
            .collect();
        let mut kept = Fields::new();
        response_fields(&received, edit, tunnel, &mut kept);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        kept.iter()
            .map(|field| format!("{}: {}↵", text(field.name), text(field.value)))
            .collect()
    }
}

#[test]
fn responses_lose_what_belongs_to_the_hop() {
    check(
        r"
        X: y↵Date: d↵Set-Cookie: a↵Set-Cookie: b↵ | X: y↵Date: d↵Set-Cookie: a↵Set-Cookie: b↵
        X: y↵                  | Connection: close↵Keep-Alive: timeout=5↵X: y↵Content-Length: 5↵
        Trailer: t↵X: y↵       | Transfer-Encoding: chunked↵Trailer: t↵Upgrade: h2c↵Server: origin/1↵X: y↵
        Z: 3↵                  | Connection: x↵X: 1↵connection: close, Y↵y: 2↵Z: 3↵
        Z: 3↵                  | Proxy-Authenticate: x↵Proxy-Connection: x↵Z: 3↵
        ",
        kept(&HeaderEdit::default(), false),
    );
    check(
        r"
        Upgrade: websocket↵    | Connection: upgrade↵Upgrade: websocket↵
        Upgrade: websocket↵    | Connection: Upgrade, x↵Upgrade: websocket↵X: 1↵
        ",
        kept(&HeaderEdit::default(), true),
    );
    check(
        r"
        Y: z↵x-set: new↵x-add: more↵ | X-Set: old↵X-Gone: x↵Y: z↵
        X-Add: one↵x-set: new↵x-add: more↵ | X-Add: one↵
        ",
        kept(
            &edits(&[("x-set", "new")], &[("x-add", "more")], &["x-gone"]),
            false,
        ),
    );
}

#[test]
fn early_data_is_told_once_and_as_the_route_wants_it() {
    let early = |row: &str, edits: &HeaderEdit| {
        let message = bytes(row);
        let mut fields = Fields::new();
        let (request, _) = parse_request(&message, 4096, &mut fields).unwrap().unwrap();
        let hop = Hop {
            early: true,
            ..hop(request.target, false, edits)
        };
        let mut out = Vec::new();
        request_head(&mut out, &request, &hop);
        let text = String::from_utf8_lossy(&out).to_lowercase();
        text.matches("early-data: 1\r\n").count()
    };
    let plain = HeaderEdit::default();
    assert_eq!(early("GET / HTTP/1.1↵Host: a↵↵", &plain), 1);
    assert_eq!(early("GET / HTTP/1.1↵Host: a↵early-data: 1↵↵", &plain), 1);
    let removed = edits(&[], &[], &["early-data"]);
    assert_eq!(early("GET / HTTP/1.1↵Host: a↵↵", &removed), 0);
}

#[test]
fn a_field_of_this_hop_gives_way_to_endpoint_and_route() {
    let said = |received: &[Field<'_>], edits: &HeaderEdit| {
        let mut kept = Fields::new();
        for field in received {
            kept.push(*field);
        }
        response_field(&mut kept, edits, Field::new(b"Alt-Svc", b"ours"));
        kept.iter().filter(|field| field.value == b"ours").count()
    };
    let plain = HeaderEdit::default();
    assert_eq!(said(&[Field::new(b"x", b"y")], &plain), 1);
    assert_eq!(said(&[Field::new(b"alt-svc", b"clear")], &plain), 0);
    let removed = edits(&[], &[], &["alt-svc"]);
    assert_eq!(said(&[], &removed), 0);
    let full: Vec<_> = (0..100).map(|_| Field::new(b"x", b"y")).collect();
    assert_eq!(said(&full, &plain), 0);
}

#[test]
fn additions_to_a_full_response_head_are_left_out() {
    let received: Vec<Field<'_>> = (0..100).map(|_| Field::new(b"x", b"y")).collect();
    let edit = edits(&[("x-set", "new")], &[], &[]);
    let mut kept = Fields::new();
    response_fields(&received, &edit, false, &mut kept);
    assert_eq!(kept.len(), 100);
}

#[test]
fn passes_through_our_kind_are_counted_in_every_via() {
    let count = |values: &[&'static str]| {
        let field = |value: &&'static str| Field::new(b"via", value.as_bytes());
        passes(&values.iter().map(field).collect::<Vec<_>>())
    };
    assert_eq!(count(&[]), 0);
    assert_eq!(count(&["1.1 openclaw"]), 1);
    assert_eq!(count(&["1.0 fred, 1.1 openclaw (x)", "2.0\topenclaw,,"]), 2);
    assert_eq!(count(&["1.1 openclaws", "openclaw", "1.1 x openclaw"]), 0);
}

#[test]
fn trailers_that_connection_names_are_known() {
    let fields = |values: &'static [&'static str]| -> Vec<Field<'static>> {
        let field = |value: &&'static str| Field::new(b"connection", value.as_bytes());
        values.iter().map(field).collect()
    };
    assert!(named(&fields(&["close", "keep-alive, upgrade"])).is_empty());
    let list = named(&fields(&["close, X-A", "x-b"]));
    for (name, expected) in [("x-a", true), ("X-B", true), ("x-c", false)] {
        assert_eq!(is_named(&list, name.as_bytes()), expected, "{name}");
    }
}

#[test]
fn a_switch_is_one_of_those_that_were_offered() {
    for (chosen, expected) in [
        (&["websocket"][..], true),
        (&["WebSocket"], true),
        (&["foo/2, websocket"], true),
        (&["websocket", "h2c"], false),
        (&[""], false),
        (&[], false),
    ] {
        let field = |value: &&'static str| Field::new(b"upgrade", value.as_bytes());
        let fields: Vec<Field<'_>> = chosen.iter().map(field).collect();
        let got = switches_as_offered(&fields, b"foo/2, websocket");
        assert_eq!(got, expected, "{chosen:?}");
    }
}
