//! Peers of HTTP/2 connections that are gone without a word.

use std::thread;
use std::time::{Duration, Instant};

use super::h2_client::{get, in_the_clear, run};
use super::h2_frames::{self, ACK, PING, PREFACE, SETTINGS, frame, next, settings};
use super::{GET, Stage, app, assert_refused, listeners};
use crate::support::{Call, Origin, StreamOrigin};

/// Answers after two seconds and a bit, which is longer than it takes to give somebody up.
async fn slow(mut call: Call) {
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    call.answer(200, "late");
}

#[test]
fn an_endpoint_that_does_not_answer_a_ping_is_given_up_and_one_that_does_is_not() {
    // Begins as HTTP/2 does, and falls silent.
    let mute = Origin::start(|peer| {
        peer.read_until(PREFACE.as_bytes())?;
        peer.send([settings(3, 100), frame(SETTINGS, ACK, 0, b"")].concat())?;
        peer.read_to_end().map(drop)
    });
    let slow = StreamOrigin::start(slow);
    let keys = "protocol = \"h2\"\nping = \"1s\"\nretries = 0";
    let upstream = app(slow.address(), keys).replace(
        "[[route]]",
        &format!(
            "[upstream.mute]\nendpoints = [\"{}\"]\n{keys}\n[[route]]\nmatch = {{ path = \"/mute\" }}\nto = \"mute\"\n[[route]]",
            mute.address()
        ),
    );
    let stage = Stage::with(&upstream);
    thread::scope(|scope| {
        let late = scope.spawn(|| stage.ask(GET).text());
        let begin = Instant::now();
        let response = stage.ask(&GET.replace("GET /", "GET /mute"));
        assert_refused(&response, 504, "upstream.timeout");
        let took = begin.elapsed();
        assert!(
            took < Duration::from_secs(10),
            "response_timeout is 30 s: {took:?}"
        );
        assert_eq!(late.join().unwrap(), "late");
    });
    assert_eq!((mute.connections(), slow.connections()), (1, 1));
    stage.proxy.wait_for("no answer to a PING");
}

#[test]
fn a_client_that_does_not_answer_a_ping_is_given_up_and_one_that_does_is_not() {
    let origin = StreamOrigin::start(slow);
    let config = listeners("protocols = [\"h1\", \"h2\"]\nping = \"300ms\"");
    let stage = Stage::start(&format!(
        "{config}{}",
        app(origin.address(), "protocol = \"h2\"")
    ));
    let mut mute = stage.client();
    let begin = [PREFACE.as_bytes(), &settings(3, 100), &h2_frames::get(1)].concat();
    mute.send(begin);
    thread::scope(|scope| {
        let there = scope.spawn(|| {
            run(async {
                let mut sender = in_the_clear(&stage).await;
                get(&mut sender, "/").await.1
            })
        });
        assert_eq!(next(&mut mute, PING).payload, b"anybody?");
        mute.expect_closed();
        assert_eq!(there.join().unwrap(), b"late");
    });
    let line = stage.proxy.wait_for_access("no answer to a PING");
    assert!(line.contains("http.timeout"), "{line}");
}
