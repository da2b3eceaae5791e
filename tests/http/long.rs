//! Long bodies between two cleartext sockets. The bytes of answers go through a pipe and never come into the process; for uploads that
//! has shown no gain.

use std::io::ErrorKind;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Instant;

use super::{GET, Stage};
use crate::support::{Origin, PATIENCE, Peer};

/// More than the sockets on the way hold together.
const LENGTH: usize = 64 * 1024 * 1024;

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

/// Answers with the path's number of bytes.
fn long(peer: &mut Peer) -> std::io::Result<()> {
    while let Some(request) = peer.request()? {
        let path = request.start.split(' ').nth(1).unwrap_or_default();
        let length: usize = path.trim_start_matches('/').parse().unwrap_or_default();
        peer.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
        ))?;
        peer.send(pattern(length))?;
    }
    Ok(())
}

fn pipes(stage: &Stage) -> usize {
    let opened = std::fs::read_dir(format!("/proc/{}/fd", stage.proxy.pid())).unwrap();
    opened
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("pipe:"))
        .count()
}

#[test]
fn long_answers_arrive_as_they_were_sent() {
    let origin = Origin::start(long);
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    // What a body was tells how the next one is read first.
    let lengths = [
        65_535, 131_072, 131_073, 200_000, 1, 9_000_001, 0, 300_000, 100_000, 3_900, 100_000,
        4_096, 98_304, 20_000, 393_216, 200_000, 393_217, 100_000, 0, 100_000,
    ];
    for length in lengths {
        client.send(format!("GET /{length} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        assert!(client.response().body == pattern(length), "{length} bytes");
    }
    assert_eq!(origin.connections(), 1);
    let line = stage.proxy.wait_for_access("/9000001");
    assert!(line.contains("\"bytes_out\":9000001"), "{line}");
}

#[test]
fn the_beginning_of_a_body_does_not_wait_for_the_rest() {
    let (say, words) = channel();
    let words = Mutex::new(words);
    let origin = Origin::start(move |peer| {
        while peer.request()?.is_some() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 150000\r\n\r\n")?;
            peer.send(&pattern(150_000)[..5_000])?;
            words.lock().unwrap().recv().unwrap();
            peer.send(&pattern(150_000)[5_000..])?;
        }
        Ok(())
    });
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    for _ in 0..3 {
        client.send(GET);
        client.read_until("\r\n\r\n");
        assert!(client.read_exact(5_000) == pattern(150_000)[..5_000]);
        say.send(()).unwrap();
        assert!(client.read_exact(145_000) == pattern(150_000)[5_000..]);
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn what_waits_for_a_slow_reader_waits_in_a_pipe() {
    let origin = Origin::start(long);
    let stage = Stage::before(&origin);
    let before = pipes(&stage);
    let mut client = stage.client();
    client.send(format!("GET /{LENGTH} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
    let asked = Instant::now();
    while pipes(&stage) == before {
        assert!(asked.elapsed() < PATIENCE, "no pipe is used");
        std::thread::yield_now();
    }
    assert!(client.response().body == pattern(LENGTH));
}

#[test]
fn a_long_answer_that_is_cut_is_not_shown_as_a_whole_one() {
    let origin = Origin::start(|peer| {
        peer.request()?;
        peer.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"
        ))?;
        peer.send(pattern(LENGTH / 2))
    });
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    client.send(GET);
    client.read_until("\r\n\r\n");
    match client.try_read_to_end() {
        Ok(body) => assert!(body.len() <= LENGTH / 2, "{} bytes", body.len()),
        Err(error) => assert_ne!(error.kind(), ErrorKind::TimedOut),
    }
    stage.proxy.wait_for_access("upstream.reset");
}

/// Takes what it is sent.
fn taker() -> Origin {
    Origin::start(|peer| {
        while peer.request()?.is_some() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        }
        Ok(())
    })
}

fn upload(length: usize) -> String {
    format!("PUT /{length} HTTP/1.1\r\nHost: a.test\r\nContent-Length: {length}\r\n\r\n")
}

#[test]
fn long_uploads_arrive_as_they_were_sent_and_what_follows_them_is_the_next_request() {
    let origin = taker();
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    let lengths = [
        65_535, 131_072, 131_073, 200_000, 1, 9_000_001, 0, 30_000_000,
    ];
    for length in lengths {
        client.send([upload(length).as_bytes(), &pattern(length), GET.as_bytes()].concat());
        for _ in 0..2 {
            assert_eq!(client.response().text(), "ok", "{length} bytes");
        }
    }
    let requests = origin.requests();
    assert_eq!(requests.len(), 2 * lengths.len());
    for (pair, length) in requests.chunks(2).zip(lengths) {
        assert!(pair[0].body == pattern(length), "{length} bytes");
        assert!(pair[1].body.is_empty(), "{length} bytes");
    }
    assert_eq!(origin.connections(), 1);
    let line = stage.proxy.wait_for_access("/9000001");
    assert!(line.contains("\"bytes_in\":9000001"), "{line}");
}

#[test]
fn an_upload_that_is_cut_is_not_shown_as_a_whole_one() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let origin = Origin::start(move |peer| {
        peer.read_until(b"\r\n\r\n")?;
        let whole = peer.read_exact(LENGTH).map(|body| body.len());
        tell.lock().unwrap().send(whole.is_ok()).ok();
        Ok(())
    });
    let stage = Stage::before(&origin);
    for resets in [false, true] {
        let mut client = stage.client();
        client.send(upload(LENGTH));
        client.send(pattern(LENGTH / 2));
        if resets {
            client.reset();
        } else {
            drop(client);
        }
        assert_eq!(told.recv_timeout(PATIENCE), Ok(false), "{resets}");
        stage.proxy.wait_for_access("http.client_aborted");
    }
}
