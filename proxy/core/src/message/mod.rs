//! HTTP messages as views over bytes, and the one validator that every wire shares.
//!
//! An HTTP/1 head and an HTTP/2 header list become the same [`Request`], so the answer to an ambiguous message does not
//! depend on the wire it came by. Nothing here allocates: names and values stay where the wire put them.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a field name that means nothing at a place is the rule, not a case to list"
)]

pub mod authority;
pub mod body;
mod bytes;
pub mod chunked;
mod client;
pub mod field;
mod forwarded;
pub mod grpc;
pub mod h1;
mod line;
pub mod lines;
pub mod list;
pub mod location;
mod method;
pub mod path;
mod priority;
pub mod render;
pub mod request;
mod request_line;
pub mod response;
mod said;
#[cfg(test)]
mod tests;
pub mod via;
pub mod websocket;

use arrayvec::ArrayVec;

pub use client::{client, client_in};
pub use field::{Field, Kind};
pub use list::HeaderList;
pub use method::{Method, phrase};
pub use priority::Priority;
pub use request::Request;
pub use request_line::RequestLine;
pub use response::{Response, ResponseBody, ResponseHead};
pub use said::Said;

use crate::reason::Reason;

/// The most fields a head may have.
pub const MAX_FIELDS: usize = 100;

/// The fields of one head.
pub type Fields<'a> = ArrayVec<Field<'a>, MAX_FIELDS>;

/// The version of a message, which is that of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: no persistent connections without being asked, no chunks.
    H10,
    /// HTTP/1.1.
    H11,
    /// HTTP/2.
    H2,
    /// HTTP/3.
    H3,
}

/// How the payload of a request is delimited (RFC 9112 §6.3, RFC 9113 §8.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// No body.
    None,
    /// So many bytes, as `Content-Length` says.
    Length(u64),
    /// Chunked, or an h2 stream without `content-length`.
    Stream,
}

/// Why a message is refused: what the log says and how the client is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What the refusal is counted, logged and answered as.
    pub reason: Reason,
    /// The status for a request; faults of a response are always 502.
    pub status: u16,
    /// What is wrong, for the log.
    pub detail: &'static str,
}

impl Fault {
    /// Breaks the grammar.
    pub const fn malformed(detail: &'static str) -> Self {
        Self {
            reason: Reason::Malformed,
            status: 400,
            detail,
        }
    }

    /// Framing that two parsers could read differently.
    pub const fn smuggling(detail: &'static str) -> Self {
        Self {
            reason: Reason::Smuggling,
            status: 400,
            detail,
        }
    }

    /// The head is larger than its limit.
    pub const fn header_too_large(detail: &'static str) -> Self {
        Self {
            reason: Reason::HeaderTooLarge,
            status: 431,
            detail,
        }
    }
}
