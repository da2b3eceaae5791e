//! What a connection needs from its worker and what it tells it.

use std::cell::RefCell;
use std::rc::Rc;

use super::code::Violation;

/// A QUIC connection, borrowed by whoever moves its packets and by us in turn, for a call at a time.
pub type Quic = Rc<RefCell<quinn_proto::Connection>>;

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
    /// The client to confirm what it was sent last: it was asked to go.
    Parting,
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
