//! Requests put together, and responses taken apart.

use openclaw_core::message::HeaderList;

use crate::serve::compression::integer;
use crate::serve::h3::frame::{self, Frames, Piece};
use crate::serve::h3::qpack::{Decoder, encode};

/// A response, taken apart.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub sections: Vec<Vec<(String, String)>>,
    pub payload: Vec<u8>,
    /// Types of frames in order.
    pub kinds: Vec<u64>,
}

impl Answer {
    /// Only frames that we send: sections, and payload.
    pub(super) fn of(mut octets: &[u8]) -> Self {
        let mut answer = Self::default();
        let mut frames = Frames::default();
        let mut section = Vec::new();
        while let Some(piece) = frames.next(&mut octets) {
            let kind = answer.kinds.last().copied();
            match piece {
                Piece::Head { kind, .. } => answer.kinds.push(kind),
                Piece::Payload { octets, .. } if kind == Some(frame::DATA) => {
                    answer.payload.extend_from_slice(octets);
                }
                Piece::Payload { octets, is_last } => {
                    section.extend_from_slice(octets);
                    if is_last {
                        answer.sections.push(fields(&std::mem::take(&mut section)));
                    }
                }
            }
        }
        answer
    }

    pub(super) fn status(&self) -> &str {
        &self.sections[0][0].1
    }
}

fn fields(section: &[u8]) -> Vec<(String, String)> {
    let mut list = HeaderList::default();
    let decoded = Decoder::default().decode(section, usize::MAX, &mut list);
    assert!(decoded.is_ok());
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
    list.iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

/// A field section.
pub(super) fn section(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    encode::begin(&mut out);
    for (name, value) in fields {
        // Names as they are, also those that are wrong.
        integer(&mut out, 3, 0x20, name.len());
        out.extend_from_slice(name.as_bytes());
        integer(&mut out, 7, 0, value.len());
        out.extend_from_slice(value.as_bytes());
    }
    out
}

/// A frame.
pub(super) fn f(kind: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::head(&mut out, kind, payload.len() as u64);
    out.extend_from_slice(payload);
    out
}

/// The HEADERS frame of a request, with more fields.
pub(super) fn request(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let usual = [
        (":method", method),
        (":scheme", "https"),
        (":path", path),
        (":authority", "test"),
    ];
    f(frame::HEADERS, &section(&[&usual[..], more].concat()))
}
