//! Frames there and back, and frames that no peer may send.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "tests may panic"
)]

use proptest::prelude::*;

use super::*;

fn built(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    [&head(payload.len(), kind, flags, stream)[..], payload].concat()
}

fn one(input: &[u8]) -> Frame<'_> {
    let (frame, length) = parse(input).unwrap().unwrap();
    assert_eq!(length, input.len());
    frame
}

#[test]
fn frames_of_every_type_are_read() {
    let data = built(DATA, PADDED | END_STREAM, 1, b"\x02hi\0\0");
    assert_eq!(
        one(&data),
        Frame::Data {
            stream: 1,
            payload: b"hi",
            padding: 3,
            ends: true
        }
    );
    let headers = built(
        HEADERS,
        PADDED | WITH_PRIORITY,
        3,
        b"\x01\x80\0\0\x01\x10hb\0",
    );
    let wanted = Frame::Headers {
        stream: 3,
        fragment: b"hb",
        ends_stream: false,
        ends_block: false,
    };
    assert_eq!(one(&headers), wanted);
    let rest = built(CONTINUATION, END_HEADERS, 3, b"x");
    assert_eq!(
        one(&rest),
        Frame::Continuation {
            stream: 3,
            fragment: b"x",
            ends_block: true
        }
    );
    assert_eq!(
        one(&built(PRIORITY, 0, 9, b"\0\0\0\x01\x10")),
        Frame::Priority
    );
    assert_eq!(
        one(&built(RST_STREAM, 0, 9, &[0; 4])),
        Frame::Reset { stream: 9 }
    );
    assert_eq!(
        one(&built(SETTINGS, 0, 0, &[1; 6])),
        Frame::Settings { entries: &[1; 6] }
    );
    assert_eq!(one(&built(SETTINGS, ACK, 0, b"")), Frame::SettingsAck);
    assert_eq!(
        one(&built(PING, ACK, 0, &[7; 8])),
        Frame::Ping {
            opaque: [7; 8],
            ack: true
        }
    );
    assert_eq!(one(&built(GOAWAY, 0, 0, &[0; 12])), Frame::GoAway);
    let update = built(WINDOW_UPDATE, 0, 5, &[0x80, 0, 0, 9]);
    assert_eq!(
        one(&update),
        Frame::WindowUpdate {
            stream: 5,
            increment: 9
        }
    );
    assert_eq!(one(&built(0xfa, 0xff, 77, b"?")), Frame::Unknown);
}

#[test]
fn what_is_written_is_read_again() {
    let mut out = Vec::new();
    data(&mut out, 1, b"abc", true);
    reset(&mut out, 3, Code::Cancel);
    window_update(&mut out, 0, 70000);
    goaway(&mut out, 7, Code::EnhanceYourCalm);
    ping(&mut out, [1; 8], false);
    settings_frame(&mut out, &[(3, 128)]);
    settings_ack(&mut out);
    let mut rest = &*out;
    for wanted in [
        Frame::Data {
            stream: 1,
            payload: b"abc",
            padding: 0,
            ends: true,
        },
        Frame::Reset { stream: 3 },
        Frame::WindowUpdate {
            stream: 0,
            increment: 70000,
        },
        Frame::GoAway,
        Frame::Ping {
            opaque: [1; 8],
            ack: false,
        },
        Frame::Settings {
            entries: &[0, 3, 0, 0, 0, 128],
        },
        Frame::SettingsAck,
    ] {
        let (frame, length) = parse(rest).unwrap().unwrap();
        assert_eq!(frame, wanted);
        rest = &rest[length..];
    }
    assert!(rest.is_empty());
}

#[test]
fn a_block_of_any_length_becomes_frames_that_fit() {
    for length in [
        0,
        1,
        MAX_PAYLOAD,
        MAX_PAYLOAD + 1,
        2 * MAX_PAYLOAD,
        3 * MAX_PAYLOAD + 5,
    ] {
        let mut out = b"before".to_vec();
        headers(&mut out, 5, true, |out| out.resize(out.len() + length, 7));
        let (mut rest, mut block, mut ended) = (&out[6..], Vec::new(), false);
        while let Some((frame, size)) = parse(rest).unwrap() {
            assert!(!ended);
            match frame {
                Frame::Headers {
                    stream: 5,
                    fragment,
                    ends_stream: true,
                    ends_block,
                } if block.is_empty() => {
                    block.extend_from_slice(fragment);
                    ended = ends_block;
                }
                Frame::Continuation {
                    stream: 5,
                    fragment,
                    ends_block,
                } => {
                    block.extend_from_slice(fragment);
                    ended = ends_block;
                }
                other => panic!("{other:?}"),
            }
            rest = &rest[size..];
        }
        assert!(ended && rest.is_empty());
        assert_eq!(block, vec![7; length]);
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn frames_that_break_the_rules_are_refused() {
    for (kind, flags, stream, payload, code, why) in [
        (DATA, 0, 0, &b""[..], Code::Protocol, "DATA on stream 0"),
        (
            DATA,
            PADDED,
            1,
            b"",
            Code::FrameSize,
            "no room for the length of padding",
        ),
        (
            DATA,
            PADDED,
            1,
            b"\x01",
            Code::Protocol,
            "more padding than payload",
        ),
        (HEADERS, 0, 0, b"", Code::Protocol, "HEADERS on stream 0"),
        (
            HEADERS,
            PADDED,
            1,
            b"\x05abcd",
            Code::Protocol,
            "more padding than payload",
        ),
        (
            HEADERS,
            WITH_PRIORITY,
            1,
            b"abcd",
            Code::FrameSize,
            "cut priority",
        ),
        (
            HEADERS,
            WITH_PRIORITY,
            1,
            b"\0\0\0\x01\x00",
            Code::Protocol,
            "depends on itself",
        ),
        (
            PRIORITY,
            0,
            0,
            &[0; 5],
            Code::Protocol,
            "PRIORITY on stream 0",
        ),
        (PRIORITY, 0, 1, &[0; 4], Code::FrameSize, "short PRIORITY"),
        (
            PRIORITY,
            0,
            1,
            b"\0\0\0\x01\x00",
            Code::Protocol,
            "depends on itself",
        ),
        (
            RST_STREAM,
            0,
            0,
            &[0; 4],
            Code::Protocol,
            "RST_STREAM on stream 0",
        ),
        (
            RST_STREAM,
            0,
            1,
            &[0; 3],
            Code::FrameSize,
            "short RST_STREAM",
        ),
        (SETTINGS, 0, 1, b"", Code::Protocol, "SETTINGS on a stream"),
        (
            SETTINGS,
            0,
            0,
            &[0; 5],
            Code::FrameSize,
            "part of a setting",
        ),
        (
            SETTINGS,
            ACK,
            0,
            &[0; 6],
            Code::FrameSize,
            "an acknowledgement with settings",
        ),
        (
            PUSH_PROMISE,
            0,
            1,
            &[0; 4],
            Code::Protocol,
            "push from a client",
        ),
        (PING, 0, 1, &[0; 8], Code::Protocol, "PING on a stream"),
        (PING, 0, 0, &[0; 7], Code::FrameSize, "short PING"),
        (GOAWAY, 0, 1, &[0; 8], Code::Protocol, "GOAWAY on a stream"),
        (GOAWAY, 0, 0, &[0; 7], Code::FrameSize, "short GOAWAY"),
        (
            WINDOW_UPDATE,
            0,
            1,
            &[0; 5],
            Code::FrameSize,
            "long WINDOW_UPDATE",
        ),
        (
            CONTINUATION,
            0,
            0,
            b"",
            Code::Protocol,
            "CONTINUATION on stream 0",
        ),
    ] {
        assert_eq!(
            parse(&built(kind, flags, stream, payload))
                .unwrap_err()
                .code,
            code,
            "{why}"
        );
    }
    // Refused by its head alone.
    assert_eq!(
        parse(&head(16385, 0xfa, 0, 1)).unwrap_err().code,
        Code::FrameSize
    );
}

proptest! {
    #[test]
    fn a_frame_is_whole_or_awaited(kind in 0..12u8, flags: u8, stream in 0..5u32, payload: Vec<u8>, cut in 0..200usize) {
        let input = built(kind, flags, stream, &payload);
        let whole = parse(&input);
        if let Some(part) = input.get(..cut.min(input.len() - 1)) {
            prop_assert_eq!(parse(part), Ok(None));
        }
        if let Ok(parsed) = whole {
            prop_assert_eq!(parsed.unwrap().1, input.len());
        }
    }
}
