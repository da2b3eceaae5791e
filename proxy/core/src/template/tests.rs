//! What becomes of variables, and of what clients write where they stand.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::IpAddr;

use proptest::prelude::*;
use regex::bytes::Regex;

use super::*;
use crate::route::Request;

struct Asked<'a> {
    path: &'a [u8],
    query: &'a [u8],
    value: &'a [u8],
}

impl Request for Asked<'_> {
    fn host(&self) -> &[u8] {
        b"a.test"
    }
    fn path(&self) -> &[u8] {
        self.path
    }
    fn query(&self) -> &[u8] {
        self.query
    }
    fn method(&self) -> &[u8] {
        b"GET"
    }
    fn header(&self, name: &str) -> Option<&[u8]> {
        (name == "x-a").then_some(self.value)
    }
    fn cookies(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&b"a=b; c=crumb"[..])
    }
    fn client(&self) -> IpAddr {
        [192, 0, 2, 7].into()
    }
    fn scheme(&self) -> &'static str {
        "https"
    }
}

fn facts<'a>(asked: &'a Asked<'a>, target: &'a [u8]) -> Facts<'a, Asked<'a>> {
    Facts {
        request: asked,
        target,
        id: "id-1",
        route: "api",
        upstream: "app",
        local: "127.0.0.1:80".parse().unwrap(),
    }
}

const ASKED: Asked<'_> = Asked {
    path: b"/a/b c",
    query: b"x=1&y=%20",
    value: b"v/1",
};
const TARGET: &[u8] = b"/a/b%20c?x=1&y=%20";

#[test]
fn variables_are_filled_in_and_all_else_stays() {
    let check = |text: &str, expected: &str| {
        let template = parse(text, None).unwrap();
        let filled = template.filled(&facts(&ASKED, TARGET)).filled(&Status(404));
        let filled = String::from_utf8_lossy(filled.plain().unwrap()).into_owned();
        assert_eq!(filled, expected, "{text}");
        let is_plain = template.plain().is_some();
        assert_eq!(is_plain, template.variables().next().is_none(), "{text}");
    };
    check("plain", "plain");
    check("{client_ip}", "192.0.2.7");
    check(
        "{method} {scheme}://{host}{path}?{query}",
        "GET https://a.test/a/b%20c?x=1&y=%20",
    );
    check("{uri}", "/a/b%20c?x=1&y=%20");
    check("<{request_id}/{route}/{upstream}>", "<id-1/api/app>");
    check("{header.X-A} {cookie.c} {query.y}", "v/1 crumb %20");
    check("[{header.X-B}{cookie.z}{query.z}]", "[]");
    check("a {header.x-b}", "a");
    check("{status}: {host}", "404: a.test");
    check("{{host} {host}", "{host} a.test");
    check(
        "{\"group\":{\"a\":1}} $1 {} { x } {",
        "{\"group\":{\"a\":1}} $1 {} { x } {",
    );
}

#[test]
fn a_word_that_is_no_variable_is_told_with_what_was_meant() {
    for (text, message, hint) in [
        (
            "{clientip}",
            "there is no variable `clientip`",
            "did you mean `client_ip`?",
        ),
        (
            "{hots}",
            "there is no variable `hots`",
            "did you mean `host`?",
        ),
        (
            "{header.}",
            "there is no variable `header.`",
            "there are client_ip",
        ),
        (
            "{env.x}",
            "there is no variable `env.x`",
            "write `{{env.x}`",
        ),
    ] {
        let complaint = parse(text, None).unwrap_err();
        assert_eq!(complaint.message, message);
        assert!(complaint.hint.unwrap().contains(hint), "{text}");
    }
    let regex = Regex::new("^/(?P<one>a)(b)$").unwrap();
    for text in ["$3", "$two", "$", "a$ b"] {
        assert!(parse(text, Some(&regex)).is_err(), "{text}");
    }
}

/// What `to` makes of a path.
fn rewritten(regex: &str, to: &str, path: &str, query: &str) -> String {
    let regex = Regex::new(regex).unwrap();
    let template = parse(to, Some(&regex)).unwrap();
    let captures = regex.captures(path.as_bytes());
    let source = facts(&ASKED, TARGET);
    let made = path_of(&template, captures.as_ref(), &source, query.as_bytes());
    String::from_utf8(made).unwrap()
}

#[test]
fn groups_become_parts_of_a_path_and_nothing_else() {
    let check = |to: &str, path: &str, query: &str, expected: &str| {
        assert_eq!(
            rewritten("^/v(?P<n>[0-9])/(.*)$", to, path, query),
            expected,
            "{to} {path}"
        );
    };
    check("/api/$2", "/v1/x/y", "", "/api/x/y");
    check("/api/$2", "/v1/x/y", "q=1", "/api/x/y?q=1");
    check("/$n/$2?v=$1", "/v1/x", "q=1", "/1/x?v=1&q=1");
    check("/$$/$2", "/v1/x", "", "/$/x");
    check(
        "/$2",
        "/v1/a b?c#d%e\"\u{e9}",
        "",
        "/a%20b%3Fc%23d%25e%22%C3%A9",
    );
    check("/$2", "/v1/a\tb\u{7f}", "", "/a%09b%7F");
    check(
        "/{header.x-a}/{host}{path}",
        "/v1/",
        "",
        "/v%2F1/a.test/a/b%20c",
    );
}

#[test]
fn nobody_is_sent_to_another_host_by_a_path() {
    let asked = Asked {
        query: b"x=1&y=%20&back=\\\\b.test&next=//b.test",
        ..ASKED
    };
    let check = |to: &str, target: &str, expected: &str| {
        let template = parse(to, None).unwrap();
        let made = sent_to(&template, None, &facts(&asked, target.as_bytes()), b"");
        assert_eq!(String::from_utf8(made).unwrap(), expected, "{to} {target}");
    };
    let query = "x=1&y=%20&back=%5C%5Cb.test&next=//b.test";
    check(
        "https://{host}{uri}",
        "/a",
        &format!("https://a.test/a?{query}"),
    );
    check("/{query.back}", "/a", "/%5C%5Cb.test");
    check("/{query.next}", "/a", "/b.test");
    check(
        "https://{host}{path}",
        "//b.test/a",
        "https://a.test//b.test/a",
    );
    check("/{path}", "//b.test/a", "/b.test/a");
    check("{path}", "//b.test/a", "/b.test/a");
    check("https://{host}{path}", "*", "https://a.test/");
}

proptest! {
    #[test]
    fn whatever_a_client_writes_stays_in_its_place(
        path in prop::collection::vec(any::<u8>(), 0..40),
        value in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let regex = Regex::new("(?s-u)^/(.*)$").unwrap();
        let template = parse("/x/$1/{header.x-a}", Some(&regex)).unwrap();
        let path = [b"/", &path[..]].concat();
        let asked = Asked { path: &path, query: b"", value: &value };
        let captures = regex.captures(&path);
        let made = path_of(&template, captures.as_ref(), &facts(&asked, TARGET), b"");
        prop_assert!(made.iter().all(|byte| byte.is_ascii_graphic() && !b"?#\"<>\\".contains(byte)));
        prop_assert!(made.starts_with(b"/x/"));
    }
}
