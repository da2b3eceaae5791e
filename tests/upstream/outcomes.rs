//! What is held against an endpoint, and for it, by what became of requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::Response;

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
