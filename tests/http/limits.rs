//! Clients that are slow, large, wrong or many.

use std::time::{Duration, Instant};

use super::{GET, Stage, app, assert_refused, listeners};
use crate::support::{Origin, RawClient};

fn strict(origin: &Origin) -> Stage {
    let keys = "header_timeout = \"400ms\"\nidle_timeout = \"700ms\"\nmax_header = \"2k\"";
    Stage::start(&(listeners(keys) + &app(origin.address(), "")))
}

#[test]
fn a_head_that_is_not_complete_in_time_is_refused() {
    let origin = Origin::serving("x");
    let stage = strict(&origin);
    let mut client = stage.client();
    let start = Instant::now();
    client.send("GET / HTTP/1.1\r\nHost: a");
    assert_refused(&client.response(), 408, "http.timeout");
    client.expect_closed();
    assert!(start.elapsed() >= Duration::from_millis(400));
    // The second head has as long, counted from its first byte.
    let mut client = stage.client();
    assert_eq!(client.exchange(GET).text(), "x");
    client.send("G");
    assert_refused(&client.response(), 408, "http.timeout");
}

#[test]
fn a_head_that_trickles_in_gains_no_time_by_it() {
    let origin = Origin::serving("x");
    let stage = strict(&origin);
    let mut client = stage.client();
    let start = Instant::now();
    for byte in "GET / HTTP/1.1\r\nHost: a\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy".as_bytes() {
        if client.try_send([*byte]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    assert_refused(&client.response(), 408, "http.timeout");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_silent_connection_is_closed_without_a_word() {
    let origin = Origin::serving("x");
    let stage = strict(&origin);
    stage.client().expect_closed();
    let mut client = stage.client();
    assert_eq!(client.exchange(GET).text(), "x");
    client.expect_closed();
}

#[test]
fn a_body_that_stops_is_a_timeout() {
    let origin = Origin::serving("x");
    let stage = strict(&origin);
    let mut client = stage.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    assert_refused(&client.response(), 408, "http.timeout");
    client.expect_closed();
}

#[test]
fn heads_over_their_limit_are_refused() {
    let origin = Origin::serving("x");
    let stage = strict(&origin);
    let long = "x".repeat(3000);
    let response = stage.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"));
    assert_refused(&response, 431, "http.header_too_large");
    let response = stage.ask(&format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_refused(&response, 414, "http.uri_too_long");
    let response = stage.ask(&format!("GET /{long}"));
    assert_refused(&response, 414, "http.uri_too_long");
    let response = stage.ask(&format!(
        "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
        "X: y\r\n".repeat(100)
    ));
    assert_refused(&response, 431, "http.header_too_large");
    assert_eq!(stage.ask(GET).text(), "x");
}

#[test]
fn every_malformed_request_is_told_so_and_cut_off() {
    let origin = Origin::serving("x");
    let stage = Stage::before(&origin);
    for (request, status, reason) in [
        ("GET / HTTP/1.1\r\n\r\n", 400, "http.malformed"),
        ("GET /\r\n\r\n", 400, "http.malformed"),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
            400,
            "http.malformed",
        ),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, "http.version"),
        (
            "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
            405,
            "http.method",
        ),
        (
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: x\r\n\r\n",
            417,
            "http.malformed",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            "http.smuggling",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            400,
            "http.smuggling",
        ),
    ] {
        let mut client = stage.client();
        // What comes behind must not be looked at any more.
        client.send(request.to_owned() + GET);
        let response = client.response();
        assert_refused(&response, status, reason);
        assert_eq!(response.header("connection"), Some("close"), "{request}");
        client.expect_closed();
    }
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn a_hundred_half_open_peers_disturb_nobody() {
    let origin = Origin::serving("x");
    let stage = Stage::before(&origin);
    let peers: Vec<RawClient> = (0..100)
        .map(|number| {
            let mut client = stage.client();
            match number % 4 {
                0 => {}
                1 => client.send("GET / HTT"),
                2 => client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhel"),
                _ => {
                    client.send(GET);
                    client.send("G");
                }
            }
            client
        })
        .collect();
    let start = Instant::now();
    for _ in 0..50 {
        assert_eq!(stage.ask(GET).text(), "x");
    }
    assert!(start.elapsed() < Duration::from_secs(5));
    drop(peers);
    assert_eq!(stage.ask(GET).text(), "x");
}

#[test]
fn a_client_that_goes_away_takes_its_request_with_it() {
    let (gone, told) = std::sync::mpsc::channel();
    let gone = std::sync::Mutex::new(gone);
    let origin = Origin::start(move |peer| {
        peer.read_until(b"\r\n\r\n")?;
        let end = peer.read_to_end();
        gone.lock().unwrap().send(end.is_ok()).unwrap();
        Ok(())
    });
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    drop(client);
    told.recv_timeout(crate::support::PATIENCE)
        .expect("the origin's connection ends");
    let line = stage.proxy.wait_for_access("http.client_aborted");
    assert!(line.contains("\"method\":\"POST\""), "{line}");
}

#[test]
fn response_timeout_counts_silences_and_not_the_whole() {
    let pause = || std::thread::sleep(Duration::from_millis(700));
    let origin = Origin::start(move |peer| {
        peer.request()?;
        pause();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")?;
        pause();
        peer.send("slow")
    });
    let stage = Stage::with(&app(origin.address(), "response_timeout = \"1s\""));
    assert_eq!(stage.ask(GET).text(), "slow");
}
