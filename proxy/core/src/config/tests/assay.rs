//! `[[test]]`.

use super::{accepted, load_text, rejected};
use crate::config::{Asks, Expect, Wanted};

fn text(keys: &str) -> String {
    format!("[listener.web]\nbind = \"127.0.0.1:80\"\n[[test]]\n{keys}\n")
}

fn refused(keys: &str, expected: &str) {
    let told = rejected(&text(keys)).to_string();
    assert!(told.contains(expected), "{keys}\n{told}");
}

#[test]
fn a_test_asks_one_thing_and_expects_another() {
    let keys = "request = \"GET https://www.example.com:8443/a?b#c\"\nheaders = { \"X-Beta\" = \"1\" }\nfrom = \"2001:db8::9\"\n\
                listener = \"web\"\nprotocol = \"h2\"\ntimes = 11\nexpect = { route = \"a\", status = 200, headers = { Via = false } }";
    let test = accepted(&text(keys)).tests.remove(0);
    assert_eq!(test.name, "GET https://www.example.com:8443/a?b#c");
    let Asks::Request(asked) = test.asks else {
        panic!("{:?}", test.asks)
    };
    let head = "GET /a?b HTTP/1.1\r\nHost: www.example.com:8443\r\nX-Beta: 1\r\n\r\n";
    assert_eq!(String::from_utf8(asked.head).unwrap(), head);
    assert_eq!((asked.scheme, asked.port), (Some("https"), Some(8443)));
    assert_eq!(
        (asked.from.to_string().as_str(), asked.times),
        ("2001:db8::9", 11)
    );
    let expected = Expect {
        route: Some("a".to_owned()),
        status: Some(200),
        headers: vec![("via".to_owned(), Wanted::Absent)],
        ..Expect::default()
    };
    assert_eq!(test.expect, expected);
    let keys = "name = \"blocked\"\npacket = \"tcp 203.0.113.9 -> :443 syn\"\nexpect = { verdict = \"drop\", reason = \"shield.block\" }";
    let test = accepted(&text(keys)).tests.remove(0);
    assert_eq!(test.name, "blocked");
    assert_eq!(test.asks.text(), "tcp 203.0.113.9 -> :443 syn");
}

#[test]
fn what_cannot_be_asked_is_told() {
    let expect = "expect = { status = 200 }";
    refused(expect, "this test asks nothing");
    refused("request = \"GET /\"", "missing key `expect`");
    refused(
        "request = \"GET /\"\nexpect = {}",
        "this test expects nothing",
    );
    refused(
        &format!("request = \"http://a\"\n{expect}"),
        "did you mean \"GET http://a\"?",
    );
    refused(
        &format!("request = \"GET a\"\n{expect}"),
        "neither a URL nor a path",
    );
    refused(&format!("request = \"GET /a b\"\n{expect}"), "a blank");
    refused(
        &format!("request = \"GET /\"\nfrom = \"a\"\n{expect}"),
        "`a` is no address",
    );
    refused(
        &format!("request = \"GET /\"\nprotocol = \"h4\"\n{expect}"),
        "did you mean",
    );
    refused(
        &format!("request = \"GET /\"\ntimes = 0\n{expect}"),
        "out of range",
    );
    refused(
        "request = \"GET /\"\nexpect = { stats = 200 }",
        "did you mean `status`?",
    );
    refused(
        "request = \"GET /\"\nexpect = { status = 99 }",
        "out of range",
    );
    refused(
        "request = \"GET /\"\nexpect = { cache = \"hit\" }",
        "is not known here",
    );
}

#[test]
fn packets_are_no_requests() {
    let drop = "expect = { verdict = \"drop\" }";
    let check = |packet: &str, expected: &str| {
        refused(&format!("packet = \"{packet}\"\n{drop}"), expected);
    };
    check("tcp 203.0.113.9 :443", "an arrow");
    check("tcp 203.0.113.9 -> 443", "no address with a port");
    check(
        "tcp 203.0.113.9 -> 192.0.2.1",
        "the port that it goes to is missing",
    );
    check("tcp 203.0.113.9 -> [2001:db8::1]:443", "two families");
    check("sctp 203.0.113.9 -> :443", "none of tcp, udp and icmp");
    check(
        "udp 203.0.113.9 -> :443 syn",
        "says nothing of a packet of udp",
    );
    check("tcp 203.0.113.999 -> :443", "no address");
    let packet = "packet = \"tcp 203.0.113.9 -> :443\"";
    refused(
        &format!("{packet}\nexpect = {{ status = 200 }}"),
        "a `verdict` and a `reason` alone",
    );
    refused(
        &format!("{packet}\nfrom = \"192.0.2.1\"\n{drop}"),
        "are of requests",
    );
    refused(
        &format!("{packet}\nrequest = \"GET /\"\n{drop}"),
        "exclude each other",
    );
}

#[test]
fn a_name_that_nothing_has_is_told_with_what_is_meant() {
    let with = |keys: &str| {
        format!(
            "[listener.web]\nbind = \"127.0.0.1:80\"\n[upstream.app]\nendpoints = \"127.0.0.1:1\"\n\
             [[route]]\nname = \"a\"\nto = \"app\"\n[[test]]\nrequest = \"GET http://a/\"\n{keys}\n"
        )
    };
    for (keys, place, told) in [
        (
            "expect = { route = \"b\" }",
            "test[0].expect.route",
            "there is no route `b`",
        ),
        (
            "expect = { route = \"A\" }",
            "test[0].expect.route",
            "did you mean `a`?",
        ),
        (
            "expect = { upstream = \"ap\" }",
            "test[0].expect.upstream",
            "did you mean `app`?",
        ),
        (
            "expect = { reason = \"limit.rates\" }",
            "test[0].expect.reason",
            "did you mean `limit.rate`?",
        ),
        (
            "expect = { reason = \"nonsense\" }",
            "test[0].expect.reason",
            "`openclaw reasons` lists them",
        ),
        (
            "listener = \"wep\"\nexpect = { status = 200 }",
            "test[0].listener",
            "did you mean `web`?",
        ),
    ] {
        let warnings = load_text(&with(keys)).unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{keys}");
        assert_eq!(warnings[0].key, place);
        assert!(warnings[0].to_string().contains(told), "{}", warnings[0]);
    }
    for expect in [
        "reason = \"shield.block\"",
        "reason = \"shield.rate_syn\"",
        "upstream = \"app\"",
    ] {
        let loaded = load_text(&with(&format!("expect = {{ {expect} }}"))).unwrap();
        assert!(loaded.warnings.is_empty(), "{expect}");
    }
}

#[test]
fn a_path_without_a_host_asks_localhost() {
    let head = |keys: &str| {
        let test = accepted(&text(keys)).tests.remove(0);
        let Asks::Request(asked) = test.asks else {
            panic!("{:?}", test.asks)
        };
        assert_eq!(test.name, "GET /x");
        String::from_utf8(asked.head).unwrap()
    };
    let keys = "request = \"GET /x\"\nexpect = { status = 200 }";
    assert_eq!(head(keys), "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let named = format!("{keys}\nheaders = {{ host = \"a.test\" }}");
    assert_eq!(head(&named), "GET /x HTTP/1.1\r\nhost: a.test\r\n\r\n");
}
