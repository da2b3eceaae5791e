//! A response head: as the endpoint sent it, and as it goes to the client.

use super::Field;

/// A valid response head from an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    pub status: u16,
    pub phrase: &'a [u8],
    pub fields: &'a [Field<'a>],
    pub body: ResponseBody,
    /// The endpoint's connection may carry another request after this one.
    pub keep_alive: bool,
}

/// How the payload of a response is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseBody {
    /// None follows (HEAD, 1xx, 204, 304); a length that was declared is passed on as information.
    None {
        declared: Option<u64>,
    },
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
    pub status: u16,
    /// Empty: the wire uses the standard phrase, or none.
    pub phrase: &'a [u8],
    pub fields: &'a [Field<'a>],
    pub body: ResponseBody,
}
