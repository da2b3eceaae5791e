//! Requests that are wrong in themselves: their streams are reset or answered, and the connection goes on (RFC 9114 §4.1.2).

use quinn_proto::Dir;

use super::messages::{f, request, section};
use super::pair::{MAX_HEADER, Pair};
use crate::serve::h3::code::Code;
use crate::serve::h3::frame::{DATA, HEADERS};
use crate::serve::multiplexed::MALFORMED;

/// Sends a request that ends its stream and no more, before another that is answered.
fn reset_by(octets: &[u8], ends: bool) -> (Pair, Option<u64>, Option<u64>) {
    let mut pair = Pair::new();
    pair.settings();
    let id = pair.open(Dir::Bi, octets, ends);
    pair.run();
    let next = pair.ask(&request("GET", "/", &[]));
    assert_eq!(pair.answer(next).payload, b"hello", "{octets:x?}");
    let seen = &pair.seen[&id];
    let found = (seen.reset, seen.stopped);
    (pair, found.0, found.1)
}

#[test]
fn malformed_requests_never_become_exchanges() {
    let message_error = Some(Code::MessageError as u64);
    for extra in MALFORMED {
        let (pair, reset, _) = reset_by(&request("GET", "/", &[extra]), true);
        assert_eq!(reset, message_error, "{extra:?}");
        assert_eq!(pair.log.started.borrow().len(), 1, "{extra:?}");
        assert_eq!(pair.log.refused.borrow()[0].status, 400, "{extra:?}");
    }
    let (_, reset, stopped) = reset_by(&request("GET", "bad", &[]), false);
    assert_eq!((reset, stopped), (message_error, message_error));
}

#[test]
fn content_length_is_held_against_every_frame() {
    let head = |length: &str| request("POST", "/echo", &[("content-length", length)]);
    let trailers = || f(HEADERS, &section(&[("a", "b")]));
    for (length, rest, ends) in [
        ("2", f(DATA, b"abc"), false),
        ("2", f(DATA, b"a"), true),
        ("2", vec![], true),
        ("0", f(DATA, b"a"), false),
        ("2", [f(DATA, b"a"), trailers()].concat(), true),
        ("2", [f(DATA, b"ab"), f(DATA, b"c")].concat(), false),
    ] {
        // At once, and with an exchange that has begun.
        let whole = [head(length), rest.clone()].concat();
        let (_, reset, _) = reset_by(&whole, ends);
        assert_eq!(reset, Some(Code::MessageError as u64), "{length} {rest:x?}");
        let mut pair = Pair::new();
        let id = pair.open(Dir::Bi, &head(length), false);
        pair.run();
        pair.send(id, &rest, ends);
        pair.run();
        let reset = pair.seen[&id].reset;
        assert_eq!(reset, Some(Code::MessageError as u64), "{length} {rest:x?}");
        let errors = pair.log.body_errors.borrow();
        let reason = errors.first().map(|error| error.reason());
        assert_eq!(
            reason,
            Some(openclaw_core::reason::Reason::Smuggling),
            "{rest:x?}"
        );
    }
    let whole = [head("2"), f(DATA, b"a"), f(DATA, b"b"), trailers()].concat();
    let mut pair = Pair::new();
    let id = pair.ask(&whole);
    assert_eq!(pair.answer(id).payload, b"ab");
}

#[test]
fn a_request_without_its_head_is_incomplete() {
    for octets in [vec![], f(0x21, b"grease")] {
        let (_, reset, _) = reset_by(&octets, true);
        assert_eq!(reset, Some(Code::RequestIncomplete as u64));
    }
}

#[test]
fn trailers_are_checked_like_heads() {
    for wrong in [
        ("Upper", "x"),
        (":path", "/"),
        ("a", "b\n"),
        ("connection", "close"),
    ] {
        let trailers = f(HEADERS, &section(&[wrong]));
        let (_, reset, _) = reset_by(&[request("POST", "/echo", &[]), trailers].concat(), true);
        assert_eq!(reset, Some(Code::MessageError as u64), "{wrong:?}");
    }
}

#[test]
fn a_head_larger_than_its_limit_is_answered() {
    let value = "x".repeat(1000);
    let fields: Vec<_> = (0..17).map(|_| ("name", value.as_str())).collect();
    let mut pair = Pair::new();
    let decoded = pair.ask(&request("GET", "/", &fields));
    // This one is not even decoded.
    let fields: Vec<_> = (0..40).map(|_| ("name", value.as_str())).collect();
    let skipped = pair.ask(&request("GET", "/", &fields));
    for id in [decoded, skipped] {
        assert_eq!(pair.answer(id).status(), "431");
    }
    assert!(
        pair.log
            .started
            .borrow()
            .iter()
            .all(|(_, fault)| fault.is_some())
    );
    let fits = (MAX_HEADER - 300) / (4 + 1000 + 32);
    let fields: Vec<_> = (0..fits).map(|_| ("name", value.as_str())).collect();
    let id = pair.ask(&request("GET", "/", &fields));
    assert_eq!(pair.answer(id).status(), "200");
}
