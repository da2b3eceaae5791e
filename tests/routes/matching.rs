//! Every condition that a route can have, and which route goes before which.

use super::Stage;

/// Routes that answer with their own number as status, from 201.
fn stage(matches: &[&str]) -> Stage {
    let mut text = String::new();
    for (number, one) in matches.iter().enumerate() {
        let status = 201 + number;
        let route = format!("[[route]]\nmatch = {one}\nrespond = {{ status = {status} }}\n");
        text.push_str(&route);
    }
    Stage::start(&text)
}

fn check(stage: &Stage, rows: &[(&str, &str, u16)]) {
    for (target, lines, expected) in rows {
        let status = stage.ask(target, lines).status();
        assert_eq!(status, *expected, "{target} {lines:?}");
    }
}

#[test]
fn paths_are_exact_then_expressions_in_file_order_then_the_longest_prefix() {
    let stage = stage(&[
        "{ path = \"/api\" }",
        "{ path = \"/api/v2\" }",
        "{ path_regex = '^/api/[a-z]+$' }",
        "{ path_regex = '^/api/.*' }",
        "{ path_exact = \"/api/exact\" }",
        "{ host = \"b.test\" }",
        "{ host = \"*.c.test\", path = \"/api\" }",
    ]);
    check(
        &stage,
        &[
            ("/api", "", 201),
            ("/apix", "", 404),
            ("/api/exact", "", 205),
            ("/api/word", "", 203),
            ("/api/v2/x", "", 204),
            ("/api/9", "", 204),
            ("/", "", 404),
        ],
    );
    let asked = |host: &str, path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        crate::support::RawClient::connect(stage.web)
            .exchange(request)
            .status()
    };
    assert_eq!(asked("b.test", "/api/exact"), 206);
    assert_eq!(asked("x.y.c.test:80", "/api/exact"), 207);
    assert_eq!(asked("c.test", "/api/exact"), 205);
    assert_eq!(asked("x.c.test", "/api2"), 404, "no other host has it");
}

#[test]
fn conditions_are_all_to_hold_and_more_of_them_go_first() {
    let stage = stage(&[
        "{}",
        "{ header = { X-Beta = \"1\" } }",
        "{ header = { X-Beta = true } }",
        "{ header = { X-Beta = \"1\" }, cookie = { version = \"2\" } }",
        "{ query = { beta = \"1\", gone = false } }",
        "{ client = [\"198.51.100.0/24\", \"2001:db8::/32\"] }",
        "{ cookie = { session = true } }",
        "{ scheme = \"https\" }",
    ]);
    check(
        &stage,
        &[
            ("/", "", 201),
            ("/", "X-Beta: 1\r\n", 202),
            ("/", "x-beta: 2\r\n", 203),
            ("/", "X-Beta: 1\r\nCookie: a=b; version=2\r\n", 204),
            ("/?a&beta=1", "", 205),
            ("/?beta=1&gone", "", 201),
            ("/?beta=11", "", 201),
            ("/", "X-Forwarded-For: 198.51.100.9\r\n", 206),
            ("/", "X-Forwarded-For: 2001:db8::9\r\n", 206),
            ("/", "X-Forwarded-For: 203.0.113.9\r\n", 201),
            ("/", "Cookie: session=x\r\n", 207),
            ("/", "Cookie: sessions=x\r\n", 201),
            ("/", "X-Forwarded-Proto: https\r\n", 208),
        ],
    );
}
