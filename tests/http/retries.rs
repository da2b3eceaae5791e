//! Which requests are sent again, and to whom.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use super::{GET, Stage, assert_refused};
use crate::support::{Origin, PATIENCE, free_port};

/// Answers once on each connection, and closes when the next request comes.
fn forgetful() -> Origin {
    Origin::start(|peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        peer.request()?;
        Ok(())
    })
}

fn upstream(endpoints: &str, keys: &str) -> String {
    format!(
        "[upstream.app]\nendpoints = [{endpoints}]\n{keys}\n[[route]]\nname = \"all\"\nto = \"app\"\n"
    )
}

fn named(name: &'static str) -> Origin {
    Origin::serving(name)
}

fn dead() -> SocketAddr {
    ([127, 0, 0, 1], free_port()).into()
}

#[test]
fn a_kept_connection_that_died_costs_a_get_nothing() {
    let origin = forgetful();
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    for _ in 0..5 {
        assert_eq!(client.exchange(GET).text(), "ok");
    }
    assert_eq!(origin.connections(), 5);
    assert_eq!(origin.requests().len(), 9);
}

#[test]
fn a_post_is_never_sent_twice() {
    let origin = forgetful();
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(client.exchange(post).text(), "ok");
    assert_refused(&client.exchange(post), 502, "upstream.reset");
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn an_origin_that_closed_its_idle_connection_is_not_asked_on_it() {
    let (closed, told) = channel();
    let closed = Mutex::new(closed);
    let origin = Origin::start(move |peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        peer.finish()?;
        // On the loopback the end has arrived when the call returns.
        closed.lock().unwrap().send(()).unwrap();
        peer.read_to_end().map(drop)
    });
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
    for _ in 0..5 {
        assert_eq!(client.exchange(post).text(), "ok");
        told.recv_timeout(PATIENCE).unwrap();
    }
    assert_eq!(origin.connections(), 5);
}

#[test]
fn a_fresh_connection_that_is_closed_is_not_tried_again() {
    let origin = Origin::start(|peer| peer.request().map(drop));
    let stage = Stage::with(&upstream(
        &format!("\"{}\"", origin.address()),
        "retries = 3",
    ));
    assert_refused(&stage.ask(GET), 502, "upstream.reset");
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn an_endpoint_that_takes_no_connection_is_passed_over() {
    let origin = named("alive");
    let endpoints = format!("\"{}\", \"{}\"", dead(), origin.address());
    let stage = Stage::with(&upstream(&endpoints, "retries = 1"));
    let mut client = stage.client();
    for _ in 0..10 {
        assert_eq!(client.exchange(GET).text(), "alive");
        let post = client.exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
        assert_eq!(post.text(), "alive");
    }
    let line = stage.proxy.wait_for_access("\"retries\":1");
    assert!(line.contains("\"status\":200"), "{line}");
}

#[test]
fn retries_are_counted() {
    let endpoints = format!("\"{}\", \"{}\"", dead(), dead());
    for retries in [0, 1, 5] {
        let stage = Stage::with(&upstream(&endpoints, &format!("retries = {retries}")));
        assert_refused(&stage.ask(GET), 502, "upstream.connect");
        let line = stage.proxy.wait_for_access("upstream.connect");
        let counted = retries.min(2);
        assert!(line.contains(&format!("\"retries\":{counted}")), "{line}");
    }
}

#[test]
fn endpoints_take_turns_by_their_weights() {
    let origins = [named("one"), named("two"), named("three")];
    let endpoints = format!(
        "\"{}\", {{ address = \"{}\", weight = 2 }}, {{ address = \"{}\", weight = 3 }}",
        origins[0].address(),
        origins[1].address(),
        origins[2].address()
    );
    let stage = Stage::with(&upstream(&endpoints, ""));
    // One connection is one worker, whose turns are exact.
    let mut client = stage.client();
    for _ in 0..60 {
        assert_eq!(client.exchange(GET).status(), 200);
    }
    let counts = origins.each_ref().map(|origin| origin.requests().len());
    assert_eq!(counts, [10, 20, 30]);
}

#[test]
fn no_more_connections_are_kept_than_are_allowed() {
    let origin = named("x");
    let stage = Stage::with(&upstream(
        &format!("\"{}\"", origin.address()),
        "keepalive = 0",
    ));
    let mut client = stage.client();
    for _ in 0..4 {
        assert_eq!(client.exchange(GET).text(), "x");
    }
    assert_eq!(origin.connections(), 4);
}
