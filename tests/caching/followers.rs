//! Requests for what somebody fetches already.

use std::io::ErrorKind;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use super::{Stage, status};
use crate::support::{Message, Origin, PATIENCE, RawClient, wait_until};

const FRESH: &str = "Cache-Control: max-age=60\r\n";

/// An origin that sends a part of its response whenever it is told to; `None` ends the connection there.
fn in_parts(rule: &str) -> (Stage, Sender<Option<String>>) {
    let (go, parts) = channel::<Option<String>>();
    let parts = Mutex::new(parts);
    let origin = Origin::start(move |peer| {
        while peer.request()?.is_some() {
            let parts = parts.lock().unwrap();
            loop {
                match parts.recv_timeout(PATIENCE) {
                    Ok(Some(end)) if end.is_empty() => break,
                    Ok(Some(part)) => peer.send(part)?,
                    Ok(None) => return Ok(()),
                    Err(_) => return Err(ErrorKind::TimedOut.into()),
                }
            }
        }
        Ok(())
    });
    (Stage::before(rule, origin), go)
}

/// The head, and so much of the body.
fn begun(client: &mut RawClient, body: usize) -> String {
    let mut text = client.read_until("\r\n\r\n");
    text.extend(client.read_exact(body));
    String::from_utf8(text).unwrap()
}

#[test]
fn what_one_fetches_the_others_get_while_it_comes() {
    let (stage, go) = in_parts("");
    let send = |part: &str| go.send(Some(part.into())).unwrap();
    let mut leader = stage.send("GET", "/a", "");
    stage.origin.wait_for_requests(1);
    let mut early = stage.send("GET", "/a", "");
    send(&format!(
        "HTTP/1.1 200 OK\r\n{FRESH}ETag: \"a\"\r\nContent-Length: 10\r\n\r\n01234"
    ));
    let mut late = stage.send("GET", "/a", "");
    let mut part = stage.send("GET", "/a", "Range: bytes=3-6\r\n");
    for client in [&mut leader, &mut early, &mut late] {
        let begun = begun(client, 5);
        assert!(begun.ends_with("01234"), "{begun}");
    }
    let begun = begun(&mut part, 2);
    assert!(
        begun.contains("bytes 3-6/10") && begun.ends_with("34"),
        "{begun}"
    );
    // What the client has can be said as soon as the head is there.
    let mut known = stage.send("GET", "/a", "If-None-Match: \"a\"\r\n");
    assert_eq!(known.response().status(), 304);
    send("56789");
    send("");
    for client in [&mut leader, &mut early, &mut late] {
        assert_eq!(client.read_exact(5), b"56789");
    }
    assert_eq!(part.read_exact(2), b"56");
    assert!(status(&stage.get("/a", "")).starts_with("openclaw; hit"));
    assert_eq!(stage.asked(), 1);
}

#[test]
fn a_follower_is_told_that_it_was_one() {
    let (stage, go) = in_parts("");
    let mut leader = stage.send("GET", "/a", "");
    stage.origin.wait_for_requests(1);
    go.send(Some(format!(
        "HTTP/1.1 200 OK\r\n{FRESH}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    )))
    .unwrap();
    // Of a length that nobody knows yet.
    let mut follower = stage.send("GET", "/a", "");
    let told = follower.read_until("hello");
    let told = String::from_utf8(told).unwrap();
    assert!(
        told.contains("openclaw; fwd=uri-miss; collapsed\r\n"),
        "{told}"
    );
    assert!(
        told.to_ascii_lowercase()
            .contains("transfer-encoding: chunked"),
        "{told}"
    );
    go.send(Some("6\r\n, you!\r\n0\r\n\r\n".into())).unwrap();
    go.send(Some(String::new())).unwrap();
    assert_eq!(leader.response().text(), "hello, you!");
    let rest = String::from_utf8(follower.read_until("0\r\n\r\n")).unwrap();
    assert!(rest.contains(", you!"), "{rest}");
}

#[test]
fn who_fails_before_the_head_hands_over_to_one() {
    let (stage, go) = in_parts("");
    let mut leader = stage.send("GET", "/a", "");
    stage.origin.wait_for_requests(1);
    let mut followers = [(); 3].map(|()| stage.send("GET", "/a", ""));
    go.send(None).unwrap();
    assert_eq!(leader.response().status(), 502);
    stage.origin.wait_for_requests(2);
    go.send(Some(format!(
        "HTTP/1.1 200 OK\r\n{FRESH}Content-Length: 4\r\n\r\nthis"
    )))
    .unwrap();
    go.send(Some(String::new())).unwrap();
    for follower in &mut followers {
        assert_eq!(follower.response().text(), "this");
    }
    assert_eq!(stage.asked(), 2);
}

#[test]
fn what_breaks_for_one_breaks_for_all() {
    for framing in [
        "Content-Length: 10\r\n\r\n01234",
        "Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n",
    ] {
        let (stage, go) = in_parts("");
        let mut leader = stage.send("GET", "/a", "");
        stage.origin.wait_for_requests(1);
        go.send(Some(format!("HTTP/1.1 200 OK\r\n{FRESH}{framing}")))
            .unwrap();
        let mut follower = stage.send("GET", "/a", "");
        for client in [&mut leader, &mut follower] {
            client.read_until("01234");
        }
        go.send(None).unwrap();
        for client in [&mut leader, &mut follower] {
            let rest = client.try_read_to_end().unwrap_or_default();
            assert!(
                !rest.ends_with(b"0\r\n\r\n"),
                "{}",
                String::from_utf8_lossy(&rest)
            );
        }
        go.send(Some(format!(
            "HTTP/1.1 200 OK\r\n{FRESH}Content-Length: 3\r\n\r\nnew"
        )))
        .unwrap();
        go.send(Some(String::new())).unwrap();
        assert_eq!(stage.get("/a", "").text(), "new");
    }
}

#[test]
fn a_slow_follower_holds_nobody_up_and_a_client_that_goes_neither() {
    let size = 6 << 20;
    let (stage, go) = in_parts("");
    let leader = stage.send("GET", "/a", "");
    stage.origin.wait_for_requests(1);
    let mut slow = stage.send("GET", "/a", "");
    let mut other = stage.send("GET", "/a", "");
    go.send(Some(format!(
        "HTTP/1.1 200 OK\r\n{FRESH}Content-Length: {size}\r\n\r\n"
    )))
    .unwrap();
    for client in [&mut slow, &mut other] {
        client.read_until("\r\n\r\n");
    }
    leader.reset();
    let half = "x".repeat(size / 2);
    go.send(Some(half.clone())).unwrap();
    assert_eq!(other.read_exact(size / 2).len(), size / 2);
    go.send(Some(half)).unwrap();
    go.send(Some(String::new())).unwrap();
    assert_eq!(other.read_exact(size / 2).len(), size / 2);
    wait_until("it is stored", || {
        let answer: Message = stage.get("/a", "");
        status(&answer).starts_with("openclaw; hit")
    });
    assert_eq!(slow.read_exact(size).len(), size);
    assert_eq!(stage.asked(), 1);
}

#[test]
fn what_one_request_wishes_for_itself_parts_nobody_else() {
    for (lines, answer) in [
        (
            "Range: bytes=0-1\r\n",
            "206 Partial Content\r\nContent-Range: bytes 0-1/4\r\nContent-Length: 2\r\n\r\nth",
        ),
        ("If-None-Match: \"a\"\r\n", "304 Not Modified\r\n\r\n"),
        (
            "Cache-Control: no-store\r\n",
            "200 OK\r\nContent-Length: 2\r\n\r\nno",
        ),
    ] {
        let (stage, go) = in_parts("");
        let send = |part: &str| go.send(Some(part.into())).unwrap();
        let mut special = stage.send("GET", "/a", lines);
        stage.origin.wait_for_requests(1);
        send(&format!("HTTP/1.1 {answer}"));
        send("");
        special.response();
        let mut leader = stage.send("GET", "/a", "");
        stage.origin.wait_for_requests(2);
        let mut follower = stage.send("GET", "/a", "");
        send(&format!(
            "HTTP/1.1 200 OK\r\n{FRESH}Content-Length: 4\r\n\r\nthis"
        ));
        send("");
        for client in [&mut leader, &mut follower] {
            assert_eq!(client.response().text(), "this", "{lines}");
        }
        assert_eq!(stage.asked(), 2, "{lines}");
    }
}
