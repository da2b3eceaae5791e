//! What HTTP/2 and HTTP/3 have in common: many requests at one time, each with its response on a stream of its own.
//!
//! A wire keeps the state of a connection and implements [`Connection`]. Here is what is done with it, whatever the
//! frames look like: [`Streams`] finds a connection's streams, [`Running`] begins the exchange of each request and polls
//! it, and [`wire::StreamWire`] is what that exchange reads from and answers to.

mod budget;
mod connection;
mod exchanges;
mod priorities;
mod running;
pub(super) mod spare;
mod stream;
mod streams;
mod wire;

pub(super) use budget::{Budget, FORGIVE, Spent};
#[cfg(test)]
pub(super) use budget::{MAX_GLITCHES, MAX_RESETS};
pub(super) use connection::{Connection, Failure};
pub(super) use exchanges::Requests;
pub use exchanges::{Exchanges, Limits};
pub(super) use priorities::{Priorities, of_response};
pub(super) use running::Running;
pub(super) use stream::{Cut, Response, Stream};
pub(super) use streams::{Arrival, Streams};

use openclaw_core::message::Fault;

pub(super) const WRONG_LENGTH: Fault = Fault::smuggling(
    "content-length differs from the length of the body (RFC 9113 §8.1.1, RFC 9114 §4.1.2)",
);

/// Fields that make a GET without a body malformed (RFC 9113 §8.1.1, RFC 9114 §4.1.2).
#[cfg(test)]
pub(super) const MALFORMED: [(&str, &str); 10] = [
    ("Upper", "x"),
    ("connection", "close"),
    ("transfer-encoding", "chunked"),
    ("te", "gzip"),
    ("a", "b\r\nc: d"),
    ("a", " b"),
    (":path", "/twice"),
    (":status", "200"),
    ("content-length", "5"),
    ("host", "other"),
];
