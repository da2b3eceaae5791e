//! How an HTTP/1 connection is kept: half-closed by its client, filled with more requests than are read answers of, idle.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::bodies::resident;
use super::{GET, LISTENERS, Stage, app, listeners};
use crate::support::{Origin, PATIENCE, RawClient, StreamOrigin};

#[test]
fn a_client_that_has_no_more_to_say_still_gets_its_answers() {
    for tls in [false, true] {
        let (go, going) = channel::<()>();
        let going = Mutex::new(going);
        let origin = Origin::start(move |peer| {
            while peer.request()?.is_some() {
                going.lock().unwrap().recv().ok();
                peer.send(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nlate\r\n0\r\n\r\n",
                )?;
            }
            Ok(())
        });
        let stage = Stage::before(&origin);
        let mut client = if tls {
            RawClient::connect_tls(stage.webs, "a.test", &["http/1.1"])
        } else {
            stage.client()
        };
        client.send(GET.repeat(2));
        client.finish();
        for count in 1..=2 {
            // The end of the client's direction has long arrived when the answer comes.
            origin.wait_for_requests(count);
            go.send(()).unwrap();
            assert_eq!(client.response().text(), "late");
        }
        client.expect_closed();
    }
}

/// Takes requests and answers none; how many of its connections have been closed is asked of what it gives.
fn silent() -> (Origin, std::sync::mpsc::Receiver<()>) {
    let (left, leaving) = channel();
    let left = Mutex::new(left);
    let origin = Origin::start(move |peer| {
        peer.request()?;
        drop(peer.read_to_end());
        left.lock().unwrap().send(()).ok();
        Ok(())
    });
    (origin, leaving)
}

/// Asks, and resets the connection when the request has `arrived`.
fn ask_and_reset(stage: &Stage, arrived: impl FnOnce()) {
    let client = TcpStream::connect(stage.web).unwrap();
    (&client).write_all(GET.as_bytes()).unwrap();
    arrived();
    let socket = socket2::SockRef::from(&client);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

#[test]
fn the_endpoint_of_a_client_that_resets_its_connection_is_left() {
    let (origin, leaving) = silent();
    let keys = "max_connections = 1\nqueue_timeout = \"30s\"";
    let stage = Stage::with(&app(origin.address(), keys));
    ask_and_reset(&stage, || drop(origin.wait_for_requests(1)));
    leaving.recv_timeout(PATIENCE).unwrap();
    let line = stage.proxy.wait_for_access("http.client_aborted");
    assert!(line.contains("\"status\":499"), "{line}");
    // Its place is free.
    stage.client().send(GET);
    origin.wait_for_requests(2);
}

#[test]
fn the_stream_of_a_client_that_resets_its_connection_is_left() {
    let (came, coming) = channel();
    let came = Mutex::new(came);
    let origin = StreamOrigin::start(move |call| {
        came.lock().unwrap().send(()).unwrap();
        async move {
            // Who drops it resets its stream.
            let _call = call;
            std::future::pending::<()>().await;
        }
    });
    let stage = Stage::with(&app(origin.address(), "protocol = \"h2\""));
    ask_and_reset(&stage, || coming.recv_timeout(PATIENCE).unwrap());
    stage.proxy.wait_for_access("http.client_aborted");
}

#[test]
fn a_client_that_closes_its_direction_is_gone_where_the_operator_says_so() {
    for tls in [false, true] {
        let (origin, leaving) = silent();
        let stage = Stage::start(&format!(
            "{}{}",
            listeners("abort_on_close = true"),
            app(origin.address(), "")
        ));
        let mut client = if tls {
            RawClient::connect_tls(stage.webs, "a.test", &["http/1.1"])
        } else {
            stage.client()
        };
        client.send(GET);
        origin.wait_for_requests(1);
        client.finish();
        leaving.recv_timeout(PATIENCE).unwrap();
        stage.proxy.wait_for_access("http.client_aborted");
    }
}

#[test]
fn a_body_that_ends_early_with_its_direction_is_no_body() {
    let origin = Origin::serving("x");
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    client.finish();
    client.expect_closed();
    stage.proxy.wait_for_access("http.client_aborted");
    assert!(origin.requests().is_empty());
}

#[test]
fn answers_that_nobody_reads_are_not_collected() {
    // Answers without payload, larger than their requests, and a log that collects no lines.
    let pad = "y".repeat(2000);
    let stage = Stage::start(&format!(
        "{LISTENERS}\n[log]\naccess = {{ to = \"off\" }}\n[[route]]\nrespond = {{ status = 204 }}\n\
         headers = {{ response = {{ set = {{ x-pad = \"{pad}\" }} }} }}\n"
    ));
    assert_eq!(stage.ask(GET).status(), 204);
    let before = resident(stage.proxy.pid());
    let mut client = TcpStream::connect(stage.web).unwrap();
    client
        .set_write_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    // So large that hardly any read ends with one: what has been read ends with a part of a request.
    let request = GET.replace("\r\n\r\n", &format!("\r\nX: {pad}\r\n\r\n"));
    let requests = request.repeat(100);
    let mut sent = 0;
    let error = loop {
        match client.write(&requests.as_bytes()[sent % request.len()..]) {
            Ok(count) => sent += count,
            Err(error) => break error,
        }
        assert!(sent < 64 * 1024 * 1024, "it takes everything");
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    let grown = resident(stage.proxy.pid()).saturating_sub(before);
    assert!(
        grown < 16 * 1024 * 1024,
        "{grown} bytes more for {sent} of requests"
    );
}

#[test]
fn empty_lines_begin_no_request() {
    let keys = "header_timeout = \"300ms\"\nidle_timeout = \"600ms\"";
    let origin = Origin::serving("x");
    let stage = Stage::start(&(listeners(keys) + &app(origin.address(), "")));
    let mut client = stage.client();
    // Some clients end a body with a line of its own. What they keep open then is idle: a 408 would answer their next request.
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok\r\n");
    assert_eq!(client.response().text(), "x");
    client.expect_closed();
    let mut client = stage.client();
    client.send(format!("{GET}\r\n\r\n{GET}"));
    for _ in 0..2 {
        assert_eq!(client.response().text(), "x");
    }
}
