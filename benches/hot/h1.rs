//! HTTP/1 heads: read, and written anew.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use openclaw_core::config::{Forwarded, HeaderEdit};
use openclaw_core::message::h1::{Asked, parse_request, parse_response};
use openclaw_core::message::render::{self, Hop};
use openclaw_core::message::{Fields, ResponseHead, Version};

use self::encoder::{ResponseTerms, final_head};
use crate::heads;

#[path = "../../proxy/src/serve/h1/encode.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "a part of the program, of which one function is asked"
)]
mod encoder;

const MAX: usize = 64 * 1024;

pub(crate) fn request() -> Box<dyn FnMut()> {
    Box::new(|| {
        let mut fields = Fields::new();
        let parsed = parse_request(black_box(heads::REQUEST), MAX, &mut fields);
        black_box(parsed.unwrap().unwrap().1);
    })
}

pub(crate) fn render() -> Box<dyn FnMut()> {
    let fields: &'static mut Fields<'static> = Box::leak(Box::default());
    let (request, _) = parse_request(heads::REQUEST, MAX, fields).unwrap().unwrap();
    let client = IpAddr::from(Ipv4Addr::new(198, 51, 100, 7));
    let hop = Hop {
        peer: "198.51.100.7",
        trusted: false,
        cdns: &[],
        by_cdn: false,
        forwarded: Forwarded::X,
        client,
        scheme: "https",
        local: SocketAddr::from(([192, 0, 2, 1], 443)),
        request_id: "0af7651916cd43dd8448eb211c80319c",
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01",
        target: request.target,
        websocket_key: None,
        early: false,
        edits: Box::leak(Box::<HeaderEdit>::default()),
    };
    let mut out = Vec::with_capacity(4096);
    Box::new(move || {
        out.clear();
        render::request_head(&mut out, black_box(&request), black_box(&hop));
        black_box(out.len());
    })
}

pub(crate) fn response() -> Box<dyn FnMut()> {
    let edits = HeaderEdit::default();
    Box::new(move || {
        let mut fields = Fields::new();
        let bytes = black_box(heads::RESPONSE);
        let parsed = parse_response(bytes, MAX, Asked::default(), &mut fields);
        let (response, _) = parsed.unwrap().unwrap();
        let mut kept = Fields::new();
        render::response_fields(response.fields, black_box(&edits), false, &mut kept);
        black_box(kept.len());
    })
}

/// The head as it goes to the wires.
pub(crate) fn head() -> ResponseHead<'static> {
    let fields: &'static mut Fields<'static> = Box::leak(Box::default());
    let parsed = parse_response(heads::RESPONSE, MAX, Asked::default(), fields);
    let (response, _) = parsed.unwrap().unwrap();
    let kept: &'static mut Fields<'static> = Box::leak(Box::default());
    let edits = Box::leak(Box::<HeaderEdit>::default());
    render::response_fields(response.fields, edits, false, kept);
    ResponseHead {
        status: response.status,
        phrase: response.phrase,
        fields: kept,
        source: response.head,
        body: response.body,
    }
}

pub(crate) fn encode() -> Box<dyn FnMut()> {
    let head = head();
    let mut out = Vec::with_capacity(4096);
    Box::new(move || {
        out.clear();
        let terms = ResponseTerms {
            version: Version::H11,
            keep_alive: true,
        };
        black_box(final_head(&mut out, black_box(&head), terms));
        black_box(out.len());
    })
}
