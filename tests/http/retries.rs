//! Which requests are sent again, and to whom.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Barrier, Mutex};

use super::h2_client::{get, run, with_tls};
use super::{GET, LISTENERS, Stage, assert_refused};
use crate::control::sample;
use crate::h3::client::Client;
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
fn an_endpoint_that_takes_requests_and_closes_gets_each_twice_at_most() {
    // Each connection answers once; how many are kept is how many clients had come together.
    const KEPT: usize = 4;
    let all_here = Barrier::new(KEPT);
    let is_over = AtomicBool::new(false);
    let origin = Origin::start(move |peer| {
        peer.request()?;
        if !is_over.load(Ordering::SeqCst) {
            all_here.wait();
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
            peer.request()?;
            is_over.store(true, Ordering::SeqCst);
        }
        Ok(())
    });
    let keys = upstream(&format!("\"{}\"", origin.address()), "retries = 3");
    let stage = Stage::with(&format!("[server]\nworkers = 1\n{keys}"));
    let mut clients: Vec<_> = (0..KEPT).map(|_| stage.client()).collect();
    for client in &mut clients {
        client.send(GET);
    }
    for client in &mut clients {
        assert_eq!(client.response().text(), "ok");
    }
    assert_eq!(origin.requests().len(), KEPT);
    assert_refused(&clients[0].exchange(GET), 502, "upstream.reset");
    // Once on a kept connection, once on a new one.
    assert_eq!(origin.requests().len(), KEPT + 2);
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
fn an_endpoint_that_closes_a_fresh_connection_is_not_asked_again() {
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
fn endpoints_that_take_no_connection_do_not_use_up_the_retries() {
    let origin = named("alive");
    let dead: Vec<_> = (0..5).map(|_| format!("\"{}\"", dead())).collect();
    let endpoints = format!("{}, \"{}\"", dead.join(", "), origin.address());
    let stage = Stage::with(&upstream(&endpoints, "retries = 1"));
    // Each worker has to find out.
    for _ in 0..10 {
        assert_eq!(stage.ask(GET).text(), "alive");
    }
    stage.proxy.wait_for_access("\"retries\":5");
    let stage = Stage::with(&upstream(&dead.join(", "), "retries = 1"));
    assert_refused(&stage.ask(GET), 502, "upstream.connect");
    let line = stage.proxy.wait_for_access("\"retries\":");
    assert!(line.contains("\"retries\":4"), "each is asked once: {line}");
    let stage = Stage::with(&upstream(&endpoints, "retries = 0"));
    assert_refused(&stage.ask(GET), 502, "upstream.connect");
}

/// What an endpoint does instead of answering, and what the client is told where nobody else is asked.
const FAILURES: [(&str, u16, &str); 5] = [
    ("closes", 502, "upstream.reset"),
    ("resets", 502, "upstream.reset"),
    ("cuts its head", 502, "upstream.reset"),
    ("talks nonsense", 502, "upstream.bad_response"),
    ("says nothing", 504, "upstream.timeout"),
];

/// Reads a request, and fails.
fn failing(how: &'static str) -> Origin {
    Origin::start(move |peer| {
        peer.request()?;
        match how {
            "closes" => Ok(()),
            "resets" => peer.reset(),
            "cuts its head" => peer.send("HTTP/1.1 200 OK\r\nContent-Le"),
            "talks nonsense" => peer.send("hello there\r\n\r\n"),
            _ => peer.read_to_end().map(drop),
        }
    })
}

/// `failing` first, then one that answers.
fn before_both(failing: &Origin, alive: &Origin, keys: &str) -> Stage {
    Stage::with(&both(failing, alive, keys))
}

fn both(failing: &Origin, alive: &Origin, keys: &str) -> String {
    // So much weight that the first turn of either worker is for it.
    let endpoints = format!(
        "{{ address = \"{}\", weight = 1000 }}, \"{}\"",
        failing.address(),
        alive.address()
    );
    let keys = format!("response_timeout = \"200ms\"\n{keys}");
    upstream(&endpoints, &keys)
}

#[test]
fn what_may_be_repeated_is_asked_elsewhere_with_its_body() {
    let put = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let chunked =
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for (how, ..) in FAILURES {
        for (request, body) in [(GET, ""), (put, "hello"), (chunked, "hello")] {
            let (bad, good) = (failing(how), named("alive"));
            let stage = before_both(&bad, &good, "");
            assert_eq!(stage.ask(request).text(), "alive", "an endpoint that {how}");
            assert_eq!(
                (bad.requests().len(), good.requests().len()),
                (1, 1),
                "{how}"
            );
            assert_eq!(good.requests()[0].body, body.as_bytes(), "{how}");
            let line = stage.proxy.wait_for_access("\"retries\":1");
            assert!(line.contains("\"status\":200"), "{line}");
        }
    }
}

#[test]
fn what_may_not_be_repeated_is_told_and_so_is_what_the_operator_does_not_want() {
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
    for (how, status, reason) in FAILURES {
        for (request, keys) in [(post, ""), (GET, "retry_on = [\"connect\"]")] {
            let (bad, good) = (failing(how), named("alive"));
            let stage = before_both(&bad, &good, keys);
            assert_refused(&stage.ask(request), status, reason);
            assert_eq!(good.requests().len(), 0, "{how}");
        }
    }
}

#[test]
fn a_body_that_is_too_long_to_be_kept_is_sent_once() {
    let bad = Origin::start(|peer| {
        peer.read_exact(200_000)?;
        peer.reset()
    });
    let good = named("alive");
    let stage = before_both(&bad, &good, "");
    let mut client = stage.client();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n");
    client.send(vec![b'x'; 300_000]);
    assert_refused(&client.response(), 502, "upstream.reset");
    assert_eq!(good.requests().len(), 0);
}

#[test]
fn an_answer_that_has_begun_is_not_begun_again() {
    let (seen, told) = channel();
    let told = Mutex::new(told);
    let bad = Origin::start(move |peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")?;
        told.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        Ok(())
    });
    let good = named("alive");
    let stage = before_both(&bad, &good, "");
    let mut client = stage.client();
    client.send(GET);
    client.read_until("short");
    seen.send(()).unwrap();
    let rest = client.try_read_to_end();
    assert!(rest.is_err() || rest.is_ok_and(|rest| rest.is_empty()));
    assert_eq!(good.requests().len(), 0);
}

#[test]
fn an_answer_that_breaks_before_anything_went_out_is_asked_for_elsewhere() {
    // All of it comes in one piece, and what is wrong is found before any of it is sent on.
    let broken = || {
        Origin::start(|peer| {
            peer.request()?;
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Bad: 1\r\n\r\nzz\r\n")
        })
    };
    let put = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let post = put.replace("PUT", "POST");
    let (bad, good) = (broken(), named("alive"));
    let stage = before_both(&bad, &good, "");
    let answer = stage.ask(GET);
    assert_eq!(
        (answer.text(), answer.header("x-bad")),
        ("alive".into(), None)
    );
    let line = stage.proxy.wait_for_access("\"retries\":1");
    assert!(line.contains("\"status\":200"), "{line}");
    for (request, keys) in [
        // What was sent of its body is not kept any more.
        (put, String::new()),
        (&*post, String::new()),
        (GET, "retries = 0".to_owned()),
        (GET, "retry_on = [\"connect\"]".to_owned()),
    ] {
        let (bad, good) = (broken(), named("alive"));
        let stage = before_both(&bad, &good, &keys);
        assert_refused(&stage.ask(request), 502, "upstream.bad_response");
        assert_eq!(good.requests().len(), 0, "{request} {keys}");
    }
}

/// The same request over a stream of HTTP/2 and over one of HTTP/3.
fn over_streams(stage: &Stage) -> Vec<(u16, bool, String)> {
    let told = |head: &hyper::Response<()>, body: Vec<u8>| {
        let is_bad = head.headers().contains_key("x-bad");
        let body = String::from_utf8(body).unwrap();
        (head.status().as_u16(), is_bad, body)
    };
    run(async {
        let mut sender = with_tls(stage).await;
        let (head, body) = get(&mut sender, "/").await;
        let of_h2 = told(&head, body);
        let mut client = Client::connect(stage.webs).await;
        let (head, body) = client.get("/").await;
        vec![of_h2, told(&head, body)]
    })
}

#[test]
fn of_an_answer_that_breaks_before_anything_went_out_clients_with_streams_hear_nothing() {
    for payload in ["", "5\r\nwrong\r\n"] {
        let broken = move || {
            Origin::start(move |peer| {
                peer.request()?;
                peer.send(format!(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Bad: 1\r\n\r\n{payload}zz\r\n"
                ))
            })
        };
        let stage = |bad: &Origin, good: &Origin, keys| {
            let listeners =
                LISTENERS.replace("\ntls =", "\nprotocols = [\"h1\", \"h2\", \"h3\"]\ntls =");
            Stage::start(&(listeners + &both(bad, good, keys)))
        };
        let (bad, good) = (broken(), named("alive"));
        for seen in over_streams(&stage(&bad, &good, "")) {
            assert_eq!(seen, (200, false, "alive".into()), "{payload}");
        }
        assert_eq!(bad.requests().len(), 2);
        let (bad, good) = (broken(), named("alive"));
        for (status, is_bad, body) in over_streams(&stage(&bad, &good, "retries = 0")) {
            assert_eq!((status, is_bad), (502, false), "{payload}");
            assert!(body.contains("upstream.bad_response"), "{body}");
        }
        assert_eq!(good.requests().len(), 0);
    }
}

#[test]
fn what_fails_everywhere_is_not_asked_everywhere() {
    let all = ["closes"; 4].map(failing);
    let endpoints = all
        .each_ref()
        .map(|origin| format!("\"{}\"", origin.address()));
    let stage = Stage::with(&upstream(&endpoints.join(","), "retry_budget = \"0%\""));
    let begin = std::time::Instant::now();
    // One connection is one worker.
    let mut client = stage.client();
    for _ in 0..100 {
        assert_refused(&client.exchange(GET), 502, "upstream.reset");
    }
    let seconds = usize::try_from(begin.elapsed().as_secs()).unwrap() + 1;
    let asked: usize = all.iter().map(|origin| origin.requests().len()).sum();
    assert!((110..=100 + 10 * seconds).contains(&asked), "{asked}");
}

#[test]
fn retries_are_counted() {
    let endpoints = format!("\"{}\", \"{}\"", dead(), dead());
    for retries in [0, 1, 5] {
        let stage = Stage::with(&upstream(&endpoints, &format!("retries = {retries}")));
        assert_refused(&stage.ask(GET), 502, "upstream.connect");
        let line = stage.proxy.wait_for_access("upstream.connect");
        // There are two to ask.
        let counted = retries.min(1);
        assert!(line.contains(&format!("\"retries\":{counted}")), "{line}");
    }
}

/// What an endpoint was asked, with answers of this class.
fn asked(stage: &Stage, endpoint: &Origin, class: &str) -> Option<String> {
    let name = format!(
        "openclaw_upstream_requests_total{{upstream=\"app\",endpoint=\"{}\",code=\"{class}\"}}",
        endpoint.address()
    );
    sample(&stage.proxy, &name)
}

#[test]
fn an_endpoint_that_was_asked_in_vain_is_counted_although_another_one_served() {
    let declines = Origin::start(|peer| {
        peer.request()?;
        peer.send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    });
    let keys = "retry_on = [\"reset\", \"http_503\"]";
    for (bad, class) in [(failing("resets"), "none"), (declines, "5xx")] {
        let good = named("alive");
        let stage = before_both(&bad, &good, keys);
        assert_eq!(stage.ask(GET).text(), "alive");
        stage.proxy.wait_for_access("\"retries\":1");
        assert_eq!(asked(&stage, &bad, class).as_deref(), Some("1"), "{class}");
        assert_eq!(asked(&stage, &good, "2xx").as_deref(), Some("1"));
        assert_ne!(asked(&stage, &good, class).as_deref(), Some("1"));
    }
    // Where nobody is left, the last one is counted once as well.
    let all = [failing("resets"), failing("resets")];
    let stage = before_both(&all[0], &all[1], "");
    assert_refused(&stage.ask(GET), 502, "upstream.reset");
    stage.proxy.wait_for_access("upstream.reset");
    for bad in &all {
        assert_eq!(asked(&stage, bad, "none").as_deref(), Some("1"));
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
