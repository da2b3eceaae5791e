//! A response head: as the endpoint sent it, and as it goes to the client.

use super::Field;

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
