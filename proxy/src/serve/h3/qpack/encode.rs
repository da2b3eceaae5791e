//! Header lists to field sections: what the static table holds by index, everything else as raw literals.

use super::table::STATIC;
use crate::serve::compression::{self, integer};

/// Begins a section that refers to no dynamic table.
pub(in super::super) fn begin(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0]);
}

/// Appends `:status`.
pub(in super::super) fn status(out: &mut Vec<u8>, status: u16) {
    let index = match status {
        100 => 63,
        103 => 24,
        200 => 25,
        204 => 64,
        206 => 65,
        302 => 66,
        304 => 26,
        400 => 67,
        403 => 68,
        404 => 27,
        421 => 69,
        425 => 70,
        500 => 71,
        503 => 28,
        _ => {
            integer(out, 4, NAMED, 24);
            compression::value(out, &compression::digits(status));
            return;
        }
    };
    integer(out, 6, INDEXED, index);
}

/// Appends one field; the name may come in any case and leaves in lower case (RFC 9114 §4.2).
pub(in super::super) fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    if let Some((first, count)) = known(name) {
        let entries = STATIC.get(first..first + count).unwrap_or_default();
        if let Some(at) = entries.iter().position(|entry| entry.1 == value) {
            integer(out, 6, INDEXED, first + at);
            return;
        }
        integer(out, 4, NAMED, first);
    } else {
        compression::name(out, 3, 0x20, name);
    }
    compression::value(out, value);
}

/// Appends `content-length`.
pub(in super::super) fn content_length(out: &mut Vec<u8>, length: u64) {
    field(
        out,
        b"content-length",
        itoa::Buffer::new().format(length).as_bytes(),
    );
}

/// An entry of the static table.
const INDEXED: u8 = 0xc0;
/// A name of the static table, then a value.
const NAMED: u8 = 0x50;

/// Where the static table has a response field's name, and how many values with it.
pub(super) fn known(name: &[u8]) -> Option<(usize, usize)> {
    let mut buffer = [0u8; 32];
    let lower = buffer.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    Some(match &*lower {
        b"age" => (2, 1),
        b"date" => (6, 1),
        b"etag" => (7, 1),
        b"link" => (11, 1),
        b"vary" => (59, 2),
        b"server" => (92, 1),
        b"alt-svc" => (83, 1),
        b"location" => (12, 1),
        b"set-cookie" => (14, 1),
        b"content-type" => (44, 11),
        b"accept-ranges" => (32, 1),
        b"cache-control" => (36, 6),
        b"last-modified" => (10, 1),
        b"content-length" => (4, 1),
        b"x-frame-options" => (97, 2),
        b"content-encoding" => (42, 2),
        b"x-xss-protection" => (62, 1),
        b"content-disposition" => (3, 1),
        b"timing-allow-origin" => (93, 1),
        b"x-content-type-options" => (61, 1),
        b"content-security-policy" => (85, 1),
        b"strict-transport-security" => (56, 3),
        b"access-control-allow-origin" => (35, 1),
        b"access-control-allow-headers" => (33, 2),
        b"access-control-allow-methods" => (76, 3),
        b"access-control-expose-headers" => (79, 1),
        b"access-control-allow-credentials" => (73, 2),
        _ => return None,
    })
}
