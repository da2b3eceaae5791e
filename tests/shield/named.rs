//! Clients that a trusted proxy names: the lists hold for them as if they had connected themselves.

use super::closing::{ANSWER, Stage};

/// Its peer 127.0.0.5 is believed, and 127.0.0.6 is not.
const TRUSTING: &str = "trusted_proxies = [\"127.0.0.5\"]\n";

/// What somebody at the end of the loopback network is answered who names a client.
fn asked(stage: &Stage, last: u8, field: &str) -> (u16, String) {
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
    let answer = stage.from(last).exchange(&request);
    (answer.status(), answer.text())
}

fn assert_refused((status, text): (u16, String), reason: &str) {
    assert_eq!(status, 403, "{text}");
    assert!(text.contains(reason), "{text}");
}

#[test]
fn a_client_that_is_blocked_is_refused_behind_a_trusted_proxy() {
    let stage = Stage::start(&format!(
        "{TRUSTING}{ANSWER}[shield]\nallow = [\"203.0.113.7\"]\nblock = [\"203.0.113.0/24\", \"2001:db8::/32\"]\n"
    ));
    for field in [
        "X-Forwarded-For: 203.0.113.9",
        "X-Forwarded-For: 198.51.100.1, 203.0.113.9, 127.0.0.5",
        "X-Forwarded-For: 2001:db8::1",
        "Forwarded: for=203.0.113.9",
    ] {
        assert_refused(asked(&stage, 5, field), "shield.block");
    }
    // Workers write their lines in their own time, so the first one may be any.
    let line = stage.proxy.wait_for_access("\"client\":\"203.0.113.9\"");
    assert!(line.contains("shield.block"), "{line}");
    for field in [
        "X-Forwarded-For: 198.51.100.1",
        "X-Forwarded-For: 203.0.113.7",
        "X-Forwarded-For: 203.0.113.9, 198.51.100.1",
        "X-Id: 1",
    ] {
        assert_eq!(asked(&stage, 5, field).0, 200, "{field}");
    }
    // Who is not believed names nobody.
    let field = "X-Forwarded-For: 203.0.113.9";
    assert_eq!(asked(&stage, 6, field).0, 200);
}

#[test]
fn a_ban_holds_for_the_next_request_of_a_connection_that_serves_many_clients() {
    let stage = Stage::start(&format!("{TRUSTING}{ANSWER}"));
    let mut proxy = stage.from(5);
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n";
    assert_eq!(proxy.exchange(request).status(), 200);
    let add = ["blocklist", "add", "203.0.113.9", "--ttl", "1h"];
    stage.proxy.cli(&add).ok();
    assert_eq!(proxy.exchange(request).status(), 403);
    let other = request.replace("113.9", "113.8");
    assert_eq!(proxy.exchange(&other).status(), 200);
    stage.proxy.cli(&["blocklist", "del", "203.0.113.9"]).ok();
    assert_eq!(proxy.exchange(request).status(), 200);
}

#[test]
fn where_lists_are_only_watched_a_named_client_is_served() {
    let stage = Stage::start(&format!(
        "{TRUSTING}{ANSWER}[shield]\naction = \"monitor\"\nblock = [\"203.0.113.0/24\"]\n"
    ));
    let field = "X-Forwarded-For: 203.0.113.9";
    assert_eq!(asked(&stage, 5, field).0, 200);
}
