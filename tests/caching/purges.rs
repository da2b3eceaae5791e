//! What is on its way when it is purged or changed.

use std::io::ErrorKind;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use super::{Stage, ok};
use crate::support::{Origin, PATIENCE};

const FRESH: &str = "Cache-Control: max-age=60\r\nSurrogate-Key: t\r\nETag: \"v\"\r\n";

/// After a part of an answer that is not the last.
const MORE: &str = "...";

/// An origin that takes changes at once, and answers one GET after the other as it is told, when it is told.
fn held(rule: &str) -> (Stage, Sender<String>) {
    let (go, answers) = channel::<String>();
    let answers = Mutex::new(answers);
    let origin = Origin::start(move |peer| {
        while let Some(request) = peer.request()? {
            if !request.start.starts_with("GET") {
                peer.send("HTTP/1.1 204 No Content\r\n\r\n")?;
                continue;
            }
            let answers = answers.lock().unwrap();
            loop {
                let answer = answers.recv_timeout(PATIENCE);
                let answer = answer.map_err(|_late| ErrorKind::TimedOut)?;
                let part = answer.strip_suffix(MORE);
                peer.send(part.unwrap_or(&answer))?;
                if part.is_none() {
                    break;
                }
            }
        }
        Ok(())
    });
    (Stage::before(rule, origin), go)
}

#[test]
fn a_purge_takes_what_was_asked_for_before_it() {
    for arguments in [
        &["http://a.test/a"][..],
        &["--prefix", "http://a.test/"],
        &["--tag", "t"],
        &["--all"],
        &["--soft", "http://a.test/a"],
    ] {
        let (stage, go) = held("");
        let mut early = stage.send("GET", "/a", "");
        stage.origin.wait_for_requests(1);
        let purge = [&["cache", "purge"], arguments].concat();
        let purged = stage.proxy.cli(&purge).ok().text();
        assert_eq!(purged, "nothing of that is stored\n");
        go.send(ok(FRESH, "old")).unwrap();
        assert_eq!(early.response().text(), "old");
        go.send(ok(FRESH, "new")).unwrap();
        for _ in 0..2 {
            assert_eq!(stage.get("/a", "").text(), "new", "{arguments:?}");
        }
        assert_eq!(stage.asked(), 2, "{arguments:?}");
    }
}

#[test]
fn a_purge_of_something_else_does_not() {
    let (stage, go) = held("");
    let mut early = stage.send("GET", "/a", "");
    stage.origin.wait_for_requests(1);
    for arguments in [&["http://a.test/b"][..], &["--tag", "u"]] {
        stage.proxy.cli(&[&["cache", "purge"], arguments].concat());
    }
    go.send(ok(FRESH, "old")).unwrap();
    assert_eq!(early.response().text(), "old");
    assert_eq!(stage.get("/a", "").text(), "old");
    assert_eq!(stage.asked(), 1);
}

#[test]
fn a_confirmation_that_comes_behind_a_purge_brings_nothing_back() {
    let (stage, go) = held("");
    let stale = "Cache-Control: no-cache\r\nETag: \"v\"\r\n";
    go.send(ok(stale, "old")).unwrap();
    assert_eq!(stage.get("/a", "").text(), "old");
    let mut early = stage.send("GET", "/a", "");
    let asked = stage.origin.wait_for_requests(2);
    assert_eq!(asked[1].header("if-none-match"), Some("\"v\""));
    let purge = ["cache", "purge", "http://a.test/a"];
    assert_eq!(stage.proxy.cli(&purge).ok().text(), "1 response purged\n");
    go.send(format!("HTTP/1.1 304 Not Modified\r\n{FRESH}\r\n"))
        .unwrap();
    assert_eq!(early.response().text(), "old");
    go.send(ok(FRESH, "new")).unwrap();
    assert_eq!(stage.get("/a", "").text(), "new");
    assert_eq!(stage.origin.requests()[2].header("if-none-match"), None);
}

#[test]
fn who_asks_behind_a_change_gets_nothing_from_before() {
    let (stage, go) = held("key = { query = \"none\" }");
    let mut early = stage.send("GET", "/a", "");
    stage.origin.wait_for_requests(1);
    let head = format!("HTTP/1.1 200 OK\r\n{FRESH}Content-Length: 6\r\n\r\n");
    go.send(format!("{head}old{MORE}")).unwrap();
    early.read_until("old");
    stage.ask("PUT", "/a?by=me", "Content-Length: 0\r\n");
    // Not what the other one gets.
    let mut late = stage.send("GET", "/a", "");
    stage.origin.wait_for_requests(3);
    go.send("old".to_owned()).unwrap();
    assert_eq!(early.read_exact(3), b"old");
    go.send(ok(FRESH, "new")).unwrap();
    assert_eq!(late.response().text(), "new");
    assert_eq!(stage.get("/a", "").text(), "new");
    assert_eq!(stage.asked(), 3);
}

#[test]
fn what_nobody_waits_for_is_not_stored_behind_a_change_either() {
    let (stage, go) = held("");
    let mut early = stage.send("GET", "/a", "If-None-Match: \"mine\"\r\n");
    stage.origin.wait_for_requests(1);
    stage.ask("PUT", "/a", "Content-Length: 0\r\n");
    go.send(ok(FRESH, "old")).unwrap();
    assert_eq!(early.response().text(), "old");
    go.send(ok(FRESH, "new")).unwrap();
    assert_eq!(stage.get("/a", "").text(), "new");
}
