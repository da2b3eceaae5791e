//! Bodies that trickle: never silent for long, and still too slow.

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::Method;

use super::h2_client::{request, run, with_tls};
use super::{GET, Stage, app, assert_refused, listeners};
use crate::support::{Origin, PATIENCE};

const STEP: Duration = Duration::from_millis(50);
const SILENCE: Duration = Duration::from_secs(1);

fn stage(origin: &Origin, rate: &str) -> Stage {
    let keys = format!("idle_timeout = \"1s\"\nmin_body_rate = \"{rate}\"");
    Stage::start(&(listeners(&keys) + &app(origin.address(), "")))
}

#[test]
fn a_body_that_trickles_in_is_refused() {
    let origin = Origin::serving("x");
    let stage = stage(&origin, "1k");
    let mut client = stage.client();
    let start = Instant::now();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n");
    // Not longer than the proxy reads what comes behind its answer.
    while start.elapsed() < SILENCE * 2 {
        client.send("x");
        sleep(STEP);
    }
    assert_refused(&client.response(), 408, "http.timeout");
    client.expect_closed();
    let line = stage.proxy.wait_for_access("http.timeout");
    assert!(line.contains("or too slow"), "{line}");
}

#[test]
fn a_body_that_keeps_the_rate_may_take_longer_than_any_silence() {
    let origin = Origin::serving("x");
    let stage = stage(&origin, "1k");
    let mut client = stage.client();
    let piece = [b'x'; 400];
    let count = 60;
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        count * piece.len()
    ));
    let start = Instant::now();
    for _ in 0..count {
        client.send(piece);
        sleep(STEP);
    }
    assert!(start.elapsed() > SILENCE * 2);
    assert_eq!(client.response().text(), "x");
}

#[test]
fn without_a_rate_only_silence_ends_a_body() {
    let origin = Origin::serving("x");
    let stage = stage(&origin, "0");
    let mut client = stage.client();
    let count = 60;
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {count}\r\n\r\n"
    ));
    for _ in 0..count {
        client.send("x");
        sleep(STEP);
    }
    assert_eq!(client.response().text(), "x");
}

#[test]
fn a_client_that_takes_its_response_too_slowly_is_cut_off() {
    let length = 256 * 1024 * 1024;
    let origin = Origin::start(move |peer| {
        peer.request()?;
        peer.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
        ))?;
        let piece = vec![b'x'; 1024 * 1024];
        for _ in 0..256 {
            peer.send(&piece)?;
        }
        Ok(())
    });
    assert_cut_off(&stage(&origin, "1g"), length);
}

#[test]
fn a_client_that_takes_a_routes_own_answer_too_slowly_is_cut_off() {
    let length = 32 * 1024 * 1024;
    let body = "x".repeat(length);
    let keys = "idle_timeout = \"1s\"\nmin_body_rate = \"1g\"";
    let route = format!("[[route]]\nrespond = {{ body = \"{body}\" }}\n");
    assert_cut_off(&Stage::start(&(listeners(keys) + &route)), length);
}

#[test]
fn a_body_that_trickles_in_after_the_response_began_is_cut_off() {
    let origin = Origin::start(|peer| {
        peer.read_until(b"\r\n\r\n")?;
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        peer.read_to_end().map(drop)
    });
    let stage = stage(&origin, "1k");
    let mut client = stage.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n");
    client.read_until("\r\n\r\n");
    let start = Instant::now();
    while client.try_send("x").is_ok() {
        assert!(start.elapsed() < PATIENCE, "nobody minds");
        sleep(STEP);
    }
    let line = stage.proxy.wait_for_access("http.timeout");
    assert!(line.contains("\"status\":200"), "{line}");
}

/// Nobody takes a gigabyte a second in pieces of 64 KiB.
fn assert_cut_off(stage: &Stage, length: usize) {
    let mut client = stage.client();
    client.send(GET);
    let mut taken = 0;
    let error = loop {
        match client.try_read_exact(64 * 1024) {
            Ok(piece) => taken += piece.len(),
            Err(error) => break error,
        }
        sleep(Duration::from_millis(10));
    };
    assert_ne!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    assert!(taken < length, "{taken}");
    let line = stage.proxy.wait_for_access("http.timeout");
    assert!(line.contains("\"status\":200"), "{line}");
}

#[test]
fn a_stream_that_trickles_in_is_refused_and_its_connection_goes_on() {
    let origin = Origin::serving("x");
    let stage = stage(&origin, "1k");
    run(async {
        let mut sender = with_tls(&stage).await;
        let (response, mut body) = sender
            .send_request(request(Method::POST, "/"), false)
            .unwrap();
        let trickle = tokio::spawn(async move {
            while body.send_data(Bytes::from_static(b"x"), false).is_ok() {
                tokio::time::sleep(STEP).await;
            }
        });
        assert_eq!(response.await.unwrap().status(), 408);
        let (response, _) = sender
            .send_request(request(Method::GET, "/"), true)
            .unwrap();
        assert_eq!(response.await.unwrap().status(), 200);
        trickle.abort();
    });
}
