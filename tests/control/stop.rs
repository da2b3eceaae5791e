//! The end: what runs is finished, within its grace.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::control::{address, answering, forwarding, status};
use crate::support::{Origin, PATIENCE, Proxy, RawClient, curl};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// Takes longer than a proxy that does not wait would live.
fn slow_origin() -> Origin {
    Origin::start(|peer| {
        while peer.request()?.is_some() {
            std::thread::sleep(Duration::from_millis(700));
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")?;
        }
        Ok(())
    })
}

fn silent_origin() -> Origin {
    Origin::start(|peer| {
        peer.request()?;
        peer.read_to_end()?;
        Ok(())
    })
}

fn until_draining(proxy: &Proxy) {
    let end = Instant::now() + PATIENCE;
    while status(proxy)["draining"] != true {
        assert!(Instant::now() < end, "it does not drain");
    }
}

#[test]
fn stop_waits_for_what_runs() {
    let origin = slow_origin();
    let mut proxy = Proxy::start(&forwarding(origin.address()));
    let web = address(&proxy, "web");
    let mut client = RawClient::connect(web);
    client.send(GET);
    origin.wait_for_requests(1);
    assert_eq!(proxy.cli(&["stop"]).ok().text(), "stopped\n");
    assert_eq!(client.response().text(), "done");
    assert!(proxy.wait().success());
    assert!(TcpStream::connect(web).is_err());
    assert!(!proxy.socket().exists(), "the socket goes with the process");
}

#[test]
fn a_terminate_signal_drains_and_readiness_says_so() {
    let origin = slow_origin();
    let mut proxy = Proxy::start(&forwarding(origin.address()));
    let web = address(&proxy, "web");
    let mut client = RawClient::connect(web);
    client.send(GET);
    origin.wait_for_requests(1);
    proxy.signal("TERM");
    until_draining(&proxy);
    let ready = format!("http://{}/readyz", proxy.metrics());
    let code = curl(&["-o", "/dev/null", "-w", "%{http_code}", &ready]);
    assert_eq!(code.text(), "503");
    assert_eq!(client.response().text(), "done");
    assert!(proxy.wait().success());
}

#[test]
fn what_does_not_end_is_cut_at_the_grace() {
    let origin = silent_origin();
    let mut proxy = Proxy::start(&forwarding(origin.address()));
    let mut client = RawClient::connect(address(&proxy, "web"));
    client.send(GET);
    origin.wait_for_requests(1);
    let started = Instant::now();
    proxy.cli(&["stop", "--grace", "300ms"]).ok();
    assert!(started.elapsed() >= Duration::from_millis(300));
    assert!(proxy.wait().success());
}

#[test]
fn a_second_signal_does_not_wait() {
    let origin = silent_origin();
    let mut proxy = Proxy::start(&forwarding(origin.address()));
    let mut client = RawClient::connect(address(&proxy, "web"));
    client.send(GET);
    origin.wait_for_requests(1);
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
