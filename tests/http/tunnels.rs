//! Upgraded connections: bytes in both directions until both sides have ended.

use super::{GET, Stage, app};
use crate::support::{Origin, RawClient};

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n";
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s\r\n\r\n";

/// Sends every byte back, and its end after theirs.
fn echo() -> Origin {
    Origin::start(|peer| {
        peer.read_until(b"\r\n\r\n")?;
        peer.send(SWITCHED)?;
        while let Ok(byte) = peer.read_exact(1) {
            peer.send(byte)?;
        }
        peer.send("last words")?;
        peer.finish()
    })
}

fn upgraded(client: &mut RawClient) {
    client.send(UPGRADE);
    let head = String::from_utf8(client.read_until("\r\n\r\n")).unwrap();
    assert!(
        head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nUpgrade: websocket\r\n"), "{head}");
    assert!(
        head.to_ascii_lowercase()
            .contains("\r\nconnection: upgrade\r\n"),
        "{head}"
    );
}

#[test]
fn bytes_go_both_ways_and_each_side_ends_on_its_own() {
    let origin = echo();
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    upgraded(&mut client);
    for word in ["hello", "\0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"] {
        client.send(word);
        assert_eq!(client.read_exact(word.len()), word.as_bytes());
    }
    client.finish();
    assert_eq!(client.read_to_end(), b"last words");
    let head = origin.received().concat();
    let head = String::from_utf8_lossy(&head);
    assert!(
        head.contains("Upgrade: websocket\r\nConnection: upgrade\r\n"),
        "{head}"
    );
    stage.proxy.wait_for_access("\"status\":101");
}

#[test]
fn the_origins_end_leaves_the_clients_direction_open() {
    let origin = Origin::start(|peer| {
        peer.read_until(b"\r\n\r\n")?;
        // The first bytes of the new protocol come with the head.
        peer.send([SWITCHED, "first"].concat())?;
        peer.finish()?;
        peer.read_to_end().map(drop)
    });
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    upgraded(&mut client);
    assert_eq!(client.read_to_end(), b"first");
    client.send("after the end");
    client.finish();
    let end = std::time::Instant::now() + crate::support::PATIENCE;
    while !origin.received().concat().ends_with(b"after the end") {
        assert!(std::time::Instant::now() < end);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn a_tunnel_that_is_torn_on_one_side_is_torn_on_the_other() {
    let (tell, told) = std::sync::mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let origin = Origin::start(move |peer| {
        peer.read_until(b"\r\n\r\n")?;
        peer.send(SWITCHED)?;
        if peer.read_exact(1)? == b"x" {
            return peer.reset();
        }
        let end = peer.read_exact(1).map(drop).map_err(|error| error.kind());
        tell.lock().unwrap().send(end).ok();
        Ok(())
    });
    let stage = Stage::before(&origin);
    for mut client in [
        stage.client(),
        RawClient::connect_tls(stage.webs, "a.test", &["http/1.1"]),
    ] {
        upgraded(&mut client);
        client.send("x");
        client.expect_reset();
    }
    let mut client = stage.client();
    upgraded(&mut client);
    client.send("y");
    client.reset();
    let end = told.recv_timeout(crate::support::PATIENCE).unwrap();
    assert_eq!(end, Err(std::io::ErrorKind::ConnectionReset));
}

#[test]
fn tunnels_run_through_tls() {
    let origin = echo();
    let stage = Stage::before(&origin);
    let mut client = RawClient::connect_tls(stage.webs, "a.test", &["http/1.1"]);
    upgraded(&mut client);
    let megabyte = vec![7; 1024 * 100];
    client.send(&megabyte);
    assert_eq!(client.read_exact(megabyte.len()), megabyte);
}

#[test]
fn bytes_sent_before_the_switch_wait_for_it() {
    let origin = echo();
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    client.send(UPGRADE.to_owned() + "early");
    client.read_until("\r\n\r\n");
    assert_eq!(client.read_exact(5), b"early");
}

#[test]
fn a_refused_upgrade_is_an_answer_like_any_other() {
    let origin = Origin::serving("plain");
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    assert_eq!(client.exchange(UPGRADE).text(), "plain");
    assert_eq!(client.exchange(GET).text(), "plain");
    // An upgrade to h2c would pass requests by the proxy's eyes, so that the origin never sees it.
    let h2c = UPGRADE.replace("websocket\r\n", "h2c\r\nHTTP2-Settings: AA\r\n");
    assert_eq!(client.exchange(h2c).text(), "plain");
    let last = origin.requests().pop().unwrap();
    assert_eq!(
        (last.header("upgrade"), last.header("http2-settings")),
        (None, None)
    );
}

#[test]
fn a_silent_tunnel_ends_after_its_timeout() {
    let origin = echo();
    let stage = Stage::with(&app(origin.address(), "tunnel_timeout = \"300ms\""));
    let mut client = stage.client();
    upgraded(&mut client);
    client.send("x");
    assert_eq!(client.read_exact(1), b"x");
    client.expect_closed();
}

#[test]
fn a_tunnel_whose_origin_is_gone_ends_though_the_client_stays() {
    let origin = Origin::start(|peer| {
        peer.read_until(b"\r\n\r\n")?;
        peer.send(SWITCHED)?;
        peer.read_exact(5).map(drop)
    });
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    upgraded(&mut client);
    client.send("hello");
    client.expect_closed();
    // The first finds nobody, and is answered with a reset; the second tells the proxy. The tunnel is over then, and
    // not only when the client closes or an hour has passed.
    for _ in 0..20 {
        if client.try_send("anybody?").is_err() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    stage.proxy.wait_for_access("\"status\":101");
}
