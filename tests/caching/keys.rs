//! What tells stored responses apart, and what goes past them.

use super::{Stage, ok, status};

const FRESH: &str = "Cache-Control: max-age=60\r\n";

#[test]
fn what_does_not_count_of_a_query_makes_no_difference() {
    let stage = Stage::start("key = { query = [\"id\", \"page\"] }", |request, _| {
        ok(FRESH, request.start.split(' ').nth(1).unwrap_or_default())
    });
    // The endpoint gets all of it.
    assert_eq!(
        stage.get("/a?utm=1&page=2&id=1", "").text(),
        "/a?utm=1&page=2&id=1"
    );
    assert_eq!(
        stage.get("/a?id=1&page=2&utm=9", "").text(),
        "/a?utm=1&page=2&id=1"
    );
    assert_eq!(stage.get("/a?id=2", "").text(), "/a?id=2");
    assert_eq!(stage.asked(), 2);
    let purged = stage
        .proxy
        .cli(&["cache", "purge", "http://a.test/a?id=1&page=2"]);
    assert_eq!(purged.ok().text(), "1 response purged\n");
    let blind = Stage::start("key = { query = \"none\" }", |_, before| {
        ok(FRESH, &before.to_string())
    });
    assert_eq!(
        (blind.get("/a?1", "").text(), blind.get("/a?2", "").text()),
        ("0".into(), "0".into())
    );
}

#[test]
fn a_cookie_counts_where_it_is_named() {
    let stage = Stage::start(
        "key = { cookies = [\"lang\"], headers = [\"X-Device\"] }",
        |_, before| ok(FRESH, &before.to_string()),
    );
    let ask = |lines: &str| stage.get("/a", lines).text();
    assert_eq!(ask("Cookie: lang=de; id=1\r\n"), "0");
    assert_eq!(ask("Cookie: id=2; lang=de\r\n"), "0");
    assert_eq!(ask("Cookie: lang=en\r\n"), "1");
    assert_eq!(ask("Cookie: lang=en\r\nX-Device: phone\r\n"), "2");
    assert_eq!(ask(""), "3");
    // A change is one of the resource, whoever made it.
    stage.ask("POST", "/a", "Content-Length: 0\r\n");
    assert_eq!(ask("Cookie: lang=de\r\n"), "5");
}

#[test]
fn who_is_known_goes_past() {
    let stage = Stage::start(
        "bypass = [\"cookie:session\", \"header:X-Preview\"]",
        |_, before| ok(FRESH, &before.to_string()),
    );
    assert_eq!(stage.get("/a", "").text(), "0");
    for (line, body) in [("Cookie: session=1\r\n", "1"), ("X-Preview: 1\r\n", "2")] {
        let past = stage.get("/a", line);
        assert_eq!(
            (past.text(), status(&past)),
            (body.to_owned(), "openclaw; fwd=bypass")
        );
    }
    assert_eq!(stage.get("/a", "Cookie: a=b\r\n").text(), "0");
}
