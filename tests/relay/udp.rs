//! `mode = "udp"`: datagrams of a client are a session with one endpoint.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::{Relay, config};
use crate::control::address;
use crate::support::{PATIENCE, Proxy, free_port, wait_until};

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Answers each datagram with its name, a colon and the datagram.
struct Echo {
    at: SocketAddr,
    over: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
}

impl Echo {
    fn start(name: &'static str) -> Self {
        let socket = socket();
        let echo = Self {
            at: socket.local_addr().unwrap(),
            over: Arc::default(),
            count: Arc::default(),
        };
        let (over, count) = (echo.over.clone(), echo.count.clone());
        thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while !over.load(Ordering::SeqCst) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                count.fetch_add(1, Ordering::SeqCst);
                let answer = [name.as_bytes(), b":", &buffer[..length]].concat();
                // Whoever asked may have gone.
                let _ = socket.send_to(&answer, from);
            }
        });
        echo
    }

    /// One beside a listener of the same number, which somebody else may have for TCP.
    fn with_tcp(name: &'static str) -> (Self, TcpListener) {
        (0..100)
            .find_map(|_| {
                let echo = Self::start(name);
                let listener = TcpListener::bind(echo.at).ok()?;
                Some((echo, listener))
            })
            .expect("a number that is free for both")
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes it.
        let _ = socket().send_to(b"", self.at);
    }
}

fn ask(client: &UdpSocket, at: SocketAddr, question: &[u8]) -> Vec<u8> {
    client.send_to(question, at).unwrap();
    let mut buffer = vec![0; 65_536];
    let (length, from) = client.recv_from(&mut buffer).unwrap();
    assert_eq!(from, at, "the answer comes from whom was asked");
    buffer.truncate(length);
    buffer
}

#[test]
fn datagrams_go_through_as_they_are_and_a_client_keeps_its_endpoint() {
    let (a, b) = (Echo::start("a"), Echo::start("b"));
    let relay = Relay::start("udp", &[a.at, b.at], "idle_timeout = \"400ms\"", "");
    let mut seen = HashSet::new();
    for _ in 0..8 {
        let client = socket();
        let first = ask(&client, relay.at, b"0");
        seen.insert(first[0]);
        // From none to the largest that loopback takes.
        for length in [0, 1, 1200, 1500, 9000, 65_000] {
            let question = vec![7; length];
            let answer = ask(&client, relay.at, &question);
            assert_eq!(answer[..2], first[..2], "another endpoint");
            assert!(answer[2..] == question, "{length}");
        }
    }
    assert_eq!(seen.len(), 2, "one endpoint got everybody");
    let line = relay.proxy.wait_for_access("\"protocol\":\"udp\"");
    for part in [
        "\"reason\":null,\"bytes_in\":76702,\"bytes_out\":76716,",
        "\"upstream\":\"app\"",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    wait_until("the end of all sessions", || {
        relay.metric("openclaw_connections{listener=\"db\"}") == Some(0.0)
    });
}

#[test]
fn a_refused_datagram_goes_to_another_endpoint() {
    let echo = Echo::start("alive");
    let dead = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let relay = Relay::start("udp", &[dead, echo.at], "", "retries = 1");
    for _ in 0..6 {
        assert_eq!(ask(&socket(), relay.at, b"x"), b"alive:x");
    }
    let failed = format!(
        "openclaw_upstream_connects_total{{upstream=\"app\",endpoint=\"{dead}\",result=\"failed\"}}"
    );
    assert!(
        relay.metric(&failed) > Some(0.0),
        "nobody was sent to the dead one"
    );
    drop(relay);

    let relay = Relay::start("udp", &[dead], "", "");
    socket().send_to(b"x", relay.at).unwrap();
    let line = relay
        .proxy
        .wait_for_access("\"reason\":\"upstream.connect\"");
    assert!(line.contains("refused"), "{line}");
}

#[test]
fn sessions_have_their_bound() {
    let echo = Echo::start("e");
    let relay = Relay::start(
        "udp",
        &[echo.at],
        "max_connections = 2\nidle_timeout = \"500ms\"",
        "",
    );
    let clients = [socket(), socket()];
    for client in &clients {
        assert_eq!(ask(client, relay.at, b"1"), b"e:1");
    }
    let third = socket();
    third.send_to(b"2", relay.at).unwrap();
    relay
        .proxy
        .wait_for_access("\"reason\":\"limit.connections\"");
    assert_eq!(echo.count.load(Ordering::SeqCst), 2);
    third
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    wait_until("a place", || {
        third.send_to(b"3", relay.at).unwrap();
        third.recv(&mut [0; 9]).is_ok()
    });
}

/// Bound to every address, the proxy answers from the one that was asked.
#[test]
fn the_answer_comes_from_the_address_that_was_asked() {
    let echo = Echo::start("e");
    let proxy = Proxy::start(&format!(
        "[listener.dns]\nbind = [\"0.0.0.0:0\"]\nmode = \"udp\"\nto = \"app\"\n[upstream.app]\nendpoints = [\"{}\"]\n",
        echo.at
    ));
    let port = address(&proxy, "dns").port();
    let client = UdpSocket::bind("0.0.0.0:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    for last in [1, 2, 77] {
        let at = SocketAddr::from(([127, 0, 0, last], port));
        assert_eq!(ask(&client, at, b"x"), b"e:x");
    }
}

#[test]
fn a_reload_moves_new_sessions_and_a_drain_waits_for_none_that_is_silent() {
    let (one, two) = (Echo::start("one"), Echo::start("two"));
    let mut relay = Relay::start("udp", &[one.at], "", "");
    let old = socket();
    assert_eq!(ask(&old, relay.at, b"1"), b"one:1");
    relay.proxy.rewrite(&config("udp", &[two.at], "", ""));
    relay.proxy.signal("HUP");
    relay.proxy.wait_for("configuration reloaded");
    assert_eq!(ask(&socket(), relay.at, b"2"), b"two:2");
    assert_eq!(ask(&old, relay.at, b"3"), b"one:3");

    relay.proxy.signal("TERM");
    relay.proxy.wait_for("drain");
    assert_eq!(ask(&old, relay.at, b"4"), b"one:4");
    assert!(relay.proxy.wait().success());
    let line = relay.proxy.wait_for_access("\"bytes_in\":3,");
    assert!(line.contains("\"reason\":null"), "{line}");
}

#[test]
fn a_client_keeps_its_endpoint_when_another_process_takes_over() {
    let (a, b) = (Echo::start("a"), Echo::start("b"));
    let relay = Relay::start("udp", &[a.at, b.at], "", "");
    let clients: Vec<_> = (0..9).map(|_| socket()).collect();
    let ask_all = |at| -> Vec<u8> {
        let names = clients.iter().map(|client| ask(client, at, b"x")[0]);
        names.collect()
    };
    let before = ask_all(relay.at);
    relay.proxy.upgrade(&[]);
    assert_eq!(ask_all(relay.at), before);
}

/// What the endpoints have to do, beside `endpoints`.
fn active(relay: &Relay, endpoints: &[SocketAddr]) -> Vec<u64> {
    let output = relay.proxy.cli(&["-o", "json", "upstream", "list"]).ok();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let list = json["upstreams"][0]["endpoints"].as_array().unwrap();
    let of = |at: &SocketAddr| {
        let mut list = list.iter();
        let one = list.find(|one| one["address"] == at.to_string()).unwrap();
        one["active"].as_u64().unwrap()
    };
    endpoints.iter().map(of).collect()
}

#[test]
fn sessions_end_when_their_endpoint_is_drained_and_the_time_for_that_is_over() {
    let (a, b) = (Echo::start("a"), Echo::start("b"));
    let both = [a.at, b.at];
    let relay = Relay::start("udp", &both, "", "balance = \"least_connections\"");
    let clients: Vec<_> = (0..6).map(|_| socket()).collect();
    let names = || -> Vec<u8> {
        let names = clients.iter().map(|client| ask(client, relay.at, b"x")[0]);
        names.collect()
    };
    let before = names();
    assert_eq!(active(&relay, &both), [3, 3]);
    relay.proxy.upgrade(&[]);
    // What comes while one process gives way may still be the old one's.
    wait_until("the process that takes over knows of all", || {
        assert_eq!(names(), before);
        active(&relay, &both) == [3, 3]
    });

    let drain = |within| {
        let drained = a.at.to_string();
        let words = ["upstream", "drain", "app", &drained, "--timeout", within];
        relay.proxy.cli(&words).ok().text()
    };
    let told = drain("20s");
    assert!(
        told.contains("drains: 3 exchanges have 20 s to end"),
        "{told}"
    );
    assert_eq!(names(), before, "what runs goes on");
    drain("100ms");
    wait_until("the end of what ran there", || {
        active(&relay, &both) == [0, 3]
    });
    relay
        .proxy
        .wait_for_access("\"reason\":\"upstream.drained\"");
    assert_eq!(names(), [b'b'; 6]);
    assert_eq!(active(&relay, &both), [0, 6]);
}

#[test]
fn a_session_leaves_an_endpoint_that_probes_call_unwell() {
    // Probes ask over TCP.
    let ((a, of_a), (b, _of_b)) = (Echo::with_tcp("a"), Echo::with_tcp("b"));
    let keys = "health = { every = \"200ms\", fall = 1 }";
    let relay = Relay::start("udp", &[a.at, b.at], "", keys);
    let clients: Vec<_> = (0..4).map(|_| socket()).collect();
    let names = || -> Vec<u8> {
        let names = clients.iter().map(|client| ask(client, relay.at, b"x")[0]);
        names.collect()
    };
    assert!(names().contains(&b'a'));
    drop(of_a);
    relay.proxy.wait_for("unwell");
    assert_eq!(names(), [b'b'; 4]);
    relay
        .proxy
        .wait_for_access("\"reason\":\"upstream.unhealthy\"");
    assert_eq!(names(), [b'b'; 4]);
}
