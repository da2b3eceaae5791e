//! What a wire does for the streams of a connection.

use std::fmt::Debug;
use std::task::{Context, Poll};

use openclaw_core::message::{Fault, Field, Request, ResponseHead, Version};

use super::streams::Streams;
use crate::exchange::wire::WireError;

/// Why a response is cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) enum Failure {
    /// Nobody is to blame: the client has gone, or the endpoint has reset a tunnel, which is passed on as it came
    /// (RFC 8441 §5, RFC 9220 §3).
    Cancelled,
    Internal,
}

/// The state of one connection, shared by the task that owns its socket and by the wires of its streams.
pub(in crate::serve) trait Connection {
    const VERSION: Version;
    /// What a stream is known by, ascending in the order in which they were opened.
    type Id: Copy + Ord + Debug;
    /// What the wire keeps for a stream.
    type Own: Debug;

    fn streams(&mut self) -> &mut Streams<Self::Id, Self::Own>;

    /// A stream was cut because its client let us wait too long: that counts like a reset.
    fn blame(&mut self);

    /// A request is malformed: an error of its stream (RFC 9113 §8.1.1, RFC 9114 §4.1.2).
    fn refuse(&mut self, slot: u32, fault: Fault);

    /// An exchange begins with the request.
    fn begin(&mut self, slot: u32, request: Option<&Request<'_>>);

    /// Takes in payload that waits somewhere until it is wanted.
    fn pump(&mut self, slot: u32);

    /// The exchange has done with so much payload.
    fn consumed(&mut self, slot: u32, count: usize);

    /// Queues a response head, or an interim one.
    fn respond(&mut self, slot: u32, head: &ResponseHead<'_>, interim: bool);

    /// Takes some of a payload that is not empty and not longer than what was declared.
    fn poll_send(
        &mut self,
        slot: u32,
        cx: &Context<'_>,
        payload: &[u8],
    ) -> Poll<Result<usize, WireError>>;

    /// Queues the end of a response whose payload is whole.
    fn finish(&mut self, slot: u32, trailers: &[Field<'_>]);

    /// Ready unless so much is queued that nothing should be added.
    fn poll_flush(&mut self, slot: u32, cx: &Context<'_>) -> Poll<Result<(), WireError>>;

    /// Drops a response that is not whole and of which nothing has gone out; false: there is none.
    fn take_back(&mut self, slot: u32) -> bool;

    /// The stream was cut by its exchange: tells the client, unless it has all that there is.
    fn abort(&mut self, slot: u32, failure: Failure);

    /// The exchange has dropped its wire: the stream is over.
    fn release(&mut self, slot: u32);
}
