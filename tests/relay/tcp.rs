//! `mode = "tcp"`: what comes on one side goes out on the other, as it came, until both have ended.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use super::{Relay, config};
use crate::support::{Origin, Peer, RawClient, free_port, wait_until};

/// Sends back what it gets, then ends.
fn echo() -> Origin {
    Origin::start(|peer: &mut Peer| -> io::Result<()> {
        loop {
            let some = peer.read_some()?;
            if some.is_empty() {
                return peer.finish();
            }
            peer.send(some)?;
        }
    })
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// So many bytes of which none is in a wrong place unseen.
fn pattern(length: usize) -> Vec<u8> {
    (0..length as u64)
        .step_by(8)
        .flat_map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
        .take(length)
        .collect()
}

/// All that comes to a client that says nothing; it may be reset while it connects.
fn connect_and_read(at: SocketAddr) -> io::Result<Vec<u8>> {
    RawClient::try_connect(at)?.try_read_to_end()
}

#[test]
fn bytes_go_through_and_a_half_that_ended_leaves_the_other_open() {
    let origin = Origin::start(|peer: &mut Peer| -> io::Result<()> {
        peer.send("hello\n")?;
        let all = peer.read_to_end()?;
        // The client's side is over: now comes the answer to all of it.
        peer.send(format!("{} bytes\n", all.len()))
    });
    let relay = Relay::tcp(&[origin.address()]);
    let mut client = relay.client();
    assert_eq!(client.read_until(b"\n"), b"hello\n");
    client.send("12345");
    client.finish();
    assert_eq!(client.read_to_end(), b"5 bytes\n");
    let line = relay.proxy.wait_for_access("\"listener\":\"db\"");
    for part in [
        "\"client\":\"127.0.0.1\"",
        "\"protocol\":\"tcp\"",
        "\"status\":null,\"reason\":null,\"bytes_in\":5,\"bytes_out\":14,",
        "\"upstream\":\"app\"",
        &format!("\"endpoint\":\"{}\"", origin.address()),
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert_eq!(
        relay.metric("openclaw_connections{listener=\"db\"}"),
        Some(0.0)
    );
    let sent = "openclaw_relayed_bytes_total{listener=\"db\",direction=\"out\"}";
    assert_eq!(relay.metric(sent), Some(14.0));
}

#[test]
fn the_endpoint_may_end_first_and_still_listen() {
    let origin = Origin::start(|peer: &mut Peer| -> io::Result<()> {
        peer.send("bye")?;
        peer.finish()?;
        peer.read_to_end().map(drop)
    });
    let relay = Relay::tcp(&[origin.address()]);
    let mut client = relay.client();
    assert_eq!(client.read_to_end(), b"bye");
    client.send("one thing more");
    client.finish();
    wait_until("the rest", || {
        origin.received().concat() == b"one thing more"
    });
    let line = relay.proxy.wait_for_access("\"listener\":\"db\"");
    assert!(line.contains("\"reason\":null"), "{line}");
}

#[test]
fn a_reset_is_passed_on_as_a_reset_both_ways() {
    let origin = Origin::start(|peer: &mut Peer| -> io::Result<()> {
        peer.send("part")?;
        if peer.read_until(b"\n")? == b"reset\n" {
            return peer.reset();
        }
        let error = peer.read_some().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        Ok(())
    });
    let relay = Relay::tcp(&[origin.address()]);
    let mut client = relay.client();
    assert_eq!(client.read_exact(4), b"part");
    client.send("reset\n");
    let error = client.try_read_to_end().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    relay.proxy.wait_for_access("\"reason\":\"upstream.reset\"");

    let mut client = relay.client();
    client.send("stay\n");
    assert_eq!(client.read_exact(4), b"part");
    client.reset();
    relay
        .proxy
        .wait_for_access("\"reason\":\"relay.client_aborted\"");
}

#[test]
fn silence_has_an_end_and_it_is_not_a_clean_one() {
    let origin = echo();
    let relay = Relay::start("tcp", &[origin.address()], "idle_timeout = \"300ms\"", "");
    let mut client = relay.client();
    for _ in 0..3 {
        client.send("ping");
        assert_eq!(client.read_exact(4), b"ping");
    }
    let error = client.try_read_to_end().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let line = relay.proxy.wait_for_access("\"reason\":\"relay.idle\"");
    assert!(line.contains("\"bytes_in\":12,\"bytes_out\":12"), "{line}");
}

#[test]
fn an_endpoint_that_refuses_is_passed_over_and_without_any_the_client_is_reset() {
    let origin = echo();
    let dead = local(free_port());
    let relay = Relay::tcp(&[dead, origin.address()]);
    for _ in 0..6 {
        let mut client = relay.client();
        client.send("x");
        assert_eq!(client.read_exact(1), b"x");
    }
    assert!(
        relay.metric("openclaw_upstream_retries_total{upstream=\"app\"}") > Some(0.0),
        "nobody was sent to the dead one"
    );
    drop(relay);

    let relay = Relay::tcp(&[dead]);
    let error = connect_and_read(relay.at).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let line = relay
        .proxy
        .wait_for_access("\"reason\":\"upstream.connect\"");
    assert!(line.contains("refused the connection"), "{line}");
}

/// 64 MiB each way at once, so that pipes and buffers are full now and then.
#[test]
fn many_dead_endpoints_use_up_no_retries_and_the_operator_may_want_none() {
    let origin = echo();
    let mut endpoints = [0; 6].map(|_| local(free_port())).to_vec();
    endpoints.push(origin.address());
    let relay = Relay::start("tcp", &endpoints, "", "retries = 1");
    for _ in 0..8 {
        let mut client = relay.client();
        client.send("x");
        assert_eq!(client.read_exact(1), b"x");
    }
    for (keys, retries) in [("", 1), ("retry_on = [\"reset\"]", 0)] {
        let relay = Relay::start("tcp", &endpoints[..2], "", keys);
        // Refused: closed, or reset.
        let _closed = connect_and_read(relay.at);
        let line = relay
            .proxy
            .wait_for_access("\"reason\":\"upstream.connect\"");
        assert!(line.contains(&format!("\"retries\":{retries},")), "{line}");
    }
}

#[test]
fn bulk_arrives_whole_both_ways() {
    const LENGTH: usize = 64 << 20;
    let listener = TcpListener::bind(local(0)).unwrap();
    let relay = Relay::tcp(&[listener.local_addr().unwrap()]);
    let bytes: &'static [u8] = pattern(LENGTH).leak();
    let exchange = |mut stream: TcpStream| {
        let mut writer = stream.try_clone().unwrap();
        let sending = thread::spawn(move || {
            writer.write_all(bytes).unwrap();
            writer.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let mut received = Vec::with_capacity(LENGTH);
        stream.read_to_end(&mut received).unwrap();
        sending.join().unwrap();
        assert!(received == bytes, "{} bytes came", received.len());
    };
    let client = TcpStream::connect(relay.at).unwrap();
    let (endpoint, _) = listener.accept().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| exchange(client));
        scope.spawn(|| exchange(endpoint));
    });
    let line = relay.proxy.wait_for_access("\"listener\":\"db\"");
    let both = format!("\"reason\":null,\"bytes_in\":{LENGTH},\"bytes_out\":{LENGTH},");
    assert!(line.contains(&both), "{line}");
}

#[test]
fn connections_have_their_bound() {
    let origin = echo();
    let relay = Relay::start("tcp", &[origin.address()], "max_connections = 2", "");
    let mut held: Vec<RawClient> = (0..2).map(|_| relay.client()).collect();
    for client in &mut held {
        client.send("x");
        assert_eq!(client.read_exact(1), b"x");
    }
    // Closed unread: that may come as an end or as a reset.
    let third = connect_and_read(relay.at).unwrap_or_default();
    assert_eq!(third, b"");
    relay
        .proxy
        .wait_for_access("\"reason\":\"limit.connections\"");
    drop(held);
    wait_until("a place", || {
        let Ok(mut client) = RawClient::try_connect(relay.at) else {
            return false;
        };
        client.try_send("y").is_ok() && client.try_read_exact(1).is_ok_and(|read| read == b"y")
    });
}

#[test]
fn a_reload_moves_new_connections_and_leaves_the_old_ones() {
    let (one, two) = (echo(), Origin::start(|peer: &mut Peer| peer.send("two")));
    let mut relay = Relay::tcp(&[one.address()]);
    let mut old = relay.client();
    old.send("a");
    assert_eq!(old.read_exact(1), b"a");
    relay
        .proxy
        .rewrite(&config("tcp", &[two.address()], "", ""));
    relay.proxy.signal("HUP");
    relay.proxy.wait_for("configuration reloaded");
    assert_eq!(relay.client().read_exact(3), b"two");
    old.send("b");
    assert_eq!(old.read_exact(1), b"b");

    let web = "[listener.web]\nbind = [\"127.0.0.1:0\"]\n[[route]]\nrespond = { body = \"x\" }\n";
    relay.proxy.rewrite(web);
    relay.proxy.signal("HUP");
    wait_until("the end of the listener", || {
        TcpStream::connect(relay.at).is_err()
    });
    old.send("c");
    assert_eq!(old.read_exact(1), b"c");

    relay.proxy.signal("TERM");
    relay.proxy.wait_for("drain");
    old.send("d");
    assert_eq!(old.read_exact(1), b"d");
    old.finish();
    assert_eq!(old.read_to_end(), b"");
    assert!(relay.proxy.wait().success());
}

#[test]
fn the_log_names_the_client_that_was_announced() {
    let echo = echo();
    let keys = "proxy_protocol = [\"127.0.0.1\"]";
    let relay = Relay::start("tcp", &[echo.address()], keys, "");
    let mut client = relay.client();
    client.send("PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\nhi");
    assert_eq!(client.read_exact(2), b"hi");
    client.finish();
    let line = relay.proxy.wait_for_access("\"listener\":\"db\"");
    assert!(line.contains("\"client\":\"203.0.113.7\""), "{line}");
}
