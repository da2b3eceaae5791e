//! HTTP/3: a field section as a client sends it, and one as it is sent to a client.

use std::hint::black_box;

use openclaw_core::message::{Fields, HeaderList, request};

use super::qpack::decode::Decoder;
use super::qpack::encode as qpack;
use crate::{h1, heads};

const MAX: usize = 64 * 1024;

pub(crate) fn request() -> Box<dyn FnMut()> {
    let mut section = Vec::new();
    qpack::begin(&mut section);
    for (name, value) in heads::LIST {
        qpack::field(&mut section, name.as_bytes(), value.as_bytes());
    }
    let mut decoder = Decoder::default();
    let mut list = HeaderList::default();
    Box::new(move || {
        list.clear();
        let decoded = decoder.decode(black_box(&section), MAX, &mut list);
        black_box(decoded.is_ok());
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
        qpack::begin(&mut out);
        qpack::status(&mut out, head.status);
        for field in head.fields {
            if !field.kind.is_hop_by_hop() {
                qpack::field(&mut out, field.name, field.value);
            }
        }
        qpack::content_length(&mut out, 18_244);
        black_box(out.len());
    })
}
