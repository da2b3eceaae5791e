//! A request means the same on both wires: the endpoint gets the same head.

use std::net::{Ipv4Addr, SocketAddr};

use openclaw_core::config::{Forwarded, HeaderEdit};
use openclaw_core::message::render::{Hop, request_head};
use openclaw_core::message::{Fault, Fields, HeaderList, Request, Version, request};

use super::messages::section;
use crate::serve::compression::{Decoded, integer};
use crate::serve::{h2, h3};

/// What goes to the endpoint.
fn rendered(list: &HeaderList, version: Version, ended: bool) -> Result<Vec<u8>, Fault> {
    let mut fields = Fields::new();
    let request = request::from_list(list, ended, &mut fields)?;
    let request = Request { version, ..request };
    let mut out = Vec::new();
    let hop = Hop {
        peer: "192.0.2.1",
        trusted: false,
        cdns: &[],
        by_cdn: false,
        forwarded: Forwarded::X,
        client: Ipv4Addr::new(192, 0, 2, 1).into(),
        scheme: "https",
        local: SocketAddr::from(([127, 0, 0, 1], 443)),
        request_id: "id",
        traceparent: "trace",
        target: request.target,
        early: false,
        websocket_key: None,
        edits: &HeaderEdit::default(),
    };
    request_head(&mut out, &request, &hop);
    Ok(out)
}

fn replaced(head: &[u8], from: &[u8; 9], to: &[u8; 9]) -> Vec<u8> {
    let mut head = head.to_vec();
    if let Some(at) = memchr::memmem::find(&head, from) {
        head[at..at + to.len()].copy_from_slice(to);
    }
    head
}

/// The fields as HPACK has them, decoded.
fn over_h2(fields: &[(&str, &str)]) -> HeaderList {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(&mut block, 7, 0, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    }
    let mut list = HeaderList::default();
    let decoded = h2::hpack::Decoder::new().decode(&block, 16384, &mut list);
    assert_eq!(decoded, Ok(Decoded::Whole));
    list
}

fn over_h3(fields: &[(&str, &str)]) -> HeaderList {
    let mut list = HeaderList::default();
    let decoded = h3::qpack::Decoder::default().decode(&section(fields), 16384, &mut list);
    assert_eq!(decoded, Ok(Decoded::Whole));
    list
}

#[test]
fn endpoints_cannot_tell_http2_and_http3_apart() {
    let usual = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "test:8443"),
        (":path", "/a/b?c=%20d"),
    ];
    let cases: &[&[(&str, &str)]] = &[
        &[],
        &[
            ("host", "test:8443"),
            ("accept", "*/*"),
            ("user-agent", "x"),
        ],
        &[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")],
        &[("te", "trailers"), ("priority", "u=1, i")],
        &[("content-length", "10"), ("expect", "100-continue")],
        &[
            ("x-forwarded-for", "10.0.0.1"),
            ("forwarded", "for=10.0.0.1"),
        ],
        &[("x_real_ip", "10.0.0.1"), ("early-data", "1")],
        &[("empty", ""), ("latin", "gr\u{fc}n")],
        &[("upgrade", "h2c")],
        &[("transfer-encoding", "chunked")],
        &[("content-length", "1"), ("content-length", "1")],
        &[("Upper", "x")],
    ];
    for case in cases {
        for ended in [true, false] {
            let fields = [&usual[..], case].concat();
            let h2 = rendered(&over_h2(&fields), Version::H2, ended);
            let h3 = rendered(&over_h3(&fields), Version::H3, ended);
            // Via has to name the version that was received (RFC 9110 §7.6.3).
            let h3 = h3.map(|head| replaced(&head, b"Via: 3.0 ", b"Via: 2.0 "));
            assert_eq!(h2, h3, "{case:?}");
        }
    }
    let get = rendered(&over_h3(&usual), Version::H3, true).unwrap();
    assert!(get.starts_with(b"POST /a/b?c=%20d HTTP/1.1\r\nHost: test:8443\r\n"));
}
