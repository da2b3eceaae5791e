//! Bodies on their way: pieces are heard when they are said, slow clients slow the origin down, and what is cut off looks cut off.

use std::cell::Cell;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use super::{CODINGS, JSON, Stage, accept, decoded, json, plain};
use crate::http::bodies::resident;
use crate::support::{Message, Origin, PATIENCE, RawClient, wait_until};

const ALL: &str = "compress = [\"br\", \"zstd\", \"gzip\"]";

/// The payload of the chunks that have come.
fn payload(mut chunked: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(end) = chunked.windows(2).position(|two| two == b"\r\n") {
        let digits = std::str::from_utf8(&chunked[..end]).unwrap();
        let size = usize::from_str_radix(digits, 16).unwrap();
        let Some(chunk) = chunked.get(end + 2..end + 2 + size) else {
            break;
        };
        all.extend_from_slice(chunk);
        chunked = chunked.get(end + 2 + size + 2..).unwrap_or_default();
    }
    all
}

#[test]
fn an_event_is_heard_when_it_is_said() {
    for coding in CODINGS {
        let (say, words) = channel::<&str>();
        let words = Mutex::new(words);
        let origin = Origin::start(move |peer| {
            peer.request()?;
            peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            for word in words.lock().unwrap().iter() {
                let event = format!("data: {word}\n\n");
                peer.send(format!("{:x}\r\n{event}\r\n", event.len()))?;
            }
            peer.send("0\r\n\r\n")
        });
        let stage = Stage::before(ALL, origin);
        let mut client = RawClient::connect(stage.web);
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: a.test\r\n{}\r\n",
            accept(coding)
        ));
        let head = client.read_until("\r\n\r\n");
        let head = String::from_utf8_lossy(&head).to_lowercase();
        assert!(
            head.contains(&format!("content-encoding: {coding}")),
            "{head}"
        );
        let mut came = Vec::new();
        let mut expected = String::new();
        for word in ["one", "two", "three"] {
            say.send(word).unwrap();
            expected.extend(["data: ", word, "\n\n"]);
            // Each is said only when the one before has been understood.
            while decoded(Some(coding), &payload(&came)) != expected.as_bytes() {
                came.extend_from_slice(&client.read_until("\r\n"));
            }
        }
        drop(say);
        client.read_until("0\r\n\r\n");
    }
}

/// Text of which no coding saves more than half: nothing in it comes twice within a window.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let digits = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        b"0123456789abcdef"[(state >> 60) as usize]
    });
    digits.take(length).collect()
}

/// An origin of so many bytes of text, in whole pieces, with their length or without; it counts what it was let give.
fn bulk(length: u64, is_told: bool) -> (TcpListener, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let given = Arc::new(AtomicU64::new(0));
    let (accepting, count) = (listener.try_clone().unwrap(), Arc::clone(&given));
    thread::spawn(move || {
        let text = noise(4 << 20);
        let mut pieces = text.chunks(1 << 16).cycle();
        for mut stream in accepting.incoming().map_while(Result::ok) {
            let mut head = [0; 4096];
            // A look at the head is all that this origin takes of it.
            let asked = stream.read(&mut head).unwrap_or_default();
            if asked == 0 {
                continue;
            }
            let framing = if is_told {
                format!("Content-Length: {length}\r\n")
            } else {
                "Connection: close\r\n".to_owned()
            };
            let mut sent = write!(stream, "HTTP/1.1 200 OK\r\n{JSON}{framing}\r\n");
            let mut left = length;
            while left > 0 && sent.is_ok() {
                let piece = pieces.next().unwrap();
                sent = stream.write_all(piece);
                left -= piece.len() as u64;
                count.fetch_add(piece.len() as u64, Ordering::Relaxed);
            }
        }
    });
    (listener, given)
}

#[test]
fn a_slow_client_slows_the_origin_down_and_takes_no_memory() {
    let length = 64 << 20;
    for (coding, is_told) in [("zstd", true), ("gzip", false)] {
        let (listener, given) = bulk(length, is_told);
        let endpoint = listener.local_addr().unwrap();
        let upstream = format!("endpoints = \"{endpoint}\"");
        let stage = Stage::with(&upstream, ALL, Origin::serving(""));
        let before = resident(stage.proxy.pid());
        let mut client = TcpStream::connect(stage.web).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            client,
            "GET / HTTP/1.1\r\nHost: a.test\r\n{}\r\n",
            accept(coding)
        )
        .unwrap();
        // It reads nothing until the origin stands still, which it does long before the end.
        let last = Cell::new(u64::MAX);
        wait_until("the origin is held back", || {
            let now = given.load(Ordering::Relaxed);
            thread::sleep(Duration::from_millis(100));
            last.replace(now) == now && now > 0
        });
        let held = given.load(Ordering::Relaxed);
        assert!(held < length, "{coding}: all of it was taken");
        let grown = resident(stage.proxy.pid()).saturating_sub(before);
        // An encoder's window, both sockets, and what the allocator keeps.
        assert!(grown < 32 << 20, "{coding}: {grown} bytes more");
        // Then it reads on, and the origin gives on.
        let mut piece = vec![0; 1 << 16];
        while given.load(Ordering::Relaxed) == held {
            assert!(client.read(&mut piece).unwrap() > 0);
        }
    }
}

#[test]
fn what_is_cut_off_looks_cut_off() {
    let origin = Origin::start(|peer| {
        peer.request()?;
        peer.send(format!(
            "HTTP/1.1 200 OK\r\n{JSON}Content-Length: 400000\r\n\r\n{}",
            json(200_000)
        ))
    });
    let stage = Stage::before(ALL, origin);
    let mut client = RawClient::connect(stage.web);
    client.send(format!(
        "GET / HTTP/1.1\r\nHost: a.test\r\n{}\r\n",
        accept("gzip")
    ));
    let error = client.try_response("GET").unwrap_err();
    let ends = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
    assert!(ends.contains(&error.kind()), "{error}");
}

/// A stage that codes one response at a time, with these keys of its route as well; what is asked for at `/waits` takes until told.
fn one_at_a_time(keys: &str) -> (Stage, Sender<()>) {
    let (say, words) = channel::<()>();
    let words = Mutex::new(words);
    let origin = Origin::start(move |peer| {
        while let Some(request) = peer.request()? {
            let words_of = json(5000);
            let head = format!(
                "HTTP/1.1 200 OK\r\n{JSON}Content-Length: {}\r\n\r\n",
                words_of.len()
            );
            peer.send(head)?;
            if request.start.contains("/waits") {
                words.lock().unwrap().recv().ok();
            }
            peer.send(words_of)?;
        }
        Ok(())
    });
    let upstream = format!("endpoints = \"{}\"", origin.address());
    let keys = format!("compress = {{ max_at_once = 1 }}\n{keys}[server]\nworkers = 1");
    (Stage::with(&upstream, &keys, origin), say)
}

fn ask(stage: &Stage, path: &str) -> RawClient {
    let mut client = RawClient::connect(stage.web);
    client.send(format!(
        "GET {path} HTTP/1.1\r\nHost: a.test\r\n{}\r\n",
        accept("gzip")
    ));
    client
}

#[test]
fn more_than_may_be_at_once_go_as_they_are() {
    let (stage, say) = one_at_a_time("");
    let mut waits = ask(&stage, "/waits");
    let head = waits.read_until("\r\n\r\n");
    assert!(String::from_utf8_lossy(&head).contains("gzip"));
    let beside = ask(&stage, "/").response();
    assert_eq!(beside.header("content-encoding"), None);
    assert_eq!(beside.header("vary"), Some("Accept-Encoding"));
    assert_eq!(plain(&beside), json(5000));
    say.send(()).unwrap();
    waits.read_until("0\r\n\r\n");
    let after = ask(&stage, "/").response();
    assert_eq!(after.header("content-encoding"), Some("gzip"));
}

#[test]
fn what_goes_as_it_is_because_of_others_is_not_stored_so() {
    let (stage, say) = one_at_a_time("cache = { ttl = \"1h\" }\n");
    let mut waits = ask(&stage, "/waits");
    waits.read_until("\r\n\r\n");
    let told = |message: &Message| message.header("cache-status").map(str::to_owned);
    for _ in 0..2 {
        let beside = ask(&stage, "/").response();
        assert_eq!(beside.header("content-encoding"), None);
        let busy = "openclaw; fwd=uri-miss; detail=busy";
        assert_eq!(told(&beside).as_deref(), Some(busy));
    }
    say.send(()).unwrap();
    waits.read_until("0\r\n\r\n");
    wait_until("it is stored as it should be", || {
        let after = ask(&stage, "/").response();
        assert_eq!(after.header("content-encoding"), Some("gzip"));
        told(&after).is_some_and(|told| told.contains("hit"))
    });
}
