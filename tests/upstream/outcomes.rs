//! What is held against an endpoint, and for it, by what became of requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::Response;

use super::load::Target;
use super::{Group, get, plain};
use crate::support::{Call, Origin, RawClient, StreamOrigin, eventually, wait_until};

const BREAKER: &str =
    "retries = 0\nbreaker = { failures = 2, window = \"1h\", open = \"100ms\" }\n";

/// Closes when it is asked, or once it is well begins an answer that does not end.
fn endless(is_well: &Arc<AtomicBool>) -> Origin {
    let is_well = Arc::clone(is_well);
    Origin::start(move |peer| {
        let Some(request) = peer.request()? else {
            return Ok(());
        };
        if !is_well.load(Ordering::SeqCst) {
            return Ok(());
        }
        peer.send(if request.header("upgrade").is_some() {
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"
        } else {
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n"
        })?;
        peer.read_to_end().map(drop)
    })
}

/// The same in HTTP/2.
fn endless_h2(is_well: &Arc<AtomicBool>) -> StreamOrigin {
    let is_well = Arc::clone(is_well);
    StreamOrigin::start(move |mut call: Call| {
        let is_well = is_well.load(Ordering::SeqCst);
        async move {
            if !is_well {
                return call.answer(503, "");
            }
            let sent = call.respond.send_response(Response::new(()), false);
            let mut stream = sent.unwrap();
            // Until the client is gone.
            let _reset = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
        }
    })
}

fn closes_when_an_answer_begins(endpoint: &str, keys: &str, request: &str, is_well: &AtomicBool) {
    let group = Group::start(&[endpoint.to_owned()], &(BREAKER.to_owned() + keys));
    wait_until("the breaker opens", || {
        RawClient::connect(group.web).exchange(request);
        group.stderr().contains("the breaker opens")
    });
    is_well.store(true, Ordering::SeqCst);
    let begun = eventually("one is let through", || {
        let mut client = RawClient::connect(group.web);
        client.send(request);
        let head = String::from_utf8(client.read_until("\r\n\r\n")).unwrap();
        (!head.starts_with("HTTP/1.1 503")).then_some(client)
    });
    wait_until("the breaker closes", || {
        group.stderr().contains("the breaker closes")
    });
    drop(begun);
}

#[test]
fn a_breaker_closes_when_an_answer_begins_and_need_not_wait_for_its_end() {
    let events = get("/", "192.0.2.1");
    let upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n";
    for request in [&events, upgrade] {
        let is_well = Arc::new(AtomicBool::new(false));
        let origin = endless(&is_well);
        closes_when_an_answer_begins(&plain(&origin), "", request, &is_well);
    }
    let is_well = Arc::new(AtomicBool::new(false));
    let origin = endless_h2(&is_well);
    let endpoint = format!("\"{}\"", origin.address());
    closes_when_an_answer_begins(&endpoint, "protocol = \"h2\"", &events, &is_well);
}

/// Reads heads, and bodies as far as they come: `/early` is answered before its body is there, and no further; `/late` never;
/// everything else at once.
fn half_hearted() -> Origin {
    Origin::start(|peer| {
        loop {
            let head = peer.read_until(b"\r\n\r\n")?;
            let head = String::from_utf8_lossy(&head).into_owned();
            if head.contains("/early") {
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")?;
            }
            if head.contains("/early") || head.contains("/late") {
                return peer.read_to_end().map(drop);
            }
            if head.starts_with("POST") {
                peer.read_exact(2)?;
            }
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        }
    })
}

fn half_hearted_h2() -> StreamOrigin {
    StreamOrigin::start(|mut call: Call| async move {
        if call.path() == "/early" {
            let sent = call.respond.send_response(Response::new(()), false);
            let _stream = sent.unwrap();
            // Until the proxy gives it up.
            drop(call.read().await);
        } else {
            call.answer(200, "ok");
        }
    })
}

const ONE_FAILURE: &str =
    "retries = 0\nbreaker = { failures = 1, window = \"1h\", open = \"1h\" }\n";

/// A head that announces two bytes.
fn post(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
}

#[test]
fn a_route_whose_time_a_client_has_used_up_says_nothing_of_the_endpoint() {
    let origin = half_hearted();
    let config = super::config(&[plain(&origin)], ONE_FAILURE) + "timeout = \"1s\"\n";
    let group = Group::with(&config);
    let mut client = RawClient::connect(group.web);
    client.send(post("/late"));
    std::thread::sleep(Duration::from_millis(300));
    client.send("ab");
    let late = client.response();
    assert_eq!(late.status(), 504, "{}", late.text());
    assert_eq!(group.ask("/", "192.0.2.1"), "ok");
    // One that had all of that time is another matter.
    let late = RawClient::connect(group.web).exchange(get("/late", "192.0.2.1"));
    assert_eq!(late.status(), 504, "{}", late.text());
    wait_until("the breaker opens", || {
        group.stderr().contains("the breaker opens")
    });
}

#[test]
fn a_body_that_stalls_behind_an_early_answer_says_nothing_of_the_endpoint() {
    let stall = |endpoint: String, keys: &str| {
        let keys = format!("{ONE_FAILURE}response_timeout = \"300ms\"\n{keys}");
        let group = Group::start(&[endpoint], &keys);
        let mut client = RawClient::connect(group.web);
        client.send(post("/early"));
        let cut = client.try_response("POST");
        assert!(cut.is_err(), "{cut:?}");
        group.proxy.wait_for_access("upstream.timeout");
        // On whichever worker.
        for _ in 0..8 {
            assert_eq!(group.ask("/", "192.0.2.1"), "ok");
        }
        group
    };
    let origin = half_hearted();
    stall(plain(&origin), "");
    let origin = half_hearted_h2();
    let endpoint = format!("\"{}\"", origin.address());
    stall(endpoint, "protocol = \"h2\"");
    assert!(origin.connections() <= 2, "the workers keep their own");
}

#[test]
fn who_took_a_slow_upload_is_not_slow() {
    let origins = ["one", "two"].map(Origin::serving);
    let endpoints = origins.each_ref().map(plain);
    let group = Group::start(&endpoints, "balance = \"least_time\"");
    let mut client = RawClient::connect(group.web);
    client.send(post("/slow"));
    std::thread::sleep(Duration::from_millis(700));
    client.send("ab");
    let taken_by = client.response().text();
    wait_until("it has its turn again", || {
        group.ask("/", "192.0.2.1") == taken_by
    });
}

#[test]
fn it_is_said_why_an_endpoint_gets_nothing_and_when_it_is_back() {
    let (mut dead, fine) = (Target::start(), Target::start());
    dead.die();
    let group = Group::start(&[dead.toml(), fine.toml()], "");
    let told = |what: &str| group.stderr().matches(what).count();
    for _ in 0..10 {
        RawClient::connect(group.web).exchange(get("/", "192.0.2.1"));
    }
    group.proxy.wait_for("passed over while others are left");
    assert_eq!(told("passed over"), 1, "{}", group.stderr());
    assert_eq!(told("the endpoint refused the connection"), 1);
    let note = format!("{} passed_over: the endpoint refused", dead.address);
    wait_until("the list says so", || {
        RawClient::connect(group.web).exchange(get("/", "192.0.2.1"));
        let list = group.proxy.cli(&["upstream", "list", "app"]).ok().text();
        list.contains(&note)
    });
    dead.revive();
    wait_until("it is asked again", || {
        RawClient::connect(group.web).exchange(get("/", "192.0.2.1"));
        told("takes connections again") == 1
    });
}

#[test]
fn a_breaker_says_why_it_opens() {
    let origin = Origin::start(|peer| peer.request().map(drop));
    let group = Group::start(&[plain(&origin)], ONE_FAILURE);
    RawClient::connect(group.web).exchange(get("/", "192.0.2.1"));
    group.proxy.wait_for("the breaker opens");
    let why = "the endpoint closed before it answered";
    assert!(group.stderr().contains(why), "{}", group.stderr());
    let list = group.proxy.cli(&["upstream", "list", "app"]).ok().text();
    assert!(list.contains(&format!("open: {why}")), "{list}");
}
