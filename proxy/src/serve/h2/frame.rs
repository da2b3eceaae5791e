//! Frames (RFC 9113 §4, §6): octets to a [`Frame`] and back. Knows lengths, flags and padding, and nothing of streams.

use openclaw_core::reason::Reason;

/// What a client sends before its first frame (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Octets before each payload.
pub(super) const HEAD: usize = 9;

/// The largest payload that we take, and the largest that every peer takes: `SETTINGS_MAX_FRAME_SIZE` as it is unless
/// someone announces another.
pub(super) const MAX_PAYLOAD: usize = 16384;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
/// RFC 9218 §7.1.
pub(super) const PRIORITY_UPDATE: u8 = 16;

pub(super) const END_STREAM: u8 = 0x1;
pub(super) const ACK: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;
pub(super) const WITH_PRIORITY: u8 = 0x20;

/// Error codes (RFC 9113 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Code {
    NoError = 0,
    Protocol = 1,
    Internal = 2,
    FlowControl = 3,
    StreamClosed = 5,
    FrameSize = 6,
    RefusedStream = 7,
    Cancel = 8,
    Compression = 9,
    EnhanceYourCalm = 11,
}

/// A breach that ends the connection (RFC 9113 §5.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    pub code: Code,
    /// What was wrong, for the log.
    pub detail: &'static str,
}

impl Violation {
    pub(super) const fn protocol(detail: &'static str) -> Self {
        Self {
            code: Code::Protocol,
            detail,
        }
    }

    /// The code for logs and metrics.
    pub fn reason(self) -> Reason {
        if self.code == Code::EnhanceYourCalm {
            Reason::H2Abuse
        } else {
            Reason::Malformed
        }
    }

    const fn size(detail: &'static str) -> Self {
        Self {
            code: Code::FrameSize,
            detail,
        }
    }
}

/// One frame as it lies in the input, padding removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    Data {
        stream: u32,
        payload: &'a [u8],
        /// What flow control counts beside the payload.
        padding: usize,
        ends: bool,
    },
    Headers {
        stream: u32,
        fragment: &'a [u8],
        ends_stream: bool,
        ends_block: bool,
    },
    Continuation {
        stream: u32,
        fragment: &'a [u8],
        ends_block: bool,
    },
    /// Checked and otherwise ignored (RFC 9113 §5.3.2).
    Priority,
    Reset {
        stream: u32,
    },
    Settings {
        entries: &'a [u8],
    },
    SettingsAck,
    Ping {
        opaque: [u8; 8],
        ack: bool,
    },
    GoAway,
    WindowUpdate {
        stream: u32,
        increment: u32,
    },
    /// How urgent the response of `stream` is.
    PriorityUpdate {
        stream: u32,
        value: &'a [u8],
    },
    /// Of a type we do not know (RFC 9113 §5.5).
    Unknown,
}

/// Takes the first frame off the input and says how long it was; `None`: it is not there whole.
pub(super) fn parse(input: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Violation> {
    let Some((&[a, b, c, kind, flags, s0, s1, s2, s3], rest)) = input.split_first_chunk::<HEAD>()
    else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    if length > MAX_PAYLOAD {
        return Err(Violation::size("a frame larger than 16384 octets"));
    }
    let Some(payload) = rest.get(..length) else {
        return Ok(None);
    };
    let stream = u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff;
    check_stream(kind, stream)?;
    let frame = match kind {
        DATA => {
            let kept = unpad(flags, payload)?;
            Frame::Data {
                stream,
                payload: kept,
                padding: length - kept.len(),
                ends: flags & END_STREAM != 0,
            }
        }
        HEADERS => Frame::Headers {
            stream,
            fragment: without_priority(flags, stream, unpad(flags, payload)?)?,
            ends_stream: flags & END_STREAM != 0,
            ends_block: flags & END_HEADERS != 0,
        },
        CONTINUATION => Frame::Continuation {
            stream,
            fragment: payload,
            ends_block: flags & END_HEADERS != 0,
        },
        PRIORITY if length != 5 => {
            return Err(Violation::size("PRIORITY of other than 5 octets"));
        }
        PRIORITY => {
            without_priority(WITH_PRIORITY, stream, payload)?;
            Frame::Priority
        }
        RST_STREAM if length != 4 => {
            return Err(Violation::size("RST_STREAM of other than 4 octets"));
        }
        RST_STREAM => Frame::Reset { stream },
        SETTINGS => settings(flags, payload)?,
        PUSH_PROMISE => return Err(Violation::protocol("PUSH_PROMISE from a client")),
        PING => Frame::Ping {
            opaque: *payload
                .as_array()
                .ok_or(Violation::size("PING of other than 8 octets"))?,
            ack: flags & ACK != 0,
        },
        GOAWAY if length < 8 => return Err(Violation::size("GOAWAY of less than 8 octets")),
        GOAWAY => Frame::GoAway,
        WINDOW_UPDATE => {
            let octets = payload
                .as_array()
                .ok_or(Violation::size("WINDOW_UPDATE of other than 4 octets"))?;
            Frame::WindowUpdate {
                stream,
                increment: u32::from_be_bytes(*octets) & 0x7fff_ffff,
            }
        }
        PRIORITY_UPDATE => priority_update(payload)?,
        _ => Frame::Unknown,
    };
    Ok(Some((frame, HEAD + length)))
}

/// Whether the input begins with a part of a frame that belongs to a header block.
pub(super) fn begins_block(input: &[u8]) -> bool {
    matches!(input.get(3), Some(&(HEADERS | CONTINUATION)))
}

/// Which frames belong to a stream and which to the connection.
fn check_stream(kind: u8, stream: u32) -> Result<(), Violation> {
    match kind {
        DATA | HEADERS | PRIORITY | RST_STREAM | CONTINUATION if stream == 0 => {
            Err(Violation::protocol("a frame of a stream on stream 0"))
        }
        SETTINGS | PING | GOAWAY | PRIORITY_UPDATE if stream != 0 => {
            Err(Violation::protocol("a frame of the connection on a stream"))
        }
        _ => Ok(()),
    }
}

fn unpad(flags: u8, payload: &[u8]) -> Result<&[u8], Violation> {
    if flags & PADDED == 0 {
        return Ok(payload);
    }
    let (padding, rest) = payload.split_first().ok_or(Violation::size(
        "a padded frame without its length of padding",
    ))?;
    rest.len()
        .checked_sub(usize::from(*padding))
        .and_then(|kept| rest.get(..kept))
        .ok_or(Violation::protocol("more padding than payload"))
}

/// Cuts the priority fields off. A stream that depends on itself is an error of the stream (RFC 7540 §5.3.1), which
/// may be treated as one of the connection.
fn without_priority(flags: u8, stream: u32, payload: &[u8]) -> Result<&[u8], Violation> {
    if flags & WITH_PRIORITY == 0 {
        return Ok(payload);
    }
    let (&[a, b, c, d, _weight], rest) = payload
        .split_first_chunk::<5>()
        .ok_or(Violation::size("HEADERS too short for its priority"))?;
    if u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff == stream {
        return Err(Violation::protocol("a stream that depends on itself"));
    }
    Ok(rest)
}

fn settings(flags: u8, payload: &[u8]) -> Result<Frame<'_>, Violation> {
    let ack = flags & ACK != 0;
    if ack && !payload.is_empty() || !payload.len().is_multiple_of(6) {
        return Err(Violation::size("SETTINGS of a wrong length"));
    }
    Ok(if ack {
        Frame::SettingsAck
    } else {
        Frame::Settings { entries: payload }
    })
}

fn priority_update(payload: &[u8]) -> Result<Frame<'_>, Violation> {
    let (octets, value) = payload
        .split_first_chunk::<4>()
        .ok_or(Violation::size("PRIORITY_UPDATE of less than 4 octets"))?;
    Ok(Frame::PriorityUpdate {
        stream: u32::from_be_bytes(*octets) & 0x7fff_ffff,
        value,
    })
}

/// The nine octets before a payload.
#[inline]
pub(super) fn head(length: usize, kind: u8, flags: u8, stream: u32) -> [u8; HEAD] {
    let [_, a, b, c] = (length as u32).to_be_bytes();
    let [s0, s1, s2, s3] = stream.to_be_bytes();
    [a, b, c, kind, flags, s0, s1, s2, s3]
}

/// Appends a DATA frame.
#[inline]
pub(super) fn data(out: &mut Vec<u8>, stream: u32, payload: &[u8], ends: bool) {
    out.extend_from_slice(&head(payload.len(), DATA, u8::from(ends), stream));
    out.extend_from_slice(payload);
}

/// Appends a header block that `encode` writes, cut into CONTINUATION frames if it is too long for one.
#[inline]
pub(super) fn headers(
    out: &mut Vec<u8>,
    stream: u32,
    ends: bool,
    encode: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    encode(out);
    let length = out.len() - start - HEAD;
    if length <= MAX_PAYLOAD {
        let head = head(length, HEADERS, u8::from(ends) | END_HEADERS, stream);
        if let Some(slot) = out.get_mut(start..start + HEAD) {
            slot.copy_from_slice(&head);
        }
        return;
    }
    let block = out.split_off(start + HEAD);
    out.truncate(start);
    let mut rest = &*block;
    let (mut kind, mut flags) = (HEADERS, u8::from(ends));
    while let Some((fragment, tail)) = rest.split_at_checked(MAX_PAYLOAD) {
        out.extend_from_slice(&head(fragment.len(), kind, flags, stream));
        out.extend_from_slice(fragment);
        (kind, flags, rest) = (CONTINUATION, 0, tail);
    }
    out.extend_from_slice(&head(rest.len(), kind, flags | END_HEADERS, stream));
    out.extend_from_slice(rest);
}

/// Appends a `RST_STREAM` frame.
pub(super) fn reset(out: &mut Vec<u8>, stream: u32, code: Code) {
    out.extend_from_slice(&head(4, RST_STREAM, 0, stream));
    out.extend_from_slice(&(code as u32).to_be_bytes());
}

/// Appends a `WINDOW_UPDATE` frame; stream 0 is the connection.
pub(super) fn window_update(out: &mut Vec<u8>, stream: u32, increment: u32) {
    out.extend_from_slice(&head(4, WINDOW_UPDATE, 0, stream));
    out.extend_from_slice(&increment.to_be_bytes());
}

/// Appends a GOAWAY frame without debug data.
pub(super) fn goaway(out: &mut Vec<u8>, last: u32, code: Code) {
    out.extend_from_slice(&head(8, GOAWAY, 0, 0));
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&(code as u32).to_be_bytes());
}

/// Appends a PING frame.
pub(super) fn ping(out: &mut Vec<u8>, opaque: [u8; 8], ack: bool) {
    out.extend_from_slice(&head(8, PING, u8::from(ack), 0));
    out.extend_from_slice(&opaque);
}

/// Appends a SETTINGS frame.
pub(super) fn settings_frame(out: &mut Vec<u8>, entries: &[(u16, u32)]) {
    out.extend_from_slice(&head(6 * entries.len(), SETTINGS, 0, 0));
    for (key, value) in entries {
        out.extend_from_slice(&key.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Appends the acknowledgement of the peer's SETTINGS.
pub(super) fn settings_ack(out: &mut Vec<u8>) {
    out.extend_from_slice(&head(0, SETTINGS, ACK, 0));
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
