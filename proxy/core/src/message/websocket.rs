//! WebSocket over a stream of HTTP/2 or HTTP/3 (RFC 8441, RFC 9220), for endpoints that speak HTTP/1.1.
//!
//! An extended CONNECT becomes the Upgrade that it stands for. The challenge of RFC 6455 has no place on a stream, so
//! this hop draws the key and checks the endpoint's answer to it.

use super::h1::bad_response;
use super::{Fault, Field, Fields, Kind};

/// A value of `Sec-WebSocket-Key`: 16 octets in base64.
pub type Key = [u8; 24];

/// What RFC 6455 §1.3 has both sides append to the key.
const SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A key of these octets.
pub fn key(octets: u128) -> Key {
    let mut key = [0; 24];
    base64(&octets.to_be_bytes(), &mut key);
    key
}

/// The value of `Sec-WebSocket-Accept` that answers a key.
pub fn accept(key: &Key) -> [u8; 28] {
    let mut digest = sha1_smol::Sha1::new();
    digest.update(key);
    digest.update(SUFFIX);
    let mut accept = [0; 28];
    base64(&digest.digest().bytes(), &mut accept);
    accept
}

/// Whether a response lets the tunnel begin, or is any other final answer: for a client whose CONNECT it is, a status of
/// the 200s alone would be a tunnel as well (RFC 9110 §9.3.6).
///
/// # Errors
/// The endpoint agreed to something else than what it was asked for.
pub(super) fn check(status: u16, fields: &[Field<'_>], key: &Key) -> Result<(), Fault> {
    match status {
        101 => {}
        200..=299 => {
            return Err(bad_response(
                "the endpoint answered a WebSocket request with success and without switching to it",
            ));
        }
        _ => return Ok(()),
    }
    let only = |kind| {
        let mut values = fields.iter().filter(|field| field.kind == kind);
        values.next().filter(|_| values.next().is_none())
    };
    let switches =
        only(Kind::Upgrade).is_some_and(|field| field.value.eq_ignore_ascii_case(b"websocket"));
    let knows = only(Kind::WebSocketAccept).is_some_and(|field| field.value == accept(key));
    if switches && knows {
        Ok(())
    } else {
        Err(bad_response(
            "the endpoint switched protocols without accepting the WebSocket (RFC 6455 §4.2.2)",
        ))
    }
}

/// Takes out of an endpoint's 101 what has no place in the response to an extended CONNECT (RFC 8441 §5).
pub fn strip_answer(fields: &mut Fields<'_>) {
    fields.retain(|field| !matches!(field.kind, Kind::Upgrade | Kind::WebSocketAccept));
}

/// Writes `octets` into `out`, which is of the right length (RFC 4648 §4).
fn base64(octets: &[u8], out: &mut [u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (group, digits) in octets.chunks(3).zip(out.chunks_mut(4)) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for (index, digit) in digits.iter_mut().enumerate() {
            let six = (bits >> (18 - 6 * index)) as usize & 63;
            *digit = match ALPHABET.get(six) {
                Some(letter) if index <= group.len() => *letter,
                Some(_) | None => b'=',
            };
        }
    }
}
