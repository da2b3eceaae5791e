//! Tunnels to endpoints that speak HTTP/2: an Upgrade, or an extended CONNECT, becomes an extended CONNECT (RFC 8441).

use std::future::Future;

use bytes::Bytes;
use h2::ext::Protocol;
use h2::server::Builder;
use h2::{Reason, RecvStream};
use hyper::{Method, Response, StatusCode};

use super::h2_client::{in_the_clear, read, run, send, with_tls};
use super::websocket::{ask, connect};
use super::{GET, Stage, app};
use crate::support::{Call, RawClient, StreamOrigin, wait_until};

/// Takes extended CONNECT.
fn origin<W>(script: impl Fn(Call) -> W + Send + Sync + 'static) -> StreamOrigin
where
    W: Future<Output = ()> + Send + 'static,
{
    StreamOrigin::with(Builder::new().enable_connect_protocol(), script)
}

fn stage(origin: &StreamOrigin, keys: &str) -> Stage {
    Stage::with(&app(
        origin.address(),
        &format!("protocol = \"h2\"\n{keys}"),
    ))
}

async fn next(body: &mut RecvStream) -> Option<Result<Bytes, h2::Error>> {
    let data = body.data().await?;
    if let Ok(data) = &data {
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    Some(data)
}

/// Sends every byte back in a tunnel, and its end after theirs; the protocol stands in the head.
async fn echo(mut call: Call) {
    if call.request.method() != Method::CONNECT {
        return call.answer(200, "plain");
    }
    let protocol = call.request.extensions().get::<Protocol>().unwrap();
    let head = Response::builder().header("x-protocol", protocol.as_str());
    let mut stream = call
        .respond
        .send_response(head.body(()).unwrap(), false)
        .unwrap();
    while let Some(Ok(data)) = next(call.request.body_mut()).await {
        stream.send_data(data, false).unwrap();
    }
    stream.send_data("last words".into(), true).unwrap();
}

pub(crate) fn echoing() -> StreamOrigin {
    origin(echo)
}

/// The handshake of RFC 6455, section 1.3.
const UPGRADE: &str = "GET /chat?x HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn upgraded(client: &mut RawClient) -> String {
    client.send(UPGRADE);
    let head = String::from_utf8(client.read_until("\r\n\r\n")).unwrap();
    assert!(
        head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
        "{head}"
    );
    head.to_ascii_lowercase()
}

#[test]
fn a_client_of_http1_gets_its_tunnel_and_each_side_ends_on_its_own() {
    let origin = echoing();
    let stage = stage(&origin, "");
    for mut client in [
        stage.client(),
        RawClient::connect_tls(stage.webs, "a.test", &["http/1.1"]),
    ] {
        let head = upgraded(&mut client);
        for line in [
            "upgrade: websocket",
            "connection: upgrade",
            "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
            "x-protocol: websocket",
        ] {
            assert_eq!(
                head.matches(&format!("\r\n{line}\r\n")).count(),
                1,
                "{head}"
            );
        }
        assert!(!head.contains("content-length"), "{head}");
        for word in ["hello", "\0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"] {
            client.send(word);
            assert_eq!(client.read_exact(word.len()), word.as_bytes());
        }
        let more = vec![7; 200_000];
        client.send(&more);
        assert_eq!(client.read_exact(more.len()), more);
    }
    let mut client = stage.client();
    upgraded(&mut client);
    client.send("bye");
    client.finish();
    assert_eq!(client.read_to_end(), b"byelast words");
    let (_, first) = &origin.requests()[0];
    assert_eq!(first.method(), Method::CONNECT);
    assert_eq!(first.uri().path_and_query().unwrap(), "/chat?x");
    assert_eq!(first.headers()["sec-websocket-version"], "13");
    for gone in ["sec-websocket-key", "upgrade", "connection"] {
        assert!(!first.headers().contains_key(gone), "{gone}");
    }
    let line = stage.proxy.wait_for_access("/chat?x");
    assert!(line.contains("\"status\":101"), "{line}");
}

#[test]
fn a_client_on_a_stream_gets_it_on_a_stream() {
    let origin = echoing();
    let stage = stage(&origin, "");
    run(async {
        for mut sender in [with_tls(&stage).await, in_the_clear(&stage).await] {
            let (response, up) = ask(&mut sender, connect("websocket")).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()["x-protocol"], "websocket");
            for gone in [
                "sec-websocket-accept",
                "upgrade",
                "connection",
                "content-length",
            ] {
                assert!(!response.headers().contains_key(gone), "{gone}");
            }
            let mut down = response.into_body();
            let more: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
            let ((), rest) = tokio::join!(send(up, &more, None), read(&mut down));
            assert!(rest.unwrap() == [&more[..], b"last words"].concat());
        }
    });
    // Streams of one connection, all of them.
    assert!(origin.connections() <= 2, "{}", origin.connections());
}

#[test]
fn another_protocol_goes_through_as_it_is_called() {
    let origin = echoing();
    let stage = stage(&origin, "");
    let mut client = stage.client();
    client.send(UPGRADE.replace("Upgrade: websocket", "Upgrade: chat/2"));
    let head = String::from_utf8(client.read_until("\r\n\r\n")).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let head = head.to_ascii_lowercase();
    assert!(head.contains("\r\nupgrade: chat/2\r\n"), "{head}");
    assert!(head.contains("\r\nx-protocol: chat/2\r\n"), "{head}");
    client.send("hello");
    assert_eq!(client.read_exact(5), b"hello");
}

#[test]
fn an_endpoint_that_takes_no_tunnels_is_not_asked_for_one() {
    let origin = StreamOrigin::start(echo);
    let stage = stage(&origin, "");
    // The first request on the connection, and a later one.
    for _ in 0..2 {
        let mut client = stage.client();
        assert_eq!(client.exchange(UPGRADE).text(), "plain");
        assert_eq!(client.exchange(GET).text(), "plain");
    }
    run(async {
        let mut sender = in_the_clear(&stage).await;
        let (response, _up) = ask(&mut sender, connect("websocket")).await;
        assert_eq!(response.status(), StatusCode::NOT_IMPLEMENTED);
        let text = read(&mut response.into_body()).await.unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("upstream.protocol"), "{text}");
    });
    let methods: Vec<Method> = origin
        .requests()
        .iter()
        .map(|(_, request)| request.method().clone())
        .collect();
    assert_eq!(methods, [Method::GET; 4]);
}

#[test]
fn a_refusal_is_an_answer_like_any_other() {
    let origin = origin(|mut call: Call| async move { call.answer(403, "no") });
    let stage = stage(&origin, "");
    let mut client = stage.client();
    for _ in 0..2 {
        let response = client.exchange(UPGRADE);
        assert_eq!((response.status(), response.text()), (403, "no".into()));
    }
    run(async {
        let mut sender = in_the_clear(&stage).await;
        let (response, _up) = ask(&mut sender, connect("websocket")).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert_eq!(read(&mut response.into_body()).await.unwrap(), b"no");
    });
}

#[test]
fn a_tunnel_that_is_torn_on_one_side_is_torn_on_the_other() {
    let (tell, told) = std::sync::mpsc::channel();
    let origin = origin(move |mut call: Call| {
        let tell = tell.clone();
        async move {
            let mut stream = call
                .respond
                .send_response(Response::new(()), false)
                .unwrap();
            let body = call.request.body_mut();
            let word = next(body).await.unwrap().unwrap();
            if word == "torn" {
                stream.send_reset(Reason::INTERNAL_ERROR);
                return;
            }
            stream.send_data(word, false).unwrap();
            let end = next(body).await;
            tell.send(end.map(|end| end.map(drop))).unwrap();
        }
    });
    let stage = stage(&origin, "");
    for mut client in [
        stage.client(),
        RawClient::connect_tls(stage.webs, "a.test", &["http/1.1"]),
    ] {
        upgraded(&mut client);
        client.send("torn");
        client.expect_reset();
        let line = stage.proxy.wait_for_access("/chat?x");
        assert!(line.contains("upstream.reset"), "{line}");
    }
    let mut client = stage.client();
    upgraded(&mut client);
    client.send("x");
    assert_eq!(client.read_exact(1), b"x");
    client.reset();
    let end = told.recv_timeout(crate::support::PATIENCE).unwrap();
    assert!(end.is_some_and(|end| end.is_err()), "a reset, and no end");
}

#[test]
fn a_silent_tunnel_ends_after_its_timeout_and_its_connection_goes_on() {
    let origin = echoing();
    let stage = stage(&origin, "tunnel_timeout = \"300ms\"");
    let mut client = stage.client();
    upgraded(&mut client);
    client.send("x");
    assert_eq!(client.read_exact(1), b"x");
    client.expect_closed();
    let before = origin.connections();
    for _ in 0..4 {
        assert_eq!(stage.ask(GET).text(), "plain");
    }
    // Of the other worker at most.
    wait_until("requests", || origin.requests().len() == 5);
    assert!(
        origin.connections() <= before + 1,
        "{}",
        origin.connections()
    );
}
