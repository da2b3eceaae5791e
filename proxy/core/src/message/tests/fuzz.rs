//! Fuzz functions: hostile bytes in, and what has to hold whatever they are. Here they run over a small corpus, its
//! mutations and random bytes; a fuzzer can run the same functions for longer.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::bytes;
use crate::config::{Forwarded, HeaderEdit};
use crate::message::chunked::Chunked;
use crate::message::field::{is_token, is_value};
use crate::message::h1::{Asked, parse_request, parse_response};
use crate::message::render::{Hop, request_head};
use crate::message::request::from_list;
use crate::message::{Fields, HeaderList, Request, websocket};

/// A request that was accepted has clean parts, and reads the same after this hop has written it anew.
pub(super) fn fuzz_request(input: &[u8]) {
    let mut fields = Fields::new();
    let Ok(Some((request, length))) = parse_request(input, 4096, &mut fields) else {
        return;
    };
    assert!(length <= input.len());
    assert_sound(&request);
    // A longer head is a longer head, not another one.
    let mut longer = input.to_vec();
    longer.extend_from_slice(b"GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n");
    let mut again = Fields::new();
    let (_, same) = parse_request(&longer, 4096, &mut again).unwrap().unwrap();
    assert_eq!(same, length);
    // No part of an accepted head is a head.
    let mut part = Fields::new();
    let before = parse_request(&input[..length - 1], 4096, &mut part);
    assert!(matches!(before, Ok(None)), "{before:?}");
}

/// The same for a header list: names and values are what stands between the bytes 0xfe and 0xff.
pub(super) fn fuzz_list(input: &[u8]) {
    let mut list = HeaderList::default();
    for line in input.split(|byte| *byte == 0xff) {
        let (name, value) = match line.iter().position(|byte| *byte == 0xfe) {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &b""[..]),
        };
        list.push(name, value);
    }
    for ended in [true, false] {
        let mut fields = Fields::new();
        if let Ok(request) = from_list(&list, ended, &mut fields) {
            assert_sound(&request);
        }
    }
}

/// A response head is read or refused; nothing of what was accepted is outside of the input.
pub(super) fn fuzz_response(input: &[u8]) {
    for (head, upgrade) in [(false, false), (true, false), (false, true)] {
        let mut fields = Fields::new();
        let read = parse_response(
            input,
            4096,
            Asked {
                head,
                upgrade,
                websocket: upgrade.then(|| websocket::key(0)),
            },
            &mut fields,
        );
        if let Ok(Some((response, length))) = read {
            assert!(length <= input.len());
            assert!((100..1000).contains(&response.status));
            assert!(
                response
                    .fields
                    .iter()
                    .all(|field| is_token(field.name) && is_value(field.value))
            );
        }
    }
}

/// However a chunked body is cut into pieces, its payload, its end and its verdict are the same.
pub(super) fn fuzz_chunked(input: &[u8]) {
    let whole = decode(input, &[input.len()]);
    for size in 1..=input.len().min(9) {
        assert_eq!(decode(input, &[size]), whole, "in pieces of {size}");
    }
    assert_eq!(decode(input, &[1, 7, 2]), whole);
}

/// Payload, trailers and where the body ended, or `None` for a fault. Pieces have the sizes given, in turn.
fn decode(input: &[u8], sizes: &[usize]) -> Option<(Vec<u8>, Vec<u8>, Option<usize>)> {
    let mut chunked = Chunked::default();
    let (mut payload, mut at, mut turn) = (Vec::new(), 0, 0);
    while at < input.len() {
        let size = sizes[turn % sizes.len()].max(1);
        turn += 1;
        let mut piece = input[at..(at + size).min(input.len())].to_vec();
        let decoded = chunked.decode(&mut piece).ok()?;
        assert!(decoded.payload <= decoded.consumed && decoded.consumed <= piece.len());
        assert!(decoded.done || decoded.consumed == piece.len());
        payload.extend_from_slice(&piece[..decoded.payload]);
        at += decoded.consumed;
        if decoded.done {
            return Some((payload, chunked.trailers().to_vec(), Some(at)));
        }
    }
    Some((payload, chunked.trailers().to_vec(), None))
}

/// What this proxy writes for an endpoint is a head with one reading: its own.
fn assert_sound(request: &Request<'_>) {
    assert!(is_token(request.method));
    assert!(request.target.iter().all(u8::is_ascii_graphic));
    assert!(
        request
            .fields
            .iter()
            .all(|field| is_token(field.name) && is_value(field.value))
    );
    let mut head = Vec::new();
    request_head(
        &mut head,
        request,
        &Hop {
            peer: "192.0.2.1",
            trusted: false,
            cdns: &[],
            by_cdn: false,
            forwarded: Forwarded::X,
            client: [192, 0, 2, 1].into(),
            scheme: "http",
            local: ([192, 0, 2, 9], 80).into(),
            request_id: "i",
            traceparent: "t",
            target: request.target,
            early: true,
            websocket_key: None,
            edits: &HeaderEdit::default(),
        },
    );
    // This hop adds up to ten fields of its own to at most a hundred.
    if request.fields.len() > 89 {
        return;
    }
    let mut fields = Fields::new();
    let (again, length) = parse_request(&head, 1 << 20, &mut fields).unwrap().unwrap();
    assert_eq!(length, head.len());
    assert_eq!(
        (again.method, again.target),
        (request.method, request.target)
    );
    assert!(request.authority.is_empty() || again.authority == request.authority);
    let is_empty = |framing| {
        matches!(
            framing,
            crate::message::Framing::None | crate::message::Framing::Length(0)
        )
    };
    assert!(
        again.framing == request.framing || (is_empty(again.framing) && is_empty(request.framing))
    );
}

/// The inputs of one folder of `tests/corpus`.
fn corpus(folder: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(folder);
    let text = fs::read_to_string(path.with_extension("txt")).unwrap();
    let inputs: Vec<_> = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(bytes)
        .collect();
    assert!(inputs.len() > 5);
    inputs
}

/// Runs over each input, each of its beginnings, and each with one byte changed to one that parsers care about.
fn run(folder: &str, fuzz: fn(&[u8])) {
    const TELLING: &[u8] = b"\r\n\0 \t:;,0fF/\\\x7f\xff_";
    for input in corpus(folder) {
        fuzz(&input);
        for at in 0..input.len() {
            fuzz(&input[..at]);
            for byte in TELLING {
                let mut changed = input.clone();
                changed[at] = *byte;
                fuzz(&changed);
                changed.insert(at, *byte);
                fuzz(&changed);
            }
        }
    }
}

#[test]
fn the_corpus_of_requests_holds() {
    run("request", fuzz_request);
}

#[test]
fn the_corpus_of_responses_holds() {
    run("response", fuzz_response);
}

#[test]
fn the_corpus_of_chunked_bodies_holds() {
    run("chunked", fuzz_chunked);
}

#[test]
fn the_corpus_of_header_lists_holds() {
    run("list", fuzz_list);
}

/// Bytes that are likely to form something.
fn pieces(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let word = proptest::sample::select(words).prop_map(bytes);
    let noise = proptest::collection::vec(any::<u8>(), 0..4);
    proptest::collection::vec(prop_oneof![8 => word, 1 => noise], 0..24)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_request_is_read_or_refused(input in pieces(&[
        "GET / HTTP/1.1↵", "POST http://a/x HTTP/1.1↵", "PUT / HTTP/1.0↵", "Host: a↵", "Content-Length: 5↵",
        "Transfer-Encoding: chunked↵", "Connection: close, x↵", "Upgrade: x↵", "X: ", "y↵", ":", "\\r", "\\n", "↵", "↵↵",
    ])) {
        fuzz_request(&input);
    }

    #[test]
    fn any_response_is_read_or_refused(input in pieces(&[
        "HTTP/1.1 200 OK↵", "HTTP/1.0 304 ↵", "HTTP/1.1 101 ↵", "Content-Length: 5↵", "Transfer-Encoding: chunked↵",
        "Connection: close↵", "X: ", "y↵", ":", "\\r", "\\n", "↵", "↵↵",
    ])) {
        fuzz_response(&input);
    }

    #[test]
    fn any_split_of_a_chunked_body_reads_the_same(input in pieces(&[
        "5↵hello↵", "1;x=y↵z↵", "A↵0123456789↵", "0↵", "↵", "X-T: v↵", "0↵↵", "00", "f", ";", "\\r", "\\n", "Host: x↵",
    ])) {
        fuzz_chunked(&input);
    }

    #[test]
    fn any_header_list_is_read_or_refused(input in pieces(&[
        ":method\\xfeGET\\xff", ":scheme\\xfehttps\\xff", ":path\\xfe/\\xff", ":authority\\xfea\\xff", "host\\xfea\\xff",
        "content-length\\xfe5\\xff", "te\\xfetrailers\\xff", "cookie\\xfea=b\\xff", "x\\xfe", "y\\xff", "expect\\xfe100-continue\\xff",
    ])) {
        fuzz_list(&input);
    }

    #[test]
    fn a_body_cut_into_chunks_comes_back(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..8)) {
        let mut coded = Vec::new();
        for part in &parts {
            coded.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
            coded.extend_from_slice(part);
            coded.extend_from_slice(b"\r\n");
        }
        coded.extend_from_slice(b"0\r\n\r\nnext");
        let end = coded.len() - 4;
        prop_assert_eq!(decode(&coded, &[3]), Some((parts.concat(), Vec::new(), Some(end))));
        fuzz_chunked(&coded);
    }
}
