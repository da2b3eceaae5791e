//! The client of an exchange that has none.

use std::task::{Context, Poll};

use openclaw_core::caching::Status;
use openclaw_core::message::{Field, Response, ResponseHead};
use openclaw_core::reason::Reason;

use crate::exchange::wire::{BodyPart, Wire, WireError};

/// Sends no body, and takes whatever comes.
pub(super) struct Nobody;

impl Wire for Nobody {
    fn poll_body(&mut self, _cx: &mut Context<'_>) -> Poll<Result<BodyPart, WireError>> {
        Poll::Ready(Ok(BodyPart::End))
    }

    fn poll_gone(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn body(&self) -> &[u8] {
        &[]
    }

    fn consume(&mut self, _count: usize) {}

    fn trailers(&self) -> &[u8] {
        &[]
    }

    fn inform(&mut self, _head: &ResponseHead<'_>) {}

    fn consider(&mut self, _response: &Response<'_>) -> Option<Status> {
        None
    }

    fn respond(&mut self, _head: &ResponseHead<'_>) {}

    fn poll_send(
        &mut self,
        _cx: &mut Context<'_>,
        payload: &[u8],
    ) -> Poll<Result<usize, WireError>> {
        Poll::Ready(Ok(payload.len()))
    }

    fn finish(&mut self, _trailers: &[Field<'_>]) {}

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        Poll::Ready(Ok(()))
    }

    fn abort(&mut self, _reason: Reason) {}

    fn can_respond(&self) -> bool {
        false
    }
}
