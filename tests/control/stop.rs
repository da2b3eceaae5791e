//! The end: what runs is finished, within its grace.

use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::control::{address, answering, forwarding, status};
use crate::support::{Origin, Proxy, RawClient, curl, wait_until};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// Answers when it is told to.
fn gated_origin() -> (Sender<()>, Origin) {
    let (go_on, word) = mpsc::channel::<()>();
    let word = Mutex::new(word);
    let origin = Origin::start(move |peer| {
        peer.request()?;
        // A test that has failed says nothing more.
        let _ = word.lock().unwrap().recv();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
    });
    (go_on, origin)
}

/// A proxy with a request under way that never ends, and its client.
fn stuck() -> (Proxy, RawClient, Origin) {
    let origin = Origin::start(|peer| {
        peer.request()?;
        peer.read_to_end()?;
        Ok(())
    });
    let (proxy, client) = under_way(&origin);
    (proxy, client, origin)
}

/// A proxy with a request that its origin has received, and the client.
fn under_way(origin: &Origin) -> (Proxy, RawClient) {
    let proxy = Proxy::start(&forwarding(origin.address()));
    let mut client = RawClient::connect(address(&proxy, "web"));
    client.send(GET);
    origin.wait_for_requests(1);
    (proxy, client)
}

fn until_draining(proxy: &Proxy) {
    wait_until("it drains", || status(proxy)["draining"] == true);
}

#[test]
fn stop_waits_for_what_runs() {
    let (go_on, origin) = gated_origin();
    let (mut proxy, mut client) = under_way(&origin);
    let web = address(&proxy, "web");
    thread::scope(|scope| {
        let stop = scope.spawn(|| proxy.cli(&["stop"]));
        until_draining(&proxy);
        assert!(!stop.is_finished());
        go_on.send(()).unwrap();
        assert_eq!(client.response().text(), "done");
        assert_eq!(stop.join().unwrap().ok().text(), "stopped\n");
    });
    assert!(proxy.wait().success());
    assert!(TcpStream::connect(web).is_err());
    assert!(!proxy.socket().exists(), "the socket goes with the process");
}

#[test]
fn a_terminate_signal_drains_and_readiness_says_so() {
    let (go_on, origin) = gated_origin();
    let (mut proxy, mut client) = under_way(&origin);
    proxy.signal("TERM");
    until_draining(&proxy);
    let ready = format!("http://{}/readyz", proxy.metrics());
    let code = curl(&["-o", "/dev/null", "-w", "%{http_code}", &ready]);
    assert_eq!(code.text(), "503");
    go_on.send(()).unwrap();
    assert_eq!(client.response().text(), "done");
    assert!(proxy.wait().success());
}

#[test]
fn what_does_not_end_is_cut_at_the_grace() {
    let (mut proxy, _client, _origin) = stuck();
    let started = Instant::now();
    proxy.cli(&["stop", "--grace", "300ms"]).ok();
    assert!(started.elapsed() >= Duration::from_millis(300));
    assert!(proxy.wait().success());
}

#[test]
fn a_second_signal_does_not_wait() {
    let (mut proxy, _client, _origin) = stuck();
    proxy.signal("TERM");
    until_draining(&proxy);
    proxy.signal("INT");
    let started = Instant::now();
    assert_eq!(proxy.wait().code(), Some(1));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn the_last_lines_of_the_access_log_are_written() {
    let mut proxy = Proxy::start(&answering("hello"));
    let mut client = RawClient::connect(address(&proxy, "web"));
    client.exchange("GET /last HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
    proxy.signal("TERM");
    assert!(proxy.wait().success());
    proxy.wait_for_access("\"path\":\"/last\"");
}
