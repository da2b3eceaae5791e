//! Requests that are wrong in themselves: which of them the exchange hears of, and how the client does.

use openclaw_core::reason::Reason;

use super::conduct::check_stream_error;
use super::raw::{Raw, block, f, request};
use super::server::{MAX_HEADER, run};
use crate::exchange::wire::WireError;
use crate::serve::h2::frame::{
    CONTINUATION, Code, DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM,
};
use crate::serve::multiplexed::MALFORMED;

#[test]
fn malformed_requests_never_become_exchanges() {
    let good = [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/"),
        (":authority", "test"),
    ];
    for extra in MALFORMED {
        let fields = block(&[&good[..], &[extra]].concat());
        let octets = f(HEADERS, END_HEADERS | END_STREAM, 1, &fields);
        let raw = check_stream_error(extra.0, &octets, Code::Protocol);
        assert_eq!(raw.served.log.started.borrow().len(), 1, "{extra:?}");
        assert_eq!(raw.served.log.refused.borrow()[0].status, 400, "{extra:?}");
    }
    for missing in 0..4 {
        let mut fields = good.to_vec();
        fields.remove(missing);
        let octets = f(HEADERS, END_HEADERS | END_STREAM, 1, &block(&fields));
        check_stream_error("a pseudo-header is missing", &octets, Code::Protocol);
    }
}

#[test]
fn content_length_is_held_against_every_frame() {
    let head = |length: &str| {
        let mut fields = request("POST", "/echo");
        fields.extend(block(&[("content-length", length)]));
        f(HEADERS, END_HEADERS, 1, &fields)
    };
    let end = f(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[("a", "b")]));
    for (length, rest) in [
        ("2", f(DATA, 0, 1, b"abc")),
        ("2", f(DATA, END_STREAM, 1, b"a")),
        ("2", f(DATA, END_STREAM, 1, b"")),
        ("0", f(DATA, END_STREAM, 1, b"a")),
        ("2", [f(DATA, 0, 1, b"a"), end.clone()].concat()),
    ] {
        // In one read: no exchange. In two: the exchange is told.
        let raw = check_stream_error(
            length,
            &[head(length), rest.clone()].concat(),
            Code::Protocol,
        );
        assert_eq!(raw.served.log.started.borrow().len(), 1);
        assert_eq!(raw.served.log.refused.borrow()[0].reason, Reason::Smuggling);
        run(async {
            let mut raw = Raw::open().await;
            raw.send(&head(length)).await;
            raw.find(HEADERS).await;
            raw.send(&rest).await;
            assert_eq!(raw.find(RST_STREAM).await.number(0), Code::Protocol as u32);
            let errors = raw.served.log.body_errors.borrow();
            assert!(
                matches!(errors[..], [WireError::Fault(fault)] if fault.reason == Reason::Smuggling)
            );
        });
    }
    run(async {
        let mut raw = Raw::open().await;
        raw.send(&[head("3"), f(DATA, 0, 1, b"ab"), f(DATA, 0, 1, b"c"), end].concat())
            .await;
        assert_eq!(raw.find(DATA).await.payload, b"abc");
    });
}

#[test]
fn faults_that_are_not_malformed_are_answered_with_their_status() {
    let mut large = request("GET", "/");
    large.extend(block(&[("x", &"v".repeat(MAX_HEADER))]));
    let (first, rest) = large.split_at(10_000);
    let large = [
        f(HEADERS, END_STREAM, 1, first),
        f(CONTINUATION, END_HEADERS, 1, rest),
    ]
    .concat();
    let mut expects = request("GET", "/");
    expects.extend(block(&[("expect", "more")]));
    let expects = f(HEADERS, END_HEADERS | END_STREAM, 1, &expects);
    let connect = f(
        HEADERS,
        END_HEADERS | END_STREAM,
        1,
        &request("CONNECT", "/"),
    );
    for (octets, status) in [(large, "431"), (expects, "417"), (connect, "405")] {
        run(async {
            let mut raw = Raw::open().await;
            raw.send(&octets).await;
            let head = raw.find(HEADERS).await;
            assert_eq!(raw.status(&head), status);
            raw.works(3).await;
        });
    }
}
