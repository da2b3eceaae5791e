//! What a connection needs from its worker and what it tells it.

use std::cell::RefCell;
use std::rc::Rc;

use openclaw_core::message::{Fault, Request};

use super::code::Violation;
use super::wire::StreamWire;

/// A QUIC connection, borrowed by whoever moves its packets and by us in turn, for a call at a time.
pub type Quic = Rc<RefCell<quinn_proto::Connection>>;

/// What a listener allows an HTTP/3 client.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The decoded size of a header list.
    pub max_header: usize,
    /// Streams at one time, as the transport parameters say it, too.
    pub max_streams: usize,
}

impl Limits {
    /// The usual number of streams.
    pub const fn new(max_header: usize) -> Self {
        Self {
            max_header,
            max_streams: 128,
        }
    }
}

/// Makes exchanges of the requests of one connection.
pub trait Exchanges {
    /// Runs until the response is finished. After the client is gone it is polled once more and then dropped.
    type Exchange: Future<Output = ()>;

    /// Begins with a request, or with the answer to one that is refused.
    fn start(&self, request: Result<&Request<'_>, Fault>, wire: StreamWire) -> Self::Exchange;

    /// A malformed request was answered with a reset of its stream (RFC 9114 §4.1.2).
    fn refused(&self, fault: Fault);
}

/// What the connection waits for that only a clock can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// Nothing: exchanges run, and they have deadlines of their own.
    None,
    /// The rest of a request's head.
    Head,
    /// The next request.
    Idle,
    /// The client to take what was sent.
    Stalled,
    /// Requests that the client sent before it could know that it should go.
    Draining,
}

/// A wait; one that differs from the last in either part has only just begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    pub pending: Pending,
    pub mark: u64,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// After a drain.
    Closed,
    /// The worker's clock ended this wait.
    Expired(Pending),
    /// The client broke the protocol or spent its budget; see [`Violation::reason`].
    Violation(Violation),
}
