//! Endpoints that drain: what runs there ends, by itself or when its time is over.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use super::address;
use super::changes::{GET, asked, change, endpoint, group};
use crate::support::{Origin, Peer, Proxy, RawClient, eventually};

const ECHO: &str =
    "GET /echo HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";

/// Answers with its name, but to `/wait` only when it is told to, and to an upgrade with an echo.
fn patient(name: &'static str) -> (Origin, Sender<()>) {
    let (tell, told) = channel();
    let told: Arc<Mutex<Receiver<()>>> = Arc::new(Mutex::new(told));
    let origin = Origin::start(move |peer: &mut Peer| -> io::Result<()> {
        while let Some(request) = peer.request()? {
            if request.start.contains("/echo") {
                peer.send(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
                )?;
                loop {
                    let bytes = peer.read_some()?;
                    if bytes.is_empty() {
                        return Ok(());
                    }
                    peer.send(bytes)?;
                }
            }
            if request.start.contains("/wait") {
                // The end of the test tells, too.
                let _told_or_over = told.lock().unwrap().recv();
            }
            let length = name.len();
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}"
            ))?;
        }
        Ok(())
    });
    (origin, tell)
}

#[test]
fn a_drained_endpoint_gets_nothing_new_and_ends_what_it_has() {
    let (slow, go) = patient("slow");
    let quick = Origin::serving("quick");
    let proxy = Proxy::start(&group(&[slow.address()], ""));
    let web = address(&proxy, "web");
    let mut waiting = RawClient::connect(web);
    waiting.send("GET /wait HTTP/1.1\r\nHost: a.test\r\n\r\n");
    slow.wait_for_requests(1);
    change(&proxy, "add", quick.address(), &[]);
    let told = change(&proxy, "drain", slow.address(), &["--timeout", "20s"]);
    assert!(
        told.contains("drains: 1 exchange has 20 s to end"),
        "{told}"
    );
    let drained = endpoint(&proxy, slow.address());
    assert_eq!(drained["state"], "draining");
    assert_eq!(drained["active"], 1);
    assert_eq!(asked(web, 6), ["quick"]);
    go.send(()).unwrap();
    assert_eq!(waiting.response().text(), "slow");
    eventually("it has nothing to do", || {
        let drained = endpoint(&proxy, slow.address());
        (drained["active"] == 0 && drained["idle"] == 0).then_some(())
    });
    // The connection of the client goes on.
    assert_eq!(waiting.exchange(GET).text(), "quick");
    let told = change(&proxy, "enable", slow.address(), &[]);
    assert!(told.contains("serves again"), "{told}");
    assert_eq!(asked(web, 6), ["quick", "slow"]);
    assert_eq!(slow.requests()[0].start, "GET /wait HTTP/1.1");
}

/// A client whose request has come to the first of two origins; others went to the second, and are answered.
fn held(web: SocketAddr, [slow, quick]: [&Origin; 2], request: &str) -> RawClient {
    let counts = || [slow, quick].map(|origin| origin.requests().len());
    for _ in 0..20 {
        let before = counts();
        let mut client = RawClient::connect(web);
        client.send(request);
        let now = eventually("somebody has it", || {
            Some(counts()).filter(|now| *now != before)
        });
        if now[0] > before[0] {
            return client;
        }
    }
    panic!("turns go to both");
}

#[test]
fn what_takes_longer_than_the_time_to_drain_is_ended() {
    let (slow, _go) = patient("slow");
    let quick = Origin::serving("quick");
    let proxy = Proxy::start(&group(&[slow.address(), quick.address()], ""));
    let web = address(&proxy, "web");
    let mut tunnel = held(web, [&slow, &quick], ECHO);
    assert_eq!(tunnel.response().status(), 101);
    tunnel.send("hello");
    assert_eq!(tunnel.read_exact(5), b"hello");
    let mut get = held(
        web,
        [&slow, &quick],
        "GET /wait HTTP/1.1\r\nHost: a.test\r\n\r\n",
    );
    let mut post = held(
        web,
        [&slow, &quick],
        "POST /wait HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi",
    );
    change(&proxy, "drain", slow.address(), &["--timeout", "100ms"]);
    // Nothing of an answer had come, and asking somebody else does no harm.
    assert_eq!(get.response().text(), "quick");
    assert_eq!(post.response_to("POST").status(), 503);
    tunnel.expect_closed();
    proxy.wait_for_access("upstream.drained");
    eventually("it has nothing to do", || {
        (endpoint(&proxy, slow.address())["active"] == 0).then_some(())
    });
    change(&proxy, "enable", slow.address(), &[]);
    assert_eq!(asked(web, 6), ["quick", "slow"]);
}

#[test]
fn an_endpoint_that_is_deleted_while_it_drains_still_has_its_bound() {
    let (slow, _go) = patient("slow");
    let quick = Origin::serving("quick");
    let proxy = Proxy::start(&group(&[slow.address(), quick.address()], ""));
    let web = address(&proxy, "web");
    let open = tunnels(web);
    assert!(!open.is_empty(), "turns go to both");
    change(&proxy, "drain", slow.address(), &["--timeout", "100ms"]);
    change(&proxy, "del", slow.address(), &[]);
    for mut tunnel in open {
        tunnel.expect_closed();
    }
}

/// Those of a few clients that have got one.
fn tunnels(web: SocketAddr) -> Vec<RawClient> {
    let mut clients: Vec<RawClient> = (0..4).map(|_| RawClient::connect(web)).collect();
    clients.retain_mut(|client| client.exchange(ECHO).status() == 101);
    clients
}

#[test]
fn an_address_that_stands_there_by_two_names_drains_under_both() {
    let (slow, _go) = patient("slow");
    let address_of = slow.address();
    let named = format!("\"localhost:{}\"", address_of.port());
    let config = group(&[address_of], "");
    let written = format!("\"{address_of}\"");
    let proxy = Proxy::start(&config.replace(&written, &format!("{written}, {named}")));
    let open = tunnels(address(&proxy, "web"));
    assert_eq!(open.len(), 4);
    change(&proxy, "drain", address_of, &["--timeout", "100ms"]);
    for mut tunnel in open {
        tunnel.expect_closed();
    }
}
