//! What breaks the rules of connections, and the code that each breach ends one with (RFC 9114 §8.1, RFC 9204 §6).

use quinn_proto::Dir;

use super::messages::{f, request, section};
use super::pair::Pair;
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
