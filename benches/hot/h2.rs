//! HTTP/2 header blocks: read, and written.

use std::hint::black_box;

use openclaw_core::message::{Fields, HeaderList, request};

use crate::hpack::decode::Decoder;
use crate::hpack::encode as hpack;
use crate::{h1, heads};

pub(crate) fn request() -> Box<dyn FnMut()> {
    // Literals that enter no table, so that each turn is like the first.
    let mut block = Vec::new();
    for (name, value) in heads::LIST {
        hpack::field(&mut block, name.as_bytes(), value.as_bytes());
    }
    let mut decoder = Decoder::new();
    let mut list = HeaderList::default();
    Box::new(move || {
        list.clear();
        let decoded = decoder.decode(black_box(&block), 64 * 1024, &mut list);
        let _ = black_box(decoded.unwrap());
        let mut fields = Fields::new();
        let request = request::from_list(&list, true, &mut fields);
        black_box(request.unwrap().target);
    })
}

pub(crate) fn encode() -> Box<dyn FnMut()> {
    let head = h1::head();
    let mut out = Vec::with_capacity(4096);
    Box::new(move || {
        out.clear();
        let head = black_box(&head);
        hpack::status(&mut out, head.status);
        for field in head.fields {
            if !field.kind.is_hop_by_hop() {
                hpack::field(&mut out, field.name, field.value);
            }
        }
        hpack::content_length(&mut out, 18_244);
        black_box(out.len());
    })
}
