//! HTTP/2 frames by hand, for what no client library sends.

use crate::support::RawClient;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

pub(super) const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What `ENHANCE_YOUR_CALM` is on the wire (RFC 9113, section 7).
pub(super) const ENHANCE_YOUR_CALM: u32 = 11;

pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// `GET / HTTP/2` for a.test: three of the static table and the authority as a literal (RFC 7541, Appendix A, section 6.2.2).
pub(super) fn get_block() -> Vec<u8> {
    [&[0x82, 0x87, 0x84, 0x01, 6][..], b"a.test"].concat()
}

/// A whole request.
pub(super) fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &get_block())
}

/// A request whose body is still to come.
pub(super) fn post(stream: u32) -> Vec<u8> {
    let mut block = get_block();
    block[0] = 0x83;
    frame(HEADERS, END_HEADERS, stream, &block)
}

pub(super) fn update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

/// One setting.
pub(super) fn settings(key: u16, value: u32) -> Vec<u8> {
    let entry = [&key.to_be_bytes()[..], &value.to_be_bytes()].concat();
    frame(SETTINGS, 0, 0, &entry)
}

/// The next frame.
pub(super) fn any(client: &mut RawClient) -> Frame {
    let head = client.read_exact(9);
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    let payload = client.read_exact(length as usize);
    Frame {
        kind: head[3],
        stream,
        payload,
    }
}

/// The next frame of a kind; others are passed over.
pub(super) fn next(client: &mut RawClient, kind: u8) -> Frame {
    loop {
        let frame = any(client);
        if frame.kind == kind {
            return frame;
        }
    }
}

/// The last stream and the code of the next GOAWAY.
pub(super) fn goaway(client: &mut RawClient) -> (u32, u32) {
    let payload = next(client, GOAWAY).payload;
    let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
    (number(0), number(4))
}
