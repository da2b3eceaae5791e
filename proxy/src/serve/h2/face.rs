//! What a connection needs from its worker and what it tells it.

use std::io;
use std::task::{Context, Poll};

use super::frame::Violation;

/// A client's connection, plain or TLS.
pub trait Socket {
    /// Appends what there is to the free room of `buffer`; 0 is the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>>;

    /// Takes some of `bytes`, at least one.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Pushes out what `poll_write` took and holds back.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends our direction.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// What the connection waits for that only a clock can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// Nothing: exchanges run, and they have deadlines of their own. When it takes long the client is sent a PING.
    None,
    /// A sign of life of a client that was sent a PING.
    Pong,
    /// The client's preface and SETTINGS.
    Preface,
    /// The rest of a header block.
    HeaderBlock,
    /// The next request.
    Idle,
    /// The client to take what was sent.
    Stalled,
    /// The client to close after our last frame.
    Closing,
}

/// A wait; one that differs from the last in either part has only just begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    pub pending: Pending,
    pub mark: u64,
}

/// How a connection ended.
#[derive(Debug)]
pub enum End {
    /// The client closed it.
    Gone,
    /// We closed it after a drain, or after the client's GOAWAY.
    Closed,
    /// The worker's clock ended this wait.
    Expired(Pending),
    /// The client broke the protocol or spent its budget; see [`Violation::reason`].
    Violation(Violation),
    Socket(io::Error),
}
