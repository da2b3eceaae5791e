//! Streams: what an origin says is heard at once, whoever is slow slows the other side down, and a side that dies in the middle is
//! not shown to the other as one that came to its end.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use h2::Reason;
use hyper::Method;

use super::bodies::resident;
use super::h2_client::{in_the_clear, read, request, run, with_tls};
use super::{GET, Stage, app};
use crate::support::{Origin, PATIENCE, RawClient};

const MEBIBYTE: u64 = 1024 * 1024;
/// What the proxy may hold for a transfer, with room for what its allocator keeps.
pub(super) const FLAT: usize = 8 * 1024 * 1024;

/// How much goes through in each direction: `OPENCLAW_TEST_STREAM_MIB`, or else so many.
pub(super) fn volume(mebibytes: u64) -> u64 {
    let mebibytes = std::env::var("OPENCLAW_TEST_STREAM_MIB").map_or(mebibytes, |text| {
        text.parse()
            .expect("OPENCLAW_TEST_STREAM_MIB is a number of MiB")
    });
    mebibytes * MEBIBYTE
}

/// Sends an event for each word from the test, and ends with them.
fn events(words: Receiver<&'static str>) -> Origin {
    let words = std::sync::Mutex::new(words);
    Origin::start(move |peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        for word in words.lock().unwrap().iter() {
            let event = format!("data: {word}\n\n");
            peer.send(format!("{:x}\r\n{event}\r\n", event.len()))?;
        }
        peer.send("0\r\n\r\n")
    })
}

#[test]
fn an_event_is_heard_when_it_is_said() {
    for tls in [false, true] {
        let (say, words) = channel();
        let origin = events(words);
        let stage = Stage::before(&origin);
        let mut client = if tls {
            RawClient::connect_tls(stage.webs, "a.test", &["http/1.1"])
        } else {
            stage.client()
        };
        client.send(GET);
        client.read_until("\r\n\r\n");
        // Each is sent only when the one before has arrived.
        for word in ["one", "two", "three"] {
            say.send(word).unwrap();
            client.read_until(format!("data: {word}\n\n"));
        }
        drop(say);
        client.read_until("0\r\n\r\n");
    }
}

#[test]
fn an_event_is_heard_when_it_is_said_over_http_2() {
    let (say, words) = channel();
    let origin = events(words);
    let stage = Stage::before(&origin);
    run(async {
        let mut sender = with_tls(&stage).await;
        let (response, _) = sender
            .send_request(request(Method::GET, "/"), true)
            .unwrap();
        let mut body = response.await.unwrap().into_body();
        for word in ["one", "two", "three"] {
            say.send(word).unwrap();
            let data = body.data().await.unwrap().unwrap();
            assert_eq!(data, format!("data: {word}\n\n"));
        }
        drop(say);
        assert!(read(&mut body).await.unwrap().is_empty());
    });
}

#[test]
fn a_long_poll_is_answered_when_there_is_something_to_say() {
    let (say, words) = channel::<()>();
    let words = std::sync::Mutex::new(words);
    let origin = Origin::start(move |peer| {
        while peer.request()?.is_some() {
            words.lock().unwrap().recv().ok();
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnews")?;
        }
        Ok(())
    });
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    for count in 1..=3 {
        client.send(GET);
        origin.wait_for_requests(count);
        say.send(()).unwrap();
        assert_eq!(client.response().text(), "news");
    }
    assert_eq!(origin.connections(), 1);
}

/// An origin without memory of what it got: takes every upload, answers GET with `length` bytes.
pub(super) struct Bulk {
    pub(super) address: SocketAddr,
    /// Bytes of payload taken, and given.
    pub(super) taken: Arc<AtomicU64>,
    given: Arc<AtomicU64>,
}

impl Bulk {
    pub(super) fn start(length: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let bulk = Self {
            address: listener.local_addr().unwrap(),
            taken: Arc::default(),
            given: Arc::default(),
        };
        let (taken, given) = (Arc::clone(&bulk.taken), Arc::clone(&bulk.given));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (taken, given) = (Arc::clone(&taken), Arc::clone(&given));
                thread::spawn(move || {
                    // The other side may go away in the middle.
                    drop(serve(stream, length, &taken, &given));
                });
            }
        });
        bulk
    }
}

fn serve(
    mut stream: TcpStream,
    length: u64,
    taken: &AtomicU64,
    given: &AtomicU64,
) -> std::io::Result<()> {
    let mut piece = vec![b'x'; 256 * 1024];
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let field = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    let mut left: u64 = field.map_or(0, |digits| digits.parse().unwrap());
    while left > 0 {
        let room = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = stream.read(&mut piece[..room])?;
        if count == 0 {
            return Ok(());
        }
        left -= count as u64;
        taken.fetch_add(count as u64, Ordering::Relaxed);
    }
    let length = if head.starts_with("GET") { length } else { 0 };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
    )?;
    let mut left = length;
    while left > 0 {
        let room = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = stream.write(&piece[..room])?;
        left -= count as u64;
        given.fetch_add(count as u64, Ordering::Relaxed);
    }
    Ok(())
}

/// The most that the proxy has held so far, beyond what it held at first.
fn growth(stage: &Stage, before: usize, most: &mut usize) {
    *most = (*most).max(resident(stage.proxy.pid()).saturating_sub(before));
}

#[test]
fn any_volume_comes_down_over_http1_in_flat_memory() {
    let length = volume(1024);
    let bulk = Bulk::start(length);
    let stage = Stage::with(&app(bulk.address, ""));
    let before = resident(stage.proxy.pid());
    let mut client = TcpStream::connect(stage.web).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(GET.as_bytes()).unwrap();
    let mut piece = vec![0; 1024 * 1024];
    let (mut left, mut most) = (length, 0);
    let mut head = true;
    while left > 0 {
        let mut count = client.read(&mut piece).unwrap();
        assert!(count > 0, "{left} bytes are missing");
        if head {
            let end = piece.windows(4).position(|four| four == b"\r\n\r\n");
            count -= end.expect("a whole head") + 4;
            head = false;
        }
        left -= count as u64;
        growth(&stage, before, &mut most);
    }
    assert!(most < FLAT, "{most} bytes more for {length}");
}

#[test]
fn any_volume_goes_up_over_http1_in_flat_memory() {
    let length = volume(1024);
    let bulk = Bulk::start(0);
    let stage = Stage::with(&app(bulk.address, ""));
    let before = resident(stage.proxy.pid());
    let mut client = TcpStream::connect(stage.web).unwrap();
    client.set_write_timeout(Some(PATIENCE)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        client,
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
    )
    .unwrap();
    let piece = vec![b'x'; 1024 * 1024];
    let (mut left, mut most) = (length, 0);
    while left > 0 {
        let room = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        left -= client.write(&piece[..room]).unwrap() as u64;
        growth(&stage, before, &mut most);
    }
    let mut answer = [0; 15];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    assert_eq!(bulk.taken.load(Ordering::Relaxed), length);
    assert!(most < FLAT, "{most} bytes more for {length}");
}

/// Waits until a counter stands still: long enough for anything that flows to go on.
fn settled(counter: &AtomicU64) -> u64 {
    let mut seen = (counter.load(Ordering::Relaxed), Instant::now());
    while seen.1.elapsed() < Duration::from_millis(400) {
        let now = counter.load(Ordering::Relaxed);
        if now > seen.0 {
            seen = (now, Instant::now());
        }
        thread::sleep(Duration::from_millis(5));
    }
    seen.0
}

#[test]
fn a_reader_that_stops_stops_the_origin() {
    let length = 256 * MEBIBYTE;
    let bulk = Bulk::start(length);
    let stage = Stage::with(&app(bulk.address, ""));
    let mut client = stage.client();
    client.send(GET);
    client.read_until("\r\n\r\n");
    let given = settled(&bulk.given);
    assert!(given < 64 * MEBIBYTE, "{given} bytes went nowhere");
    run(async {
        let mut sender = in_the_clear(&stage).await;
        bulk.given.store(0, Ordering::Relaxed);
        let (response, _) = sender
            .send_request(request(Method::GET, "/"), true)
            .unwrap();
        let body = response.await.unwrap().into_body();
        let given = settled(&bulk.given);
        assert!(given < 64 * MEBIBYTE, "{given} bytes went nowhere");
        drop(body);
    });
}

#[test]
fn an_origin_that_stops_reading_stops_the_client() {
    // It takes the head and nothing more until the test is over.
    let (over, waits) = channel::<()>();
    let waits = std::sync::Mutex::new(waits);
    let origin = Origin::start(move |peer| {
        peer.read_until(b"\r\n\r\n")?;
        waits.lock().unwrap().recv().ok();
        Ok(())
    });
    let stage = Stage::before(&origin);
    let before = resident(stage.proxy.pid());
    let mut client = TcpStream::connect(stage.web).unwrap();
    client
        .set_write_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    write!(
        client,
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        256 * MEBIBYTE
    )
    .unwrap();
    let piece = vec![b'x'; 256 * 1024];
    let mut sent = 0;
    let error = loop {
        match client.write(&piece) {
            Ok(count) => sent += count as u64,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    assert!(sent < 64 * MEBIBYTE, "{sent} bytes went nowhere");
    let grown = resident(stage.proxy.pid()).saturating_sub(before);
    assert!(grown < FLAT, "{grown} bytes more");
    drop(over);
}

/// Says when its connection has ended, having sent the beginning of an answer without end.
fn endless() -> (Origin, Receiver<()>) {
    let (gone, told) = channel();
    let gone = std::sync::Mutex::new(gone);
    let origin = Origin::start(move |peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        while peer.send("5\r\nagain\r\n").is_ok() {
            thread::sleep(Duration::from_millis(5));
        }
        gone.lock().unwrap().send(()).ok();
        Ok(())
    });
    (origin, told)
}

#[test]
fn a_client_that_goes_away_in_its_answer_frees_the_endpoint() {
    let (origin, told) = endless();
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    client.send(GET);
    client.read_until("again");
    drop(client);
    told.recv_timeout(PATIENCE)
        .expect("the origin's connection ends");
    stage.proxy.wait_for_access("http.client_aborted");
}

#[test]
fn a_stream_that_is_reset_frees_the_endpoint() {
    let (origin, told) = endless();
    let stage = Stage::before(&origin);
    run(async {
        let mut sender = in_the_clear(&stage).await;
        let (response, mut stream) = sender
            .send_request(request(Method::GET, "/"), true)
            .unwrap();
        let mut body = response.await.unwrap().into_body();
        assert!(body.data().await.unwrap().is_ok());
        stream.send_reset(Reason::CANCEL);
        drop((stream, body));
        // The connection goes on: the stream alone is over.
        tokio::task::spawn_blocking(move || told.recv_timeout(PATIENCE))
            .await
            .unwrap()
            .expect("the origin's connection ends");
        sender.ready().await.unwrap();
    });
    stage.proxy.wait_for_access("http.client_aborted");
}

/// Answers a part and is gone: between chunks, inside of one, or short of its length.
const CUT: [&str; 3] = [
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\npart",
    "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart",
];

fn cut_off(bytes: &'static str) -> (Origin, std::sync::mpsc::Sender<()>) {
    let (go, going) = channel::<()>();
    let going = std::sync::Mutex::new(going);
    let origin = Origin::start(move |peer| {
        peer.request()?;
        peer.send(bytes)?;
        going.lock().unwrap().recv().ok();
        Ok(())
    });
    (origin, go)
}

#[test]
fn an_origin_that_dies_in_its_answer_leaves_no_whole_one() {
    for bytes in CUT {
        let (origin, go) = cut_off(bytes);
        let stage = Stage::before(&origin);
        let mut client = stage.client();
        client.send(GET);
        client.read_until("part");
        go.send(()).unwrap();
        match client.try_read_to_end() {
            Ok(rest) => assert!(!rest.ends_with(b"0\r\n\r\n"), "{bytes:?}: {rest:?}"),
            Err(error) => assert_ne!(error.kind(), ErrorKind::TimedOut, "{bytes:?}"),
        }
        stage.proxy.wait_for_access("upstream.reset");
    }
}

#[test]
fn an_origin_that_dies_in_its_answer_resets_the_stream() {
    for bytes in CUT {
        let (origin, go) = cut_off(bytes);
        let stage = Stage::before(&origin);
        run(async {
            let mut sender = with_tls(&stage).await;
            let (response, _) = sender
                .send_request(request(Method::GET, "/"), true)
                .unwrap();
            let mut body = response.await.unwrap().into_body();
            assert_eq!(body.data().await.unwrap().unwrap(), "part");
            go.send(()).unwrap();
            let error = body.data().await.expect("no clean end").unwrap_err();
            assert!(error.is_reset(), "{bytes:?}: {error}");
        });
    }
}
