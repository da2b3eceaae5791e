//! Responses whose time is over.

use super::{Stage, ok, status};
use crate::support::wait_until;

#[test]
fn what_its_origin_confirms_is_used_again() {
    let stage = Stage::start("", |request, before| {
        match request.header("if-none-match") {
            Some("\"v1\"") => {
                format!("HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\nX-Seen: {before}\r\n\r\n")
            }
            _ => ok("Cache-Control: no-cache\r\nETag: \"v1\"\r\n", "body"),
        }
    });
    assert_eq!(stage.get("/a", "").text(), "body");
    let again = stage.get("/a", "");
    assert_eq!(
        (again.status(), again.text(), again.header("x-seen")),
        (200, "body".into(), Some("1"))
    );
    assert!(
        status(&again).contains("fwd-status=304"),
        "{}",
        status(&again)
    );
    // The client's own condition is answered from the store, whatever the origin was asked.
    let known = stage.get("/a", "If-None-Match: \"v1\"\r\n");
    assert_eq!((known.status(), known.text()), (304, String::new()));
    assert_eq!(stage.asked(), 3);
}

#[test]
fn a_stale_response_is_better_than_an_error() {
    let stage = Stage::start("", |_, before| match before {
        0 => ok(
            "Cache-Control: max-age=0, stale-if-error=60\r\nETag: \"a\"\r\n",
            "old",
        ),
        1 => "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\ngone".into(),
        2 => "nonsense\r\n\r\n".into(),
        _ => ok("Cache-Control: max-age=60\r\n", "new"),
    });
    assert_eq!(stage.get("/a", "").text(), "old");
    for _ in 0..2 {
        let stale = stage.get("/a", "");
        assert_eq!((stale.status(), stale.text()), (200, "old".into()));
        assert!(
            status(&stale).starts_with("openclaw; hit; ttl="),
            "{}",
            status(&stale)
        );
    }
    assert_eq!(stage.get("/a", "").text(), "new");
}

#[test]
fn what_was_purged_softly_is_as_good_as_its_route_says_where_the_origin_fails() {
    for (rule, expected) in [
        ("", (503, "gone")),
        ("stale_if_error = \"1h\"", (200, "old")),
    ] {
        let stage = Stage::start(rule, |_, before| match before {
            0 => ok("Cache-Control: max-age=60\r\nETag: \"a\"\r\n", "old"),
            _ => "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\ngone".into(),
        });
        assert_eq!(stage.get("/a", "").text(), "old");
        let purge = ["cache", "purge", "--soft", "http://a.test/a"];
        assert_eq!(stage.proxy.cli(&purge).ok().text(), "1 response purged\n");
        let answer = stage.get("/a", "");
        assert_eq!((answer.status(), &*answer.text()), expected, "{rule}");
    }
}

#[test]
fn a_stale_response_is_refreshed_behind_the_answer() {
    let stage = Stage::start("", |_, before| {
        let lifetime = if before == 0 { 0 } else { 60 };
        ok(
            &format!("Cache-Control: max-age={lifetime}, stale-while-revalidate=60\r\n"),
            &before.to_string(),
        )
    });
    assert_eq!(stage.get("/a", "").text(), "0");
    let stale = stage.get("/a", "");
    assert_eq!(stale.text(), "0");
    wait_until("the new response", || stage.get("/a", "").text() == "1");
    assert_eq!(stage.asked(), 2);
}

#[test]
fn a_refusal_says_what_the_cache_made_of_the_request() {
    let stage = Stage::start("", |_, _| "no response".to_owned());
    let refused = stage.get("/a", "");
    assert_eq!(refused.status(), 502);
    let told = refused.header("Cache-Status");
    assert_eq!(told, Some("openclaw; fwd=uri-miss"));
}

#[test]
fn a_client_may_ask_for_more_or_for_less() {
    let stage = Stage::start("", |_, before| {
        ok("Cache-Control: max-age=60\r\n", &before.to_string())
    });
    let only = "Cache-Control: only-if-cached\r\n";
    let nothing = stage.get("/a", only);
    assert_eq!(nothing.status(), 504);
    assert!(
        nothing.text().contains("cache.not_stored"),
        "{}",
        nothing.text()
    );
    let told = nothing.header("Cache-Status");
    assert_eq!(told, Some("openclaw; detail=only-if-cached"));
    assert_eq!(stage.get("/a", "").text(), "0");
    assert_eq!(stage.get("/a", only).text(), "0");
    assert_eq!(stage.get("/a", "Cache-Control: no-cache\r\n").text(), "1");
    let deaf = Stage::start("obey_requests = false", |_, before| {
        ok("Cache-Control: max-age=60\r\n", &before.to_string())
    });
    assert_eq!(deaf.get("/a", "").text(), "0");
    assert_eq!(deaf.get("/a", "Cache-Control: no-cache\r\n").text(), "0");
}
