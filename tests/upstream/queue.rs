//! `max_connections` of an upstream, and the wait for a place.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{Group, get, plain};
use crate::support::{Call, Origin, Peer, RawClient, StreamOrigin, wait_until};

/// Answers with its name, each time when it is told to.
struct Patient {
    origin: Origin,
    go: Sender<()>,
}

impl Patient {
    fn new(name: &'static str) -> Self {
        let (go, told) = channel();
        let told: Mutex<Receiver<()>> = Mutex::new(told);
        let origin = Origin::start(move |peer: &mut Peer| -> io::Result<()> {
            while peer.request()?.is_some() {
                // The end of the test tells, too.
                let _told_or_over = told.lock().unwrap().recv();
                let length = name.len();
                peer.send(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}"
                ))?;
            }
            Ok(())
        });
        Self { origin, go }
    }

    fn tell(&self) {
        self.go.send(()).unwrap();
    }
}

fn asking(group: &Group) -> RawClient {
    let mut client = RawClient::connect(group.web);
    client.send(get("/", "192.0.2.1"));
    client
}

#[test]
fn no_endpoint_has_more_than_it_may_and_everybody_is_served() {
    const CLIENTS: usize = 12;
    let peak = Arc::new(AtomicUsize::new(0));
    let origins = ["one", "two"].map(|name| {
        let (peak, inside) = (Arc::clone(&peak), AtomicUsize::new(0));
        Origin::start(move |peer| {
            while peer.request()?.is_some() {
                let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                peak.fetch_max(now, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(2));
                inside.fetch_sub(1, Ordering::SeqCst);
                let length = name.len();
                peer.send(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}"
                ))?;
            }
            Ok(())
        })
    });
    let keys = "max_connections = 2\nqueue_timeout = \"15s\"";
    let group = Group::start(&origins.each_ref().map(plain), keys);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = RawClient::connect(group.web);
                for _ in 0..25 {
                    assert_eq!(client.exchange(get("/", "192.0.2.1")).status(), 200);
                }
            });
        }
    });
    assert_eq!(peak.load(Ordering::SeqCst), 2);
    let served = origins.each_ref().map(|origin| origin.requests().len());
    assert_eq!(served.iter().sum::<usize>(), CLIENTS * 25);
    assert!(served.iter().all(|count| *count > 0), "{served:?}");
}

#[test]
fn of_an_endpoint_that_speaks_http2_streams_are_counted() {
    let (peak, inside) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let highest = Arc::clone(&peak);
    let origin = StreamOrigin::start(move |mut call: Call| {
        let (peak, inside) = (Arc::clone(&highest), Arc::clone(&inside));
        async move {
            let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
            peak.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(2)).await;
            inside.fetch_sub(1, Ordering::SeqCst);
            // The client waits for every answer.
            call.respond
                .send_response(hyper::Response::new(()), true)
                .unwrap();
        }
    });
    let endpoint = format!("\"{}\"", origin.address());
    let keys = "protocol = \"h2\"\nmax_connections = 3\nqueue_timeout = \"15s\"";
    let group = Group::start(&[endpoint], keys);
    thread::scope(|scope| {
        for _ in 0..9 {
            scope.spawn(|| {
                let mut client = RawClient::connect(group.web);
                for _ in 0..10 {
                    assert_eq!(client.exchange(get("/", "192.0.2.1")).status(), 200);
                }
            });
        }
    });
    assert_eq!(peak.load(Ordering::SeqCst), 3);
    assert_eq!(origin.requests().len(), 90);
}

#[test]
fn an_endpoint_with_room_goes_before_waiting_whoever_the_key_belongs_to() {
    for balance in [
        "round_robin",
        "least_connections",
        "least_time",
        "random",
        "ip_hash",
        "url_hash",
        "maglev",
    ] {
        let origins = ["one", "two"].map(Patient::new);
        let keys = format!("balance = \"{balance}\"\nmax_connections = 1\nqueue = 0");
        let endpoints = origins.each_ref().map(|one| plain(&one.origin));
        let group = Group::start(&endpoints, &keys);
        let mut clients = [asking(&group), asking(&group)];
        for one in &origins {
            one.origin.wait_for_requests(1);
        }
        let refused = asking(&group).response();
        assert_eq!(refused.status(), 503, "{balance}");
        assert!(refused.text().contains("upstream.saturated"), "{balance}");
        assert!(refused.header("retry-after").is_some(), "{balance}");
        origins.iter().for_each(Patient::tell);
        let mut names = clients.each_mut().map(|client| client.response().text());
        names.sort();
        assert_eq!(names, ["one", "two"], "{balance}");
    }
}

#[test]
fn who_has_waited_longest_is_served_first_and_the_line_has_an_end() {
    let patient = Patient::new("x");
    let keys = "max_connections = 1\nqueue = 3\nqueue_timeout = \"15s\"";
    let group = Group::start(&[plain(&patient.origin)], keys);
    let ask = |path: &str| {
        let mut client = RawClient::connect(group.web);
        client.send(get(path, "192.0.2.1"));
        client
    };
    let mut clients = vec![ask("/0")];
    patient.origin.wait_for_requests(1);
    for number in 1..4 {
        clients.push(ask(&format!("/{number}")));
        group.wait_for_queue(number);
    }
    assert_eq!(ask("/full").response().status(), 503);
    for (number, client) in clients.iter_mut().enumerate() {
        patient.tell();
        assert_eq!(client.response().text(), "x");
        if number < 3 {
            patient.origin.wait_for_requests(number + 2);
        }
    }
    let order: Vec<String> = patient
        .origin
        .requests()
        .into_iter()
        .map(|request| request.start)
        .collect();
    let expected = [0, 1, 2, 3].map(|number| format!("GET /{number} HTTP/1.1"));
    assert_eq!(order, expected);
}

#[test]
fn a_wait_ends_with_its_time() {
    let patient = Patient::new("x");
    let keys = "max_connections = 1\nqueue_timeout = \"300ms\"";
    let group = Group::start(&[plain(&patient.origin)], keys);
    let mut first = asking(&group);
    patient.origin.wait_for_requests(1);
    let start = Instant::now();
    let refused = asking(&group).response();
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(refused.status(), 503);
    assert!(refused.text().contains("upstream.saturated"));
    patient.tell();
    assert_eq!(first.response().text(), "x");
    // The place that nobody waits for any more is there.
    patient.tell();
    assert_eq!(asking(&group).response().text(), "x");
}

#[test]
fn a_client_that_goes_leaves_the_queue() {
    let patient = Patient::new("x");
    let keys = "max_connections = 1\nqueue = 1\nqueue_timeout = \"15s\"";
    let group = Group::start(&[plain(&patient.origin)], keys);
    let mut first = asking(&group);
    patient.origin.wait_for_requests(1);
    let gone = asking(&group);
    group.wait_for_queue(1);
    drop(gone);
    group.proxy.wait_for_access("http.client_aborted");
    let mut third = asking(&group);
    group.wait_for_queue(1);
    patient.tell();
    assert_eq!(first.response().text(), "x");
    patient.tell();
    assert_eq!(third.response().text(), "x");
    assert_eq!(patient.origin.requests().len(), 2);
}

#[test]
fn a_place_comes_free_whatever_becomes_of_an_exchange() {
    let origin = Origin::start(|peer| {
        let Some(request) = peer.request()? else {
            return Ok(());
        };
        match request.start.as_str() {
            "GET /reset HTTP/1.1" => peer.reset(),
            "GET /garbage HTTP/1.1" => peer.send("nonsense\r\n\r\n"),
            "GET /slow HTTP/1.1" => peer.read_to_end().map(drop),
            _ => peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"),
        }
    });
    let keys = "max_connections = 1\nqueue = 0\nresponse_timeout = \"100ms\"";
    let group = Group::start(&[plain(&origin)], keys);
    for _ in 0..3 {
        for (path, expected) in [
            ("/reset", 502),
            ("/garbage", 502),
            ("/slow", 504),
            ("/", 200),
        ] {
            // A client may have its answer a moment before its exchange is over.
            wait_until(path, || {
                let mut client = RawClient::connect(group.web);
                let status = client.exchange(get(path, "192.0.2.1")).status();
                assert!([503, expected].contains(&status), "{path}: {status}");
                status == expected
            });
        }
    }
}
