//! Taking payload out of an HTTP/1 byte stream, whatever delimits it (RFC 9112 §6.3, §7.1).

use super::chunked::Chunked;
use super::{Fault, Framing, ResponseBody};

/// How the rest of one body is read.
#[derive(Debug)]
pub enum Decoder {
    /// Bytes of payload still to come.
    Length(u64),
    /// Boxed: most messages have none, and idle connections should stay small.
    Chunked(Box<Chunked>),
    /// All that comes until the connection ends.
    UntilClose,
}

/// What one call of [`Decoder::decode`] found at the start of the buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// The payload now lies at the start of the buffer, this long.
    pub payload: usize,
    /// How many raw bytes it came from: they are used up once the payload is.
    pub consumed: usize,
    /// The body is complete.
    pub done: bool,
}

impl Decoder {
    /// A decoder at the start of a request body.
    pub fn for_request(framing: Framing) -> Self {
        match framing {
            Framing::None => Self::Length(0),
            Framing::Length(length) => Self::Length(length),
            Framing::Stream => Self::Chunked(Box::default()),
        }
    }

    /// A decoder at the start of a response body.
    pub fn for_response(body: ResponseBody) -> Self {
        match body {
            ResponseBody::None { .. } => Self::Length(0),
            ResponseBody::Length(length) => Self::Length(length),
            ResponseBody::Chunked => Self::Chunked(Box::default()),
            ResponseBody::UntilClose | ResponseBody::Tunnel => Self::UntilClose,
        }
    }

    /// How much is still to come, where it comes without any coding and its length is known.
    pub fn bare_left(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }

    /// Notes that `count` bytes of what is left have gone another way.
    pub fn skip(&mut self, count: u64) {
        if let Self::Length(left) = self {
            *left = left.saturating_sub(count);
        }
    }

    /// Decodes as much of `raw` as it can; payload of several chunks is moved together at the front.
    ///
    /// # Errors
    /// The coding is broken.
    pub fn decode(&mut self, raw: &mut [u8]) -> Result<Decoded, Fault> {
        match self {
            Self::Length(left) => {
                let payload = (*left).min(raw.len() as u64);
                *left -= payload;
                let payload = payload as usize;
                Ok(Decoded {
                    payload,
                    consumed: payload,
                    done: *left == 0,
                })
            }
            Self::Chunked(chunked) => chunked.decode(raw),
            Self::UntilClose => Ok(Decoded {
                payload: raw.len(),
                consumed: raw.len(),
                done: false,
            }),
        }
    }

    /// Whether nothing more belongs to this body.
    pub fn is_done(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_done(),
            Self::UntilClose => false,
        }
    }

    /// Whether the end of the connection is a legal end of the body.
    pub fn may_end_at_close(&self) -> bool {
        matches!(self, Self::UntilClose)
    }

    /// Trailer lines, checked, `name: value\r\n` each.
    pub fn trailers(&self) -> &[u8] {
        match self {
            Self::Chunked(chunked) => chunked.trailers(),
            Self::Length(_) | Self::UntilClose => &[],
        }
    }
}
