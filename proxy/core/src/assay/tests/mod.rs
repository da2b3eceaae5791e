//! What becomes of requests and packets, by table.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod diff;
mod nowhere;
mod prefixes;
mod replay;

use std::net::IpAddr;

use openclaw_common::judgement::Decision;
use openclaw_common::packet::{Address, Header, Parsed, parse};
use openclaw_common::verdict::Reason;

use super::{Asked, Gate, Open, Packet, World, unmet};
use crate::config::{Asks, Config, NoFiles, Source, load};

const CONFIG: &str = r#"
[listener.web]
bind = ["127.0.0.1:80"]
trusted_proxies = ["10.0.0.0/8"]
max_header = "1k"

[listener.webs]
bind = ["127.0.0.1:443"]
tls = { self_signed = ["www.example.com"] }

[listener.db]
bind = ["127.0.0.1:5432"]
mode = "tcp"
to = "app"

[upstream.app]
endpoints = ["127.0.0.1:9001"]

[upstream.next]
endpoints = ["127.0.0.1:9002"]

[[route]]
name = "static"
match = { host = "www.example.com", path = "/static" }
cache = { bypass = ["cookie:sess"] }
headers = { response = { set = { "X-Who" = "{client_ip} {upstream} {status}" }, remove = ["Server"] } }
strip_prefix = "/static"
to = "app"

[[route]]
name = "drawn"
match = { path = "/drawn" }
to = [{ upstream = "app" }, { upstream = "next" }]
split_by = "random"

[[route]]
name = "limited"
match = { path = "/limited" }
limit = { rate = "10/min", burst = 5 }
max_body = "1k"
to = "app"

[[route]]
name = "old"
match = { path_regex = '^/old/(.*)$', scheme = "http" }
redirect = { to = "https://{host}/new/$1", status = 308 }

[[route]]
name = "teapot"
match = { path = "/teapot", client = ["192.0.2.0/24"] }
respond = { status = 418, body = "short and stout" }
"#;

fn config(tests: &str) -> Config {
    read(&format!("{CONFIG}\n{tests}"))
}

fn read(text: &str) -> Config {
    let source = Source {
        name: "test.toml",
        text,
        files: &NoFiles,
        variable: &|_| None,
    };
    load(&source).unwrap_or_else(|told| panic!("{told}")).config
}

/// The misses of a test, `key: expected, got`.
fn told(test: &str, gate: &dyn Gate) -> Vec<String> {
    let config = config(&format!("[[test]]\n{test}\n"));
    let test = &config.tests[0];
    let world = World::new(&config, gate);
    let fate = match &test.asks {
        Asks::Request(asked) => world.fate(asked),
        Asks::Packet(packet) => world.packet(packet),
    };
    let all = unmet(test, &fate, &config).into_iter();
    all.map(|it| format!("{}: {}, {}", it.key.join("."), it.expected, it.got))
        .collect()
}

fn passes(test: &str) {
    assert_eq!(told(test, &Open), [""; 0], "{test}");
}

fn fails(test: &str, expected: &[&str]) {
    assert_eq!(told(test, &Open), expected, "{test}");
}

#[test]
fn what_is_sent_on_counts_as_success() {
    let get = "request = \"GET http://www.example.com/static/a.png?x\"\n";
    let check = |expect: &str| passes(&format!("{get}expect = {{ {expect} }}"));
    check("route = \"static\", status = 200");
    check(
        "status = 204, upstream = \"app\", target = \"/a.png?x\", cache = \"store\", verdict = \"pass\"",
    );
    check("headers = { \"X-Who\" = \"127.0.0.1 app 200\", Server = false, x-who = true }");
    fails(
        &format!(
            "{get}expect = {{ status = 404, route = \"drawn\", upstream = \"next\", location = \"/\" }}"
        ),
        &[
            "route: drawn, static",
            "location: /, none",
            "upstream: next, app",
            "status: 404, sent on, to app",
        ],
    );
    let drawn = "request = \"GET http://a.test/drawn\"\n";
    passes(&format!(
        "{drawn}expect = {{ upstream = \"app\", cache = \"none\" }}"
    ));
    passes(&format!("{drawn}expect = {{ upstream = \"next\" }}"));
    let head = "request = \"HEAD http://www.example.com/static\"\n";
    passes(&format!(
        "{head}expect = {{ cache = \"lookup\", target = \"/\" }}"
    ));
    passes(
        "request = \"GET http://www.example.com/static\"\nheaders = { Cookie = \"sess=1\" }\nexpect = { cache = \"none\" }",
    );
}

#[test]
fn what_the_proxy_answers_itself_is_known() {
    passes(
        "request = \"GET http://a.test/old/x\"\nexpect = { route = \"old\", status = 308, location = \"https://a.test/new/x\", headers = { Location = true } }",
    );
    passes(
        "request = \"GET https://a.test/old/x\"\nexpect = { status = 404, reason = \"route.none\" }",
    );
    let teapot = "request = \"GET /teapot\"\nheaders = { Host = \"a.test\" }\n";
    passes(&format!(
        "{teapot}from = \"192.0.2.7\"\nexpect = {{ status = 418, headers = {{ Content-Type = \"text/plain; charset=utf-8\" }} }}"
    ));
    fails(
        &format!("{teapot}from = \"192.0.3.7\"\nexpect = {{ status = 418, route = \"teapot\" }}"),
        &["route: teapot, none", "status: 418, 404"],
    );
}

#[test]
fn refusals_have_their_reasons() {
    let post = "request = \"POST http://a.test/limited\"\n";
    passes(&format!(
        "{post}headers = {{ Content-Length = \"1025\" }}\nexpect = {{ route = \"limited\", status = 413, reason = \"http.body_too_large\" }}"
    ));
    passes(&format!(
        "{post}headers = {{ Content-Length = \"1024\" }}\nexpect = {{ status = 200 }}"
    ));
    passes(&format!("{post}times = 15\nexpect = {{ status = 200 }}"));
    passes(&format!(
        "{post}times = 16\nexpect = {{ status = 429, reason = \"limit.rate\", headers = {{ Retry-After = \"6\" }} }}"
    ));
    passes(
        "request = \"GET /\"\nheaders = { Host = \"a b\" }\nexpect = { status = 400, reason = \"http.malformed\" }",
    );
    let long = "a".repeat(2000);
    passes(&format!(
        "request = \"GET http://a.test/{long}\"\nexpect = {{ status = 414 }}"
    ));
    passes(&format!(
        "request = \"GET https://a.test/{long}\"\nexpect = {{ status = 404 }}"
    ));
}

#[test]
fn a_listener_says_who_asks_and_over_what() {
    let teapot =
        "request = \"GET http://a.test/teapot\"\nheaders = { X-Forwarded-For = \"192.0.2.7\" }\n";
    passes(&format!(
        "{teapot}from = \"10.0.0.1\"\nexpect = {{ route = \"teapot\" }}"
    ));
    passes(&format!(
        "{teapot}from = \"11.0.0.1\"\nexpect = {{ reason = \"route.none\" }}"
    ));
    passes(
        "request = \"GET http://a.test/old/x\"\nfrom = \"10.0.0.1\"\nheaders = { X-Forwarded-Proto = \"https\" }\nexpect = { reason = \"route.none\" }",
    );
    let path =
        "request = \"GET /old/x\"\nheaders = { Host = \"a.test\" }\nexpect = { status = 308 }\n";
    passes(&format!("{path}listener = \"web\""));
    fails(&format!("{path}listener = \"webs\""), &["status: 308, 404"]);
    for (way, why) in [
        ("listener = \"wob\"", "there is no listener `wob`"),
        (
            "listener = \"db\"",
            "the listener `db` is of mode tcp and reads no requests",
        ),
        (
            "listener = \"web\"\nprotocol = \"h3\"",
            "the listener `web` does not speak h3",
        ),
    ] {
        fails(
            &format!("{path}{way}"),
            &[&format!("status: 308, none, {why}")],
        );
    }
}

/// Drops what comes from 203.0.113.9.
#[derive(Debug)]
struct Guarded;

impl Gate for Guarded {
    fn connection(&self, peer: IpAddr) -> Decision {
        let blocked: IpAddr = [203, 0, 113, 9].into();
        if peer == blocked {
            Reason::Block
        } else {
            Reason::Pass
        }
        .into()
    }

    fn frame(&self, frame: &[u8]) -> Decision {
        let Parsed::Flow(flow) = parse(frame) else {
            return Reason::Malformed.into();
        };
        match flow.source {
            Address::V4([203, 0, 113, 9]) => Reason::Block.into(),
            Address::V4(_) | Address::V6(_) => Reason::Pass.into(),
        }
    }
}

#[test]
fn a_client_that_a_trusted_proxy_names_is_refused_as_it_would_be_itself() {
    let config = config("");
    let world = World::new(&config, &Guarded);
    let fate = |from: [u8; 4], client: &str| {
        let fields = [("X-Forwarded-For".to_owned(), client.to_owned())];
        let asked = Asked::new("GET", "http://www.example.com/static/", &fields).unwrap();
        world.fate(&Asked {
            from: from.into(),
            ..asked
        })
    };
    let refused = fate([10, 0, 0, 5], "203.0.113.9");
    assert_eq!(refused.does(), "refused with 403, shield.block");
    assert_eq!(fate([10, 0, 0, 5], "203.0.113.8").reason, None);
    // Whom nobody trusts names nobody.
    assert_eq!(fate([127, 0, 0, 6], "203.0.113.9").reason, None);
}

#[test]
fn the_shield_goes_before_everything() {
    let blocked = "request = \"GET http://a.test/drawn\"\nfrom = \"203.0.113.9\"\n";
    let gate = &Guarded;
    let test = format!("{blocked}expect = {{ verdict = \"drop\", reason = \"shield.block\" }}");
    assert_eq!(told(&test, gate), [""; 0]);
    let test = format!("{blocked}expect = {{ status = 200 }}");
    assert_eq!(
        told(&test, gate),
        ["status: 200, none, dropped, shield.block"]
    );
    let test = "packet = \"tcp 203.0.113.9 -> :443 syn\"\nexpect = { verdict = \"drop\", reason = \"shield.block\" }";
    assert_eq!(told(test, gate), [""; 0]);
    let test = "packet = \"udp 203.0.113.8 -> :443\"\nexpect = { verdict = \"drop\" }";
    assert_eq!(told(test, gate), ["verdict: drop, pass"]);
}

#[test]
fn what_can_never_be_met_is_said() {
    let hint = |expect: &str| {
        let test = format!("[[test]]\nrequest = \"GET http://a.test/\"\nexpect = {{ {expect} }}");
        let config = config(&test);
        let Asks::Request(asked) = &config.tests[0].asks else {
            panic!("{test}")
        };
        let fate = World::new(&config, &Open).fate(asked);
        unmet(&config.tests[0], &fate, &config)
            .remove(0)
            .hint
            .unwrap_or_default()
    };
    assert_eq!(hint("route = \"stetic\""), "there is no route of that name");
    assert_eq!(
        hint("upstream = \"ap\""),
        "there is no upstream of that name"
    );
    assert!(hint("reason = \"shield.blocc\"").contains("openclaw reasons"));
    assert_eq!(hint("reason = \"shield.block\""), "");
}

#[test]
fn packets_are_read_back_as_they_were_meant() {
    let check = |text: &str, header: Header, flags: u8, fragment: bool| {
        let frame = Packet::read(text).unwrap().frame();
        let Parsed::Flow(flow) = parse(&frame[..]) else {
            panic!("{text}")
        };
        assert_eq!(
            (flow.transport.header, flow.transport.flags),
            (header, flags),
            "{text}"
        );
        assert_eq!(flow.fragment, fragment, "{text}");
        flow
    };
    let flow = check("tcp 203.0.113.9 -> :443 syn", Header::Tcp, 0x02, false);
    assert_eq!(flow.source, Address::V4([203, 0, 113, 9]));
    assert_eq!(
        (flow.transport.source, flow.transport.destination),
        (40_000, 443)
    );
    let flow = check(
        "tcp [2001:db8::9]:7 -> [2001:db8::1]:8443 syn,ack",
        Header::Tcp,
        0x12,
        false,
    );
    assert_eq!(
        (flow.transport.source, flow.transport.destination),
        (7, 8443)
    );
    check("tcp 203.0.113.9 -> :443 none", Header::Tcp, 0, false);
    check("tcp 203.0.113.9 -> :443", Header::Tcp, 0x02, false);
    check(
        "tcp 2001:db8::9 -> :443 ack fragment",
        Header::Tcp,
        0x10,
        true,
    );
    check("udp 203.0.113.9 -> :53 fragment", Header::Udp, 0, true);
    let initial = check("udp 203.0.113.9 -> :443 initial", Header::Udp, 0, false);
    assert_eq!(initial.transport.length, 1208);
    check("icmp 203.0.113.9 -> 192.0.2.1", Header::Opaque, 0, false);
    check("icmp 2001:db8::9 -> 2001:db8::1", Header::Icmp6, 0, false);
}

#[test]
fn a_request_is_written_as_a_client_would() {
    let head = |url: &str, fields: &[(&str, &str)]| {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let fields: Vec<_> = fields.iter().map(own).collect();
        let asked = Asked::new("GET", url, &fields).unwrap();
        (String::from_utf8(asked.head).unwrap(), asked.port)
    };
    let line = "GET / HTTP/1.1\r\n";
    assert_eq!(
        head("http://a.test", &[]),
        (format!("{line}Host: a.test\r\n\r\n"), None)
    );
    assert_eq!(
        head("http://[::1]:81/", &[]),
        (format!("{line}Host: [::1]:81\r\n\r\n"), Some(81))
    );
    assert_eq!(head("http://[::1]/", &[]).1, None);
    assert_eq!(
        head("http://a.test", &[("host", "b")]).0,
        format!("{line}host: b\r\n\r\n")
    );
    assert!(Asked::new("GET", "a.test", &[]).is_err());
    assert!(Asked::new("GET", "/\r\nX: y", &[]).is_err());
    let broken = [("X".to_owned(), "a\r\nY: b".to_owned())];
    assert!(Asked::new("GET", "/", &broken).is_err());
}
