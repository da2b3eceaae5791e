//! Bodies of every kind and size, in both directions at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::{GET, Stage, app};
use crate::support::{Origin, Peer};

/// Sends every body back, chunked.
fn echo() -> Origin {
    Origin::start(|peer| {
        while let Some(request) = peer.request()? {
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
                request.body.len()
            ))?;
            peer.send(&request.body)?;
            peer.send("\r\n0\r\n\r\n")?;
        }
        Ok(())
    })
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

#[test]
fn bodies_come_back_whole_whatever_their_size_and_coding() {
    let origin = echo();
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    for length in [1, 100, 4096, 65_535, 65_536, 65_537, 3_000_000] {
        let body = pattern(length);
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
        ));
        client.send(&body);
        assert!(
            client.response().body == body,
            "{length} bytes with a length"
        );
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        for piece in body.chunks(10_000) {
            client.send(format!("{:X};x=y\r\n", piece.len()));
            client.send(piece);
            client.send("\r\n");
        }
        client.send("0\r\n\r\n");
        assert!(client.response().body == body, "{length} bytes in chunks");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn many_tiny_chunks_are_one_body() {
    let origin = echo();
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    client.send(head + &"1\r\nx\r\n".repeat(5000) + "0\r\n\r\n");
    assert_eq!(client.response().text(), "x".repeat(5000));
}

#[test]
fn an_answer_that_ends_with_its_connection_keeps_the_clients() {
    let origin = Origin::start(|peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\n\r\nuntil the")?;
        peer.send(" end")
    });
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    for _ in 0..3 {
        let response = client.exchange(GET);
        assert_eq!(response.header("transfer-encoding"), Some("chunked"));
        assert_eq!(response.text(), "until the end");
    }
    assert_eq!(origin.connections(), 3);
}

#[test]
fn an_answer_that_comes_before_the_whole_request_is_passed_on() {
    let origin = Origin::start(|peer| {
        peer.read_until(b"\r\n\r\n")?;
        peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")?;
        peer.read_to_end().map(drop)
    });
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nfirst");
    let response = client.response();
    assert_eq!((response.status(), response.text()), (403, "no".to_owned()));
    assert_eq!(response.header("connection"), Some("close"));
    client.expect_closed();
}

#[test]
fn an_echo_that_starts_at_once_streams_in_both_directions() {
    let origin = Origin::start(|peer: &mut Peer| -> io::Result<()> {
        peer.read_until(b"\r\n\r\n")?;
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        loop {
            let line = peer.read_until(b"\r\n")?;
            let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).unwrap();
            let chunk = peer.read_exact(size + 2)?;
            peer.send([&line[..], &chunk].concat())?;
            if size == 0 {
                return Ok(());
            }
        }
    });
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.read_until("\r\n\r\n");
    for word in ["one", "three", "five5"] {
        client.send(format!("{:x}\r\n{word}\r\n", word.len()));
        client.read_until(format!("{word}\r\n"));
    }
    client.send("0\r\n\r\n");
    client.read_until("0\r\n\r\n");
}

#[test]
fn a_client_that_reads_slowly_gets_everything_and_the_proxy_holds_little() {
    let length = 64 * 1024 * 1024;
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    let origin = Origin::start(move |peer| {
        peer.request()?;
        peer.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
        ))?;
        let piece = pattern(64 * 1024);
        for _ in 0..1024 {
            peer.send(&piece)?;
            counted.fetch_add(piece.len(), Ordering::Relaxed);
        }
        Ok(())
    });
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    let before = resident(stage.proxy.pid());
    client.send(GET);
    client.read_until("\r\n\r\n");
    // Until the origin can send no more: a proxy that collects takes everything.
    let stuck = std::time::Duration::from_millis(300);
    let mut seen = (0, Instant::now());
    while seen.0 < length && seen.1.elapsed() < stuck {
        let now = taken.load(Ordering::Relaxed);
        if now > seen.0 {
            seen = (now, Instant::now());
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(seen.0 < length, "the proxy took everything");
    let grown = resident(stage.proxy.pid()).saturating_sub(before);
    assert!(
        grown < 8 * 1024 * 1024,
        "{grown} bytes more for one slow client"
    );
    let mut left = length;
    while left > 0 {
        left -= client.read_exact(1024 * 1024).len();
    }
}

/// Bytes of memory that a process holds, without the pages of its program that it has come by.
pub(crate) fn resident(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .unwrap();
    line.trim()
        .trim_end_matches(" kB")
        .parse::<usize>()
        .unwrap()
        * 1024
}

#[test]
fn a_body_over_the_limit_is_refused_however_it_is_framed() {
    let origin = echo();
    let stage = Stage::with(&app(origin.address(), "").replace("to =", "max_body = \"1k\"\nto ="));
    let mut client = stage.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1024\r\n\r\n");
    client.send(pattern(1024));
    assert_eq!(client.response().body.len(), 1024);
    let response = client.exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n");
    super::assert_refused(&response, 413, "http.body_too_large");
    assert_eq!(response.header("connection"), Some("close"));

    let mut client = stage.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n401\r\n");
    client.send(pattern(1025));
    super::assert_refused(&client.response(), 413, "http.body_too_large");
    assert_eq!(origin.requests().len(), 1);
}
