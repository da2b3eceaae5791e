//! Streams of HTTP/3 by hand, for what the crates do not send.

use quinn::{Connection, ConnectionError, RecvStream, SendStream};

use super::client::{config, endpoint, run};
use super::{LISTENER, Stage};
use crate::http::tunnels_h2::echoing;
use crate::http::websocket::echo;
use crate::support::Origin;

const DATA: u8 = 0;
const HEADERS: u8 = 1;

/// A connection, and what must stay as long as it: its endpoint and its control stream.
async fn connect(stage: &Stage) -> (Connection, (quinn::Endpoint, SendStream)) {
    let endpoint = endpoint(config());
    let connection = endpoint
        .connect(stage.webs, "a.test")
        .unwrap()
        .await
        .unwrap();
    let mut control = connection.open_uni().await.unwrap();
    control.write_all(&[0, 4, 0]).await.unwrap();
    (connection, (endpoint, control))
}

/// A frame of less than 16 KiB.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u16 | 0x4000;
    [&[kind][..], &length.to_be_bytes(), payload].concat()
}

/// A HEADERS frame of literals; names of 7 to 134 octets, values up to 126.
fn headers(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut section = vec![0, 0];
    for (name, value) in fields {
        if name.len() < 7 {
            section.push(0x20 | name.len() as u8);
        } else {
            section.extend([0x27, name.len() as u8 - 7]);
        }
        section.extend_from_slice(name.as_bytes());
        section.push(value.len() as u8);
        section.extend_from_slice(value.as_bytes());
    }
    frame(HEADERS, &section)
}

/// The payload of the next frame of that type.
async fn next(stream: &mut RecvStream, wanted: u8) -> Vec<u8> {
    loop {
        let mut kind = [0];
        stream.read_exact(&mut kind).await.unwrap();
        let mut first = [0];
        stream.read_exact(&mut first).await.unwrap();
        let mut rest = vec![0; (1 << (first[0] >> 6)) - 1];
        stream.read_exact(&mut rest).await.unwrap();
        let length = rest
            .iter()
            .fold(usize::from(first[0] & 0x3f), |length, octet| {
                length << 8 | usize::from(*octet)
            });
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.unwrap();
        if kind == [wanted] {
            return payload;
        }
    }
}

async fn websocket(connection: &Connection) -> (SendStream, RecvStream) {
    let (mut up, down) = connection.open_bi().await.unwrap();
    let head = headers(&[
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":authority", "a.test"),
        (":path", "/chat?x"),
        ("sec-websocket-version", "13"),
    ]);
    up.write_all(&head).await.unwrap();
    (up, down)
}

#[test]
fn a_websocket_goes_through_a_stream_and_each_side_ends_on_its_own() {
    let origin = echo();
    let stage = Stage::before(&origin);
    run(async {
        let (connection, _kept) = connect(&stage).await;
        let (mut up, mut down) = websocket(&connection).await;
        let head = next(&mut down, HEADERS).await;
        // `:status: 200` is 25 of the static table.
        assert_eq!(head[..3], [0, 0, 0xd9]);
        for word in ["hello", "GET / HTTP/1.1\r\n\r\n"] {
            up.write_all(&frame(DATA, word.as_bytes())).await.unwrap();
            let mut back = Vec::new();
            while back.len() < word.len() {
                back.extend(next(&mut down, DATA).await);
            }
            assert_eq!(back, word.as_bytes());
        }
        up.finish().unwrap();
        assert_eq!(next(&mut down, DATA).await, b"last words");
        assert_eq!(down.read(&mut [0]).await.unwrap(), None);
    });
    let requests = origin.requests();
    assert_eq!(requests[0].start, "GET /chat?x HTTP/1.1");
    assert_eq!(requests[0].header("upgrade"), Some("websocket"));
    let line = stage.proxy.wait_for_access("/chat?x");
    assert!(
        line.contains("\"protocol\":\"HTTP/3\"") && line.contains("\"status\":200"),
        "{line}"
    );
}

#[test]
fn a_websocket_reaches_an_endpoint_that_speaks_h2() {
    let origin = echoing();
    let stage = Stage::start(&format!(
        "{LISTENER}[upstream.app]\nendpoints = [\"{}\"]\nprotocol = \"h2\"\n[[route]]\nto = \"app\"\n",
        origin.address()
    ));
    run(async {
        let (connection, _kept) = connect(&stage).await;
        let (mut up, mut down) = websocket(&connection).await;
        let head = next(&mut down, HEADERS).await;
        assert_eq!(head[..3], [0, 0, 0xd9], "200");
        up.write_all(&frame(DATA, b"hello")).await.unwrap();
        assert_eq!(next(&mut down, DATA).await, b"hello");
        up.finish().unwrap();
        assert_eq!(next(&mut down, DATA).await, b"last words");
    });
}

#[test]
fn a_client_that_asks_for_nothing_is_cut_off_with_a_reason() {
    let origin = Origin::serving("hello");
    let stage = Stage::before(&origin);
    run(async {
        let (connection, _kept) = connect(&stage).await;
        let (mut up, _down) = connection.open_bi().await.unwrap();
        // Frames of a type that means nothing; the proxy may close while they are under way.
        let _ = up.write_all(&frame(0x21, b"").repeat(5000)).await;
        let ConnectionError::ApplicationClosed(close) = connection.closed().await else {
            panic!("closed by its application");
        };
        assert_eq!(close.error_code.into_inner(), 0x107, "H3_EXCESSIVE_LOAD");
    });
    let line = stage.proxy.wait_for_access("h3.abuse");
    assert!(line.contains("\"protocol\":\"HTTP/3\""), "{line}");
}
