//! HTTP/2: a header list that has been decoded, and a header block.

use std::hint::black_box;

use openclaw_core::message::{Fields, HeaderList, request};

use super::hpack::encode as hpack;
use crate::{h1, heads};

pub(crate) fn request() -> Box<dyn FnMut()> {
    let mut list = HeaderList::default();
    for (name, value) in heads::LIST {
        list.push(name.as_bytes(), value.as_bytes());
    }
    Box::new(move || {
        let mut fields = Fields::new();
        let request = request::from_list(black_box(&list), true, &mut fields);
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
