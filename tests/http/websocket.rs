//! WebSocket over a stream of HTTP/2 (RFC 8441), in front of endpoints that know HTTP/1.1 alone.

use std::sync::mpsc::{Receiver, channel};

use bytes::Bytes;
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use hyper::{Method, Request, Response, StatusCode};
use openclaw_core::message::websocket::accept;

use super::Stage;
use super::h2_client::{Sender, get, in_the_clear, read, run, send, with_tls};
use crate::support::{Message, Origin, PATIENCE, Peer};

pub(super) fn connect(protocol: &str) -> Request<()> {
    Request::builder()
        .method(Method::CONNECT)
        .uri("https://a.test/chat?x")
        .header("sec-websocket-version", "13")
        .header("origin", "https://a.test")
        .extension(Protocol::from(protocol))
        .body(())
        .unwrap()
}

/// Asks for a WebSocket, after the proxy's SETTINGS have come.
pub(super) async fn ask(
    sender: &mut Sender,
    request: Request<()>,
) -> (Response<RecvStream>, SendStream<Bytes>) {
    *sender = sender.clone().ready().await.unwrap();
    let (response, stream) = sender.send_request(request, false).unwrap();
    let response = response.await.unwrap();
    assert!(sender.is_extended_connect_protocol_enabled());
    (response, stream)
}

/// Agrees to a WebSocket.
fn switch(peer: &mut Peer, request: &Message) -> std::io::Result<()> {
    let key = request.header("sec-websocket-key").unwrap().as_bytes();
    let accept = String::from_utf8(accept(key).to_vec()).unwrap();
    peer.send(format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\nX-Of: origin\r\n\r\n"))
}

/// Sends every byte back, and its end after theirs.
pub(crate) fn echo() -> Origin {
    Origin::start(|peer| {
        while let Some(request) = peer.request()? {
            if request.header("upgrade").is_none() {
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain")?;
                continue;
            }
            switch(peer, &request)?;
            loop {
                let read = peer.read_some()?;
                if read.is_empty() {
                    break;
                }
                peer.send(read)?;
            }
            peer.send("last words")?;
            return peer.finish();
        }
        Ok(())
    })
}

#[test]
fn bytes_go_both_ways_and_each_side_ends_on_its_own() {
    let origin = echo();
    let stage = Stage::before(&origin);
    run(async {
        for mut sender in [with_tls(&stage).await, in_the_clear(&stage).await] {
            let (response, mut up) = ask(&mut sender, connect("websocket")).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()["x-of"], "origin");
            for gone in [
                "sec-websocket-accept",
                "upgrade",
                "connection",
                "content-length",
            ] {
                assert!(!response.headers().contains_key(gone), "{gone}");
            }
            let mut down = response.into_body();
            for word in ["hello", "\0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"] {
                up.send_data(Bytes::copy_from_slice(word.as_bytes()), false)
                    .unwrap();
                let mut back = Vec::new();
                while back.len() < word.len() {
                    back.extend_from_slice(&down.data().await.unwrap().unwrap());
                }
                assert_eq!(back, word.as_bytes());
            }
            // A request beside it, on the same connection.
            assert_eq!(get(&mut sender, "/").await.1, b"plain");
            let more: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
            let ((), rest) = tokio::join!(send(up, &more, None), read(&mut down));
            assert!(rest.unwrap() == [&more[..], b"last words"].concat());
        }
    });
    let requests = origin.requests();
    assert_eq!(requests[0].start, "GET /chat?x HTTP/1.1");
    assert_eq!(requests[0].header("connection"), Some("upgrade"));
    assert_eq!(requests[0].header("upgrade"), Some("websocket"));
    assert_eq!(requests[0].header("sec-websocket-version"), Some("13"));
    assert_eq!(requests[0].header("origin"), Some("https://a.test"));
    let line = stage.proxy.wait_for_access("/chat?x");
    assert!(
        line.contains("\"method\":\"GET\"") && line.contains("\"status\":200"),
        "{line}"
    );
}

#[test]
fn a_refusal_is_passed_on_as_its_status() {
    let origin = Origin::answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    let stage = Stage::before(&origin);
    run(async {
        let mut sender = in_the_clear(&stage).await;
        for _ in 0..3 {
            let (response, _up) = ask(&mut sender, connect("websocket")).await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN);
            assert_eq!(read(&mut response.into_body()).await.unwrap(), b"no");
        }
    });
}

#[test]
fn an_endpoint_that_did_not_understand_is_no_tunnel() {
    for answer in [
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ] {
        let origin = Origin::answering(answer);
        let stage = Stage::before(&origin);
        run(async {
            let mut sender = in_the_clear(&stage).await;
            let (response, _up) = ask(&mut sender, connect("websocket")).await;
            assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
            let text = read(&mut response.into_body()).await.unwrap();
            assert!(
                String::from_utf8(text)
                    .unwrap()
                    .contains("upstream.bad_response")
            );
        });
    }
}

#[test]
fn other_protocols_and_a_plain_connect_are_refused() {
    let origin = echo();
    let stage = Stage::before(&origin);
    run(async {
        let mut sender = in_the_clear(&stage).await;
        let (response, _up) = ask(&mut sender, connect("connect-udp")).await;
        assert_eq!(response.status(), StatusCode::NOT_IMPLEMENTED);
        let plain = Request::builder().method(Method::CONNECT).uri("a.test:443");
        let (response, _up) = ask(&mut sender, plain.body(()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    });
    assert_eq!(origin.connections(), 0);
}

/// An origin that tells how its tunnel ended.
fn witness() -> (Origin, Receiver<std::io::Result<Vec<u8>>>) {
    let (tell, told) = channel();
    let origin = Origin::start(move |peer| {
        let request = peer.request()?.unwrap();
        switch(peer, &request)?;
        peer.read_exact(5)?;
        tell.send(peer.read_to_end()).unwrap();
        Ok(())
    });
    (origin, told)
}

#[test]
fn a_stream_that_is_reset_is_a_connection_that_is_reset() {
    let (origin, told) = witness();
    let stage = Stage::before(&origin);
    run(async {
        let mut sender = in_the_clear(&stage).await;
        let (_response, mut up) = ask(&mut sender, connect("websocket")).await;
        up.send_data("hello".into(), false).unwrap();
        // The reset must not overtake the data on its way through the proxy.
        let end = std::time::Instant::now() + PATIENCE;
        while !origin.received().concat().ends_with(b"hello") {
            assert!(std::time::Instant::now() < end, "the origin gets the data");
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        up.send_reset(Reason::CANCEL);
        assert_eq!(
            get(&mut sender, "/none").await.0.status(),
            StatusCode::BAD_GATEWAY
        );
    });
    let end = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_connection_that_is_reset_is_a_stream_that_is_reset() {
    let origin = Origin::start(|peer| {
        let request = peer.request()?.unwrap();
        switch(peer, &request)?;
        peer.send("hello")?;
        peer.read_exact(3)?;
        peer.reset()
    });
    let stage = Stage::before(&origin);
    run(async {
        let mut sender = in_the_clear(&stage).await;
        let (response, mut up) = ask(&mut sender, connect("websocket")).await;
        let mut down = response.into_body();
        assert_eq!(down.data().await.unwrap().unwrap(), "hello");
        up.send_data("bye".into(), false).unwrap();
        let error = read(&mut down).await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::CANCEL));
    });
}
