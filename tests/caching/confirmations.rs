//! What an origin says when it confirms what is stored.

use super::{Stage, ok, status};

#[test]
fn what_comes_with_a_confirmation_for_one_is_for_no_other() {
    for lines in [
        "Set-Cookie: session=secret\r\nCache-Control: max-age=60\r\n",
        "X-For: a\r\nCache-Control: private, max-age=60\r\n",
        "X-For: a\r\nCache-Control: no-store, max-age=60\r\n",
        "X-For: a\r\nVary: *\r\nCache-Control: max-age=60\r\n",
    ] {
        let stage = Stage::start("", move |request, _| {
            match request.header("if-none-match") {
                Some(_) => format!("HTTP/1.1 304 Not Modified\r\nETag: \"v\"\r\n{lines}\r\n"),
                None => ok("Cache-Control: max-age=0\r\nETag: \"v\"\r\n", "same"),
            }
        });
        assert_eq!(stage.get("/a", "").text(), "same");
        let (name, value) = lines
            .split_once("\r\n")
            .unwrap()
            .0
            .split_once(": ")
            .unwrap();
        let own = stage.get("/a", "");
        assert_eq!(
            (own.text(), own.header(name)),
            ("same".into(), Some(value)),
            "{lines}"
        );
        let other = stage.get("/a", "");
        assert_eq!(
            (other.text(), other.header(name)),
            ("same".into(), None),
            "{lines}"
        );
        // It was no confirmation of what everybody may have: that has gone.
        let asked = stage.origin.requests();
        assert_eq!(asked.len(), 3, "{lines}");
        assert_eq!(asked[2].header("if-none-match"), None, "{lines}");
    }
}

#[test]
fn a_confirmation_may_say_what_tells_responses_apart() {
    let stage = Stage::start("", |request, before| {
        let user = request.header("x-user").unwrap_or_default();
        let vary = "Vary: X-User\r\nCache-Control: max-age=60\r\n";
        match request.header("if-none-match") {
            Some(_) => format!("HTTP/1.1 304 Not Modified\r\nETag: \"v\"\r\n{vary}\r\n"),
            None if before > 0 => ok(vary, user),
            None => ok("Cache-Control: max-age=0\r\nETag: \"v\"\r\n", user),
        }
    });
    let text = |user: &str| stage.get("/a", &format!("X-User: {user}\r\n")).text();
    assert_eq!([text("a"), text("a"), text("a")], ["a", "a", "a"]);
    assert_eq!(stage.asked(), 2);
    assert_eq!([text("b"), text("a")], ["b", "a"]);
    assert_eq!(stage.asked(), 3);
}

#[test]
fn what_only_one_request_says_is_no_word_about_what_is_stored() {
    let stage = Stage::start("", |request, before| {
        match request.header("if-none-match") {
            Some(_) => format!(
                "HTTP/1.1 304 Not Modified\r\nETag: \"v\"\r\nX-Seen: {before}\r\nCache-Control: max-age=60\r\n\r\n"
            ),
            None => ok("Cache-Control: max-age=0\r\nETag: \"v\"\r\n", "same"),
        }
    });
    assert_eq!(stage.get("/a", "").text(), "same");
    for lines in [
        "Authorization: Basic YTpi\r\n",
        "Cache-Control: no-store\r\n",
        "",
    ] {
        let found = stage.get("/a", lines);
        let fresh = status(&found).contains("fwd-status=304");
        assert_eq!((found.text(), fresh), ("same".into(), true), "{lines}");
    }
    assert_eq!(stage.get("/a", "").header("x-seen"), Some("3"));
    assert_eq!(stage.asked(), 4);
}
