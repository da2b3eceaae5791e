//! What has its place on the disk alone, and what comes into it.

use std::thread;

use super::disk::LARGE;
use super::{Stage, counting, ok, status};
use crate::support::{Message, wait_until};

/// The proxy with little memory and a disk.
fn stage(answer: impl Fn(&Message, usize) -> String + Send + Sync + 'static) -> Stage {
    let cache = "memory = \"1m\"\ndisk = { path = \"cache\", max = \"10m\" }";
    let stage = Stage::with(cache, "", counting(answer));
    stage.proxy.wait_for("the cache on disk is known");
    stage
}

fn large(first: &str) -> String {
    first.repeat(LARGE)
}

#[test]
fn what_has_grown_too_large_for_memory_is_used_in_place_of_what_was_smaller() {
    let stage = stage(|_, before| match before {
        0 => ok("Cache-Control: max-age=0\r\nETag: \"0\"\r\n", "small"),
        _ => ok("Cache-Control: max-age=60\r\nETag: \"1\"\r\n", &large("l")),
    });
    assert_eq!(stage.get("/a", "").text(), "small");
    assert_eq!(stage.get("/a", "").body.len(), LARGE);
    wait_until("the large one is found", || {
        let answer = stage.get("/a", "");
        assert_eq!(answer.body.len(), LARGE);
        status(&answer).contains("hit")
    });
}

#[test]
fn a_confirmation_that_tells_requests_apart_leaves_what_lies_on_disk_to_its_own() {
    let stage = stage(|request, before| {
        let user = request.header("x-user").unwrap_or_default();
        let vary = "Vary: X-User\r\nCache-Control: max-age=60\r\n";
        match request.header("if-none-match") {
            Some(_) => format!("HTTP/1.1 304 Not Modified\r\nETag: \"v\"\r\n{vary}\r\n"),
            None if before > 0 => ok(vary, user),
            None => ok("Cache-Control: max-age=0\r\nETag: \"v\"\r\n", &large(user)),
        }
    });
    let text = |user: &str| stage.get("/a", &format!("X-User: {user}\r\n")).text();
    assert!(text("a") == large("a"));
    stage.wait_for_files(1);
    assert!(text("a") == large("a") && text("a") == large("a"));
    assert_eq!(stage.asked(), 2);
    assert!(text("b") == "b" && text("a") == large("a"));
    assert_eq!(stage.asked(), 3);
}

#[test]
fn what_lies_on_disk_is_refreshed_once_behind_its_answers() {
    let stage = stage(|_, before| {
        let lifetime = if before == 0 { 0 } else { 600 };
        let lines = format!("Cache-Control: max-age={lifetime}, stale-while-revalidate=600\r\n");
        ok(&lines, &large(&before.to_string()))
    });
    stage.get("/a", "");
    stage.wait_for_files(1);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                wait_until("the new response", || {
                    let text = stage.get("/a", "").text();
                    assert_eq!(text.len(), LARGE);
                    text.starts_with('1')
                });
            });
        }
    });
    assert_eq!(stage.asked(), 2);
}
