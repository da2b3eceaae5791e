//! WebSocket over a stream (RFC 9220), as far as it is this wire's.

use quinn_proto::Dir;

use super::messages::{f, section};
use super::pair::Pair;
use crate::serve::h3::code::Code;
use crate::serve::h3::frame::{DATA, HEADERS, SETTINGS};

fn connect(path: &str, protocol: Option<&str>) -> Vec<u8> {
    let mut fields = vec![
        (":method", "CONNECT"),
        (":scheme", "https"),
        (":path", path),
        (":authority", "test"),
    ];
    fields.extend(protocol.map(|protocol| (":protocol", protocol)));
    f(HEADERS, &section(&fields))
}

#[test]
fn the_client_may_ask_for_a_websocket() {
    let mut pair = Pair::new();
    pair.run();
    let ours = pair.seen.values().next().unwrap();
    let settings = &ours.octets[1..];
    assert_eq!(settings, f(SETTINGS, &[6, 0x80, 0, 0x40, 0, 8, 1]));
    let id = pair.open(Dir::Bi, &connect("/echo", Some("websocket")), false);
    pair.run();
    for word in ["hello", "again"] {
        pair.send(id, &f(DATA, word.as_bytes()), false);
        pair.run();
    }
    let answer = pair.answer(id);
    assert_eq!(
        (answer.status(), answer.payload.as_slice()),
        ("200", &b"helloagain"[..])
    );
    pair.send(id, &[], true);
    pair.run();
    assert!(pair.seen[&id].ended);
}

#[test]
fn behind_a_connect_there_is_data_alone() {
    for at_once in [true, false] {
        let mut pair = Pair::new();
        let trailers = f(HEADERS, &section(&[("a", "b")]));
        let id = pair.open(Dir::Bi, &connect("/echo", Some("websocket")), false);
        if !at_once {
            pair.run();
        }
        pair.send(id, &trailers, false);
        pair.run();
        assert_eq!(pair.close_code(), Some(Code::FrameUnexpected as u64));
    }
}

#[test]
fn other_protocols_and_a_plain_connect_are_refused() {
    let mut pair = Pair::new();
    let other = pair.ask(&connect("/", Some("connect-udp")));
    assert_eq!(pair.answer(other).status(), "501");
    let plain = pair.ask(&f(
        HEADERS,
        &section(&[(":method", "CONNECT"), (":authority", "a:1")]),
    ));
    assert_eq!(pair.answer(plain).status(), "405");
    let get = [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/"),
        (":authority", "test"),
        (":protocol", "websocket"),
    ];
    let id = pair.ask(&f(HEADERS, &section(&get)));
    assert_eq!(pair.seen[&id].reset, Some(Code::MessageError as u64));
}

#[test]
fn a_torn_tunnel_does_not_look_as_if_it_had_ended() {
    let mut pair = Pair::new();
    let id = pair.open(Dir::Bi, &connect("/tunnel", Some("websocket")), false);
    pair.run();
    assert!(pair.seen[&id].ended, "the endpoint has said all");
    assert_eq!(pair.log.alive.get(), 1);
    pair.send(id, &f(DATA, b"bye"), false);
    pair.reset(id);
    pair.run();
    assert_eq!(pair.seen[&id].reset, None);
    assert_eq!(pair.log.body_errors.borrow().len(), 1);
    assert_eq!(pair.log.alive.get(), 0);
    let torn = pair.open(Dir::Bi, &connect("/torn", Some("websocket")), false);
    pair.run();
    assert_eq!(pair.seen[&torn].reset, Some(Code::RequestCancelled as u64));
}
