//! What breaks the rules, and the code that each breach is answered with (RFC 9114 §8.1, RFC 9204 §6).

use quinn_proto::Dir;

use super::pair::{MAX_HEADER, Pair, f, request, section};
use crate::serve::h3::code::Code;
use crate::serve::h3::frame::{
    CANCEL_PUSH, DATA, GOAWAY, HEADERS, MAX_PUSH_ID, PRIORITY_UPDATE, PRIORITY_UPDATE_PUSH,
    PUSH_PROMISE, SETTINGS,
};

const CONTROL: u8 = 0;
const PUSH: u8 = 1;
const ENCODER: u8 = 2;
const DECODER: u8 = 3;

/// Sends streams and says what the connection was closed with.
fn closed_by(streams: &[(Dir, Vec<u8>, bool)]) -> Option<u64> {
    let mut pair = Pair::new();
    for (dir, octets, ends) in streams {
        pair.open(*dir, octets, *ends);
        pair.run();
    }
    let code = pair.close_code();
    assert_eq!(code.is_none(), pair.driver.is_some());
    assert_eq!(
        pair.log.alive.get(),
        if code.is_none() {
            pair.log.alive.get()
        } else {
            0
        }
    );
    code
}

fn stream(kind: u8, frames: &[Vec<u8>]) -> Vec<u8> {
    [&[kind][..], &frames.concat()].concat()
}

/// A control stream that begins as it should.
fn control(frames: &[Vec<u8>]) -> Vec<u8> {
    stream(CONTROL, &[&[f(SETTINGS, b"")], frames].concat())
}

#[test]
fn breaches_on_control_streams_end_the_connection() {
    let cases = [
        (
            stream(CONTROL, &[f(0x21, b"grease"), f(SETTINGS, b"")]),
            Code::MissingSettings,
        ),
        (stream(CONTROL, &[f(GOAWAY, &[0])]), Code::MissingSettings),
        (control(&[f(SETTINGS, b"")]), Code::FrameUnexpected),
        (control(&[f(DATA, b"x")]), Code::FrameUnexpected),
        (control(&[f(HEADERS, &section(&[]))]), Code::FrameUnexpected),
        (control(&[f(PUSH_PROMISE, &[0])]), Code::FrameUnexpected),
        (control(&[f(0x2, b"")]), Code::FrameUnexpected),
        (control(&[f(0x6, b"")]), Code::FrameUnexpected),
        (control(&[f(0x8, b"")]), Code::FrameUnexpected),
        (control(&[f(0x9, b"")]), Code::FrameUnexpected),
        (control(&[f(GOAWAY, &[4]), f(GOAWAY, &[5])]), Code::IdError),
        (control(&[f(GOAWAY, &[])]), Code::FrameError),
        (control(&[f(GOAWAY, &[4, 4])]), Code::FrameError),
        (control(&[f(GOAWAY, &[0x40])]), Code::FrameError),
        (control(&[f(GOAWAY, &[0; 9])]), Code::FrameError),
        (
            control(&[f(MAX_PUSH_ID, &[7]), f(MAX_PUSH_ID, &[6])]),
            Code::IdError,
        ),
        (control(&[f(MAX_PUSH_ID, &[7, 1])]), Code::FrameError),
        (control(&[f(CANCEL_PUSH, &[0])]), Code::IdError),
        (control(&[f(CANCEL_PUSH, b"")]), Code::FrameError),
        (control(&[f(PRIORITY_UPDATE, b"\x01u=1")]), Code::IdError),
        (
            control(&[f(PRIORITY_UPDATE, b"\x80\x01\0\0u=1")]),
            Code::IdError,
        ),
        (control(&[f(PRIORITY_UPDATE, b"")]), Code::FrameError),
        (control(&[f(PRIORITY_UPDATE_PUSH, b"\0u=1")]), Code::IdError),
        (
            stream(CONTROL, &[f(SETTINGS, &[2, 0])]),
            Code::SettingsError,
        ),
        (
            stream(CONTROL, &[f(SETTINGS, &[3, 0])]),
            Code::SettingsError,
        ),
        (
            stream(CONTROL, &[f(SETTINGS, &[4, 0])]),
            Code::SettingsError,
        ),
        (
            stream(CONTROL, &[f(SETTINGS, &[5, 0])]),
            Code::SettingsError,
        ),
        (
            stream(CONTROL, &[f(SETTINGS, &[0, 0])]),
            Code::SettingsError,
        ),
        (
            stream(CONTROL, &[f(SETTINGS, &[6, 9, 6, 9])]),
            Code::SettingsError,
        ),
        (
            stream(CONTROL, &[f(SETTINGS, &[8, 2])]),
            Code::SettingsError,
        ),
        (stream(CONTROL, &[f(SETTINGS, &[6])]), Code::FrameError),
        (
            stream(CONTROL, &[f(SETTINGS, &[6, 0x40])]),
            Code::FrameError,
        ),
        (
            stream(CONTROL, &[f(SETTINGS, &[0; 2000])]),
            Code::ExcessiveLoad,
        ),
    ];
    for (octets, code) in cases {
        let closed = closed_by(&[(Dir::Uni, octets.clone(), false)]);
        assert_eq!(closed, Some(code as u64), "{code:?} {octets:x?}");
    }
}

#[test]
fn streams_of_push_and_of_a_dynamic_table_end_the_connection() {
    let cases = [
        (stream(PUSH, &[f(0, b"")]), Code::StreamCreationError),
        (
            stream(ENCODER, &[vec![0x21]]),
            Code::QpackEncoderStreamError,
        ),
        (
            stream(ENCODER, &[vec![0x3f, 0xe1, 0x1f]]),
            Code::QpackEncoderStreamError,
        ),
        (
            stream(ENCODER, &[vec![0xc1, 1, b'a']]),
            Code::QpackEncoderStreamError,
        ),
        (
            stream(ENCODER, &[vec![0x41, b'a', 1, b'b']]),
            Code::QpackEncoderStreamError,
        ),
        (
            stream(ENCODER, &[vec![0x00]]),
            Code::QpackEncoderStreamError,
        ),
        (
            stream(DECODER, &[vec![0x80]]),
            Code::QpackDecoderStreamError,
        ),
        (
            stream(DECODER, &[vec![0x01]]),
            Code::QpackDecoderStreamError,
        ),
    ];
    for (octets, code) in cases {
        let closed = closed_by(&[(Dir::Uni, octets.clone(), false)]);
        assert_eq!(closed, Some(code as u64), "{code:?} {octets:x?}");
    }
}

#[test]
fn critical_streams_come_once_and_stay() {
    for kind in [CONTROL, ENCODER, DECODER] {
        let begun = if kind == CONTROL {
            control(&[])
        } else {
            vec![kind]
        };
        let ended = closed_by(&[(Dir::Uni, begun.clone(), true)]);
        assert_eq!(ended, Some(Code::ClosedCriticalStream as u64), "{kind}");
        let again = (Dir::Uni, vec![kind], false);
        let twice = closed_by(&[(Dir::Uni, begun.clone(), false), again]);
        assert_eq!(twice, Some(Code::StreamCreationError as u64), "{kind}");
        let mut pair = Pair::new();
        let id = pair.open(Dir::Uni, &begun, false);
        pair.run();
        pair.reset(id);
        pair.run();
        assert_eq!(
            pair.close_code(),
            Some(Code::ClosedCriticalStream as u64),
            "{kind}"
        );
    }
    let mut pair = Pair::new();
    pair.run();
    let ours = *pair.seen.keys().next().unwrap();
    pair.stop(ours);
    pair.run();
    assert_eq!(pair.close_code(), Some(Code::ClosedCriticalStream as u64));
}

#[test]
fn what_means_nothing_is_passed_over() {
    let mut pair = Pair::new();
    let frames = [
        f(0x21, b"grease"),
        f(MAX_PUSH_ID, &[1]),
        f(MAX_PUSH_ID, &[1]),
        f(GOAWAY, &[9]),
        f(GOAWAY, &[9]),
        f(PRIORITY_UPDATE, b"\0u=1, i"),
        f(PRIORITY_UPDATE, b"\0\"broken"),
        f(PRIORITY_UPDATE, &[0; 3000]),
        f(0x1f * 1000 + 0x21, &[0; 5000]),
    ];
    let settings = f(
        SETTINGS,
        &[0x6, 0x50, 0, 0x21, 7, 0x33, 1, 0x8, 1, 0x1, 0, 0x7, 0],
    );
    pair.open(
        Dir::Uni,
        &stream(CONTROL, &[&[settings][..], &frames].concat()),
        false,
    );
    pair.open(Dir::Uni, &[ENCODER, 0x20, 0x20], false);
    pair.open(Dir::Uni, &[DECODER, 0x44, 0x7f, 0x10], false);
    let unknown = pair.open(Dir::Uni, &[0x40, 0x54, 1, 2, 3], false);
    let untold = pair.open(Dir::Uni, &[0x40], true);
    let mut octets = f(0x21, &[0; 3000]);
    octets.extend(request("POST", "/echo", &[]));
    octets.extend([f(0x40, b""), f(DATA, b"body"), f(0x21, b"")].concat());
    octets.extend([f(HEADERS, &section(&[("a", "b")])), f(0x5f, b"end")].concat());
    let id = pair.ask(&octets);
    assert_eq!(pair.close_code(), None);
    assert_eq!(pair.answer(id).payload, b"body");
    assert_eq!(
        pair.seen[&unknown].stopped,
        Some(Code::StreamCreationError as u64)
    );
    assert_eq!(pair.seen[&untold].stopped, None);
}

#[test]
fn breaches_on_request_streams_end_the_connection() {
    let head = || request("POST", "/hold", &[]);
    let trailers = || f(HEADERS, &section(&[("a", "b")]));
    let cases = [
        (f(DATA, b"x"), false, Code::FrameUnexpected),
        (f(SETTINGS, b""), false, Code::FrameUnexpected),
        (f(GOAWAY, &[0]), false, Code::FrameUnexpected),
        (f(MAX_PUSH_ID, &[0]), false, Code::FrameUnexpected),
        (f(CANCEL_PUSH, &[0]), false, Code::FrameUnexpected),
        (f(PUSH_PROMISE, &[0]), false, Code::FrameUnexpected),
        (f(PRIORITY_UPDATE, &[0]), false, Code::FrameUnexpected),
        (f(PRIORITY_UPDATE_PUSH, &[0]), false, Code::FrameUnexpected),
        (f(0x2, b""), false, Code::FrameUnexpected),
        (f(0x6, b""), false, Code::FrameUnexpected),
        (f(0x8, b""), false, Code::FrameUnexpected),
        (f(0x9, b""), false, Code::FrameUnexpected),
        (
            [head(), f(SETTINGS, b"")].concat(),
            false,
            Code::FrameUnexpected,
        ),
        (
            [head(), trailers(), trailers()].concat(),
            false,
            Code::FrameUnexpected,
        ),
        (
            [head(), trailers(), f(DATA, b"x")].concat(),
            false,
            Code::FrameUnexpected,
        ),
        (vec![0x40], true, Code::FrameError),
        (vec![1], true, Code::FrameError),
        (vec![1, 9, 0], true, Code::FrameError),
        (vec![0x21, 9, 0], true, Code::FrameError),
        ([head(), vec![0, 9, 0]].concat(), true, Code::FrameError),
        ([head(), vec![0, 9]].concat(), true, Code::FrameError),
        (f(HEADERS, b""), false, Code::QpackDecompressionFailed),
        (f(HEADERS, b"\0"), false, Code::QpackDecompressionFailed),
        (
            f(HEADERS, b"\x02\0\x80"),
            false,
            Code::QpackDecompressionFailed,
        ),
        (
            f(HEADERS, b"\0\0\x80"),
            false,
            Code::QpackDecompressionFailed,
        ),
        (
            f(HEADERS, b"\0\0\xff\x24"),
            false,
            Code::QpackDecompressionFailed,
        ),
        (
            [head(), f(HEADERS, b"\0\0\x10")].concat(),
            false,
            Code::QpackDecompressionFailed,
        ),
    ];
    for (octets, ends, code) in cases {
        let closed = closed_by(&[(Dir::Bi, octets.clone(), ends)]);
        assert_eq!(closed, Some(code as u64), "{octets:x?}");
    }
}

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
    for extra in [
        ("Upper", "x"),
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("te", "gzip"),
        ("a", "b\r\nc: d"),
        ("a", " b"),
        (":path", "/twice"),
        (":status", "200"),
        ("content-length", "5"),
        ("host", "other"),
    ] {
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
        ("transfer-encoding", "chunked"),
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
