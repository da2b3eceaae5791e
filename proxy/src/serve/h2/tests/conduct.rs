//! What the RFCs demand of a server, one row a rule.

use super::raw::{Raw, block, f, get, post, request, reset, settings, update};
use super::server::run;
use crate::serve::h2::End;
use crate::serve::h2::PREFACE;
use crate::serve::h2::frame::{
    ACK, CONTINUATION, Code, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PING, PRIORITY,
    PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, WITH_PRIORITY,
};

/// Octets after the preface, and the code of the GOAWAY that answers them.
fn check_connection_error(why: &str, octets: &[u8], code: Code) {
    run(async {
        let mut raw = Raw::open().await;
        raw.send(octets).await;
        let end = raw.ends_with(code).await;
        let End::Violation(violation) = end else {
            panic!("{why}: {end:?}")
        };
        assert_eq!(violation.code, code, "{why}");
    });
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn breaches_of_the_connection_end_it() {
    let (headers, whole) = (HEADERS, END_HEADERS | END_STREAM);
    let open = f(headers, END_STREAM, 1, &request("GET", "/"));
    let cat = |parts: &[&[u8]]| parts.concat();
    for (why, octets, code) in [
        ("DATA on stream 0", f(DATA, 0, 0, b"x"), Code::Protocol),
        (
            "DATA on an idle stream",
            f(DATA, 0, 1, b"x"),
            Code::Protocol,
        ),
        (
            "HEADERS on stream 0",
            f(headers, whole, 0, &request("GET", "/")),
            Code::Protocol,
        ),
        ("an even stream id", get(2, "/"), Code::Protocol),
        ("RST_STREAM on an idle stream", reset(1), Code::Protocol),
        (
            "WINDOW_UPDATE on an idle stream",
            update(1, 1),
            Code::Protocol,
        ),
        (
            "HEADERS after the client's reset",
            [post(1, "/hold"), reset(1), post(1, "/hold")].concat(),
            Code::StreamClosed,
        ),
        ("WINDOW_UPDATE of 0", update(0, 0), Code::Protocol),
        (
            "too large a window",
            update(0, 0x7fff_ffff),
            Code::FlowControl,
        ),
        (
            "CONTINUATION alone",
            f(CONTINUATION, END_HEADERS, 1, b""),
            Code::Protocol,
        ),
        (
            "CONTINUATION after the end",
            cat(&[&get(1, "/"), &f(CONTINUATION, END_HEADERS, 1, b"")]),
            Code::Protocol,
        ),
        (
            "CONTINUATION of another stream",
            cat(&[&open, &f(CONTINUATION, END_HEADERS, 3, b"")]),
            Code::Protocol,
        ),
        (
            "PRIORITY inside a block",
            cat(&[&open, &f(PRIORITY, 0, 1, &[0; 5])]),
            Code::Protocol,
        ),
        (
            "an unknown frame inside a block",
            cat(&[&open, &f(0xee, 0, 1, b"")]),
            Code::Protocol,
        ),
        (
            "HEADERS inside a block",
            cat(&[&open, &get(3, "/")]),
            Code::Protocol,
        ),
        (
            "depends on itself",
            f(headers, whole | WITH_PRIORITY, 1, &[0, 0, 0, 1, 9]),
            Code::Protocol,
        ),
        (
            "PUSH_PROMISE",
            f(PUSH_PROMISE, END_HEADERS, 1, &[0; 4]),
            Code::Protocol,
        ),
        (
            "a large frame",
            f(0xee, 0, 0, &vec![0; 16385]),
            Code::FrameSize,
        ),
        ("a short PING", f(PING, 0, 0, &[0; 6]), Code::FrameSize),
        (
            "SETTINGS with an odd length",
            f(SETTINGS, 0, 0, &[0; 3]),
            Code::FrameSize,
        ),
        (
            "SETTINGS with a bad value",
            settings(&[(5, 1)]),
            Code::Protocol,
        ),
        (
            "SETTINGS with a large window",
            settings(&[(4, 0x8000_0000)]),
            Code::FlowControl,
        ),
        (
            "SETTINGS that overflow a window",
            cat(&[
                &post(1, "/hold"),
                &update(1, 0x7fff_ffff - 65535),
                &settings(&[(4, 65536)]),
            ]),
            Code::FlowControl,
        ),
        (
            "a block that cannot be decoded",
            f(headers, whole, 1, &[0x80]),
            Code::Compression,
        ),
        (
            "a block with a late size update",
            f(headers, whole, 1, &[0x82, 0x20]),
            Code::Compression,
        ),
        (
            "HEADERS on a closed stream",
            cat(&[&get(1, "/"), &get(3, "/"), &reset(3), &get(3, "/")]),
            Code::StreamClosed,
        ),
        (
            "HEADERS below the last stream",
            cat(&[&get(5, "/"), &get(3, "/")]),
            Code::StreamClosed,
        ),
    ] {
        check_connection_error(why, &octets, code);
    }
}

#[test]
fn a_wrong_preface_is_answered_with_goaway() {
    for octets in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r!",
        b"\0",
    ] {
        run(async {
            let mut raw = Raw::bare();
            raw.send(octets).await;
            assert!(matches!(
                raw.ends_with(Code::Protocol).await,
                End::Violation(_)
            ));
        });
    }
    for first in [
        get(1, "/"),
        f(SETTINGS, ACK, 0, b""),
        f(PING, 0, 0, &[0; 8]),
    ] {
        run(async {
            let mut raw = Raw::bare();
            raw.send(&[PREFACE, &first].concat()).await;
            assert!(matches!(
                raw.ends_with(Code::Protocol).await,
                End::Violation(_)
            ));
        });
    }
}

#[test]
fn every_cut_of_the_input_gives_the_same_answer() {
    let octets = [
        PREFACE,
        &settings(&[]),
        &post(1, "/echo"),
        &f(DATA, END_STREAM, 1, b"abc"),
    ]
    .concat();
    for cut in 1..octets.len() {
        run(async {
            let mut raw = Raw::bare();
            raw.send(&octets[..cut]).await;
            tokio::task::yield_now().await;
            raw.send(&octets[cut..]).await;
            let head = raw.find(HEADERS).await;
            assert_eq!(raw.status(&head), "200");
            assert_eq!(raw.find(DATA).await.payload, b"abc");
        });
    }
}

/// Octets after the preface, and the code of the `RST_STREAM` on stream 1 that answers them; the connection goes on.
pub(super) fn check_stream_error(why: &str, octets: &[u8], code: Code) -> Raw {
    run(async {
        let mut raw = Raw::open().await;
        raw.send(octets).await;
        let seen = raw.find(RST_STREAM).await;
        assert_eq!((seen.stream, seen.number(0)), (1, code as u32), "{why}");
        raw.works(101).await;
        raw
    })
}

#[test]
fn breaches_of_a_stream_reset_it_and_nothing_else() {
    let hold = get(1, "/hold");
    let cat = |parts: &[&[u8]]| parts.concat();
    let trailers =
        |flags, fields: &[(&str, &str)]| f(HEADERS, END_HEADERS | flags, 1, &block(fields));
    for (why, octets, code) in [
        (
            "DATA after the end",
            cat(&[&hold, &f(DATA, 0, 1, b"x")]),
            Code::StreamClosed,
        ),
        (
            "HEADERS after the end",
            cat(&[&hold, &trailers(END_STREAM, &[])]),
            Code::StreamClosed,
        ),
        // In the same read, when the exchange has not been dropped yet.
        (
            "DATA after the client's reset",
            cat(&[&post(1, "/hold"), &reset(1), &f(DATA, 0, 1, b"x")]),
            Code::StreamClosed,
        ),
        (
            "WINDOW_UPDATE of 0",
            cat(&[&hold, &update(1, 0)]),
            Code::Protocol,
        ),
        (
            "too large a window",
            cat(&[&hold, &update(1, 0x7fff_ffff)]),
            Code::FlowControl,
        ),
        (
            "trailers without END_STREAM",
            cat(&[&post(1, "/hold"), &trailers(0, &[("a", "b")])]),
            Code::Protocol,
        ),
        (
            "trailers with a pseudo-header",
            cat(&[&post(1, "/hold"), &trailers(END_STREAM, &[(":path", "/")])]),
            Code::Protocol,
        ),
        (
            "trailers in upper case",
            cat(&[&post(1, "/hold"), &trailers(END_STREAM, &[("Abc", "b")])]),
            Code::Protocol,
        ),
    ] {
        let raw = check_stream_error(why, &octets, code);
        assert_eq!(raw.served.log.alive.get(), 0, "{why}: the exchange goes on");
    }
    let mut flood = post(1, "/hold");
    for _ in 0..4 {
        flood.extend(f(DATA, 0, 1, &[0; 16384]));
    }
    check_stream_error("more DATA than the window", &flood, Code::FlowControl);
}

#[test]
fn frames_without_meaning_are_ignored() {
    run(async {
        let mut raw = Raw::open().await;
        raw.send(&get(1, "/")).await;
        raw.find(DATA).await;
        let ignored = [
            f(PRIORITY, 0, 99, &[0, 0, 0, 0, 1]),
            f(0xee, 0xff, 77, b"unknown"),
            f(SETTINGS, ACK, 0, b""),
            f(PING, ACK, 0, &[1; 8]),
            settings(&[(99, 7), (8, 1)]),
            update(1, 100),
            reset(1),
        ];
        raw.send(&ignored.concat()).await;
        raw.send(&f(PING, 0, 0, b"12345678")).await;
        let pong = raw.find(PING).await;
        assert_eq!((pong.flags, &*pong.payload), (ACK, &b"12345678"[..]));
        raw.works(3).await;
    });
}

#[test]
fn flags_and_bits_that_are_not_defined_are_ignored() {
    let (flags, reserved) = (0x90, 1 << 31);
    run(async {
        let mut raw = Raw::open().await;
        let octets = [
            f(SETTINGS, flags, reserved, b""),
            f(
                WINDOW_UPDATE,
                flags,
                reserved,
                &(reserved | 1).to_be_bytes(),
            ),
            f(PING, flags, reserved, b"12345678"),
            f(
                HEADERS,
                flags | END_HEADERS | END_STREAM,
                reserved | 1,
                &request("GET", "/"),
            ),
        ];
        raw.send(&octets.concat()).await;
        let pong = raw.find(PING).await;
        assert_eq!((pong.flags, &*pong.payload), (ACK, &b"12345678"[..]));
        let head = raw.find(HEADERS).await;
        assert_eq!((head.stream, &*raw.status(&head)), (1, "200"));
    });
}

#[test]
fn padding_and_priority_are_cut_off() {
    run(async {
        let mut raw = Raw::open().await;
        let mut fields = vec![3, 0x80, 0, 0, 0, 16];
        fields.extend(request("POST", "/echo"));
        fields.extend([0; 3]);
        raw.send(&f(
            HEADERS,
            END_HEADERS | PADDED | WITH_PRIORITY,
            1,
            &fields,
        ))
        .await;
        raw.send(&f(DATA, PADDED | END_STREAM, 1, b"\x02abc\0\0"))
            .await;
        assert_eq!(raw.find(DATA).await.payload, b"abc");
    });
}
