//! A response head: as the endpoint sent it, and as it goes to the client.

use super::h1::{Asked, bad_response};
use super::request::parse_length;
use super::{Fault, Field, Kind};

/// A valid response head from an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// From 100 to 999 (RFC 9110 §15).
    pub status: u16,
    /// The reason phrase as received; it may be empty.
    pub phrase: &'a [u8],
    /// As received, in order.
    pub fields: &'a [Field<'a>],
    /// The whole head as received, in which fields lie.
    pub head: &'a [u8],
    /// Where its payload ends.
    pub body: ResponseBody,
    /// The endpoint's connection may carry another request after this one.
    pub keep_alive: bool,
}

/// How the payload of a response is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseBody {
    /// None follows (HEAD, 1xx, 204, 304); a length that was declared is passed on as information.
    None {
        /// What `Content-Length` says that there would be.
        declared: Option<u64>,
    },
    /// So many bytes.
    Length(u64),
    /// Chunked: the end is marked.
    Chunked,
    /// HTTP/1 without a length: the end is the end of the connection.
    UntilClose,
    /// 101: bytes in both directions until both sides have closed.
    Tunnel,
}

/// What a wire is asked to send: end-to-end fields only; the wire adds its own framing and connection fields.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// Final, or 1xx for what goes before.
    pub status: u16,
    /// Empty: the wire uses the standard phrase, or none.
    pub phrase: &'a [u8],
    /// In the order in which they are sent.
    pub fields: &'a [Field<'a>],
    /// The received HTTP/1 head that most fields lie in, so that a wire may copy lines as they are; else empty.
    pub source: &'a [u8],
    /// What follows, for the wire to frame.
    pub body: ResponseBody,
}

/// Makes a response of the fields of an HTTP/2 stream (RFC 9113 §8.3.2), whose names and values the reader has checked.
/// `ended`: no DATA follows.
///
/// # Errors
/// Always of reason `UpstreamBadResponse`.
pub fn of_stream<'a>(
    status: u16,
    fields: &'a [Field<'a>],
    asked: Asked,
    ended: bool,
) -> Result<Response<'a>, Fault> {
    if status < 100 || status == 101 {
        return Err(bad_response(
            "a status that HTTP/2 does not have (RFC 9113 §8.6)",
        ));
    }
    let mut length = None;
    for field in fields {
        if field.kind != Kind::ContentLength {
            continue;
        }
        let value = parse_length(field.value)
            .ok_or(bad_response("content-length is not a plain number"))?;
        if length.replace(value).is_some_and(|known| known != value) {
            return Err(bad_response("two different content-length fields"));
        }
    }
    let body = match length {
        _ if status < 200 || status == 204 => ResponseBody::None { declared: None },
        declared if asked.head || status == 304 => ResponseBody::None { declared },
        Some(1..) if ended => {
            return Err(bad_response(
                "content-length without a body (RFC 9113 §8.1.1)",
            ));
        }
        Some(length) => ResponseBody::Length(length),
        None if ended => ResponseBody::Length(0),
        None => ResponseBody::Chunked,
    };
    Ok(Response {
        status,
        phrase: b"",
        fields,
        head: b"",
        body,
        keep_alive: true,
    })
}
