//! WebSocket over a stream of HTTP/2 or HTTP/3 (RFC 8441, RFC 9220) on one side, and an Upgrade of HTTP/1.1 on the other.
//!
//! An extended CONNECT becomes the Upgrade that it stands for, and the reverse. The challenge of RFC 6455 has no place on a stream, so
//! this hop draws the key and checks the endpoint's answer to it.

use super::h1::bad_response;
use super::{Fault, Field, Fields, Kind, Request};

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
pub fn accept(key: &[u8]) -> [u8; 28] {
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

/// Whether the Upgrade of a request can be told as an extended CONNECT: a GET for one protocol; where that is a WebSocket,
/// this hop has to answer a challenge, so there must be one.
pub fn is_tunnel(request: &Request<'_>) -> bool {
    let protocol = request.known(Kind::Upgrade).unwrap_or_default();
    let is_token = !protocol.is_empty() && protocol.iter().all(|byte| is_token(*byte));
    let is_websocket = protocol.eq_ignore_ascii_case(b"websocket");
    let has_key = request.extended_connect || request.known(Kind::WebSocketKey).is_some();
    request.method == b"GET" && is_token && (!is_websocket || has_key)
}

/// RFC 9110 §5.6.2, and the slash of a version behind a name.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~/".contains(&byte)
}

/// Adds to an endpoint's success what makes a 101 of it (RFC 9110 §7.8); `accept` answers the client's own key.
pub fn put_answer<'a>(fields: &mut Fields<'a>, protocol: &'a [u8], accept: Option<&'a [u8]>) {
    fields.retain(|field| field.kind != Kind::ContentLength);
    let protocol = Field::new(b"Upgrade", protocol);
    let accept = accept.map(|accept| Field::new(b"Sec-WebSocket-Accept", accept));
    for field in std::iter::once(protocol).chain(accept) {
        // A list that is full to the last place is not an answer to a handshake; the client sees what is missing.
        let _ = fields.try_push(field);
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
