//! A stream as the [`Wire`] of an exchange.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll};

use openclaw_core::caching::Status;
use openclaw_core::message::{self, Field, ResponseHead};
use openclaw_core::reason::Reason;

use super::connection::{Connection, Failure};
use super::stream::{Cut, Response};
use crate::exchange::wire::{BodyPart, Wire, WireError};

/// No stream has this slot.
const NONE: u32 = u32::MAX;

/// One stream's way to its client. Dropping it ends the stream: with a reset if the response was not finished, and by
/// telling the client to stop if it still sends a request that nobody reads.
#[derive(Debug)]
pub(in crate::serve) struct StreamWire<C: Connection> {
    connection: Rc<RefCell<C>>,
    slot: u32,
    /// Payload taken over from the stream, the first `consumed` octets of it done with.
    body: Vec<u8>,
    consumed: usize,
    trailers: Vec<u8>,
}

impl<C: Connection> StreamWire<C> {
    pub(in crate::serve) fn new(connection: Rc<RefCell<C>>, slot: u32) -> Self {
        Self {
            connection,
            slot,
            body: Vec::new(),
            consumed: 0,
            trailers: Vec::new(),
        }
    }

    /// Makes sure that `body` has payload that was not consumed, or says that there is none left.
    fn poll_fill(&mut self, cx: &Context<'_>) -> Poll<Result<bool, WireError>> {
        let mut connection = self.connection.borrow_mut();
        let stream = connection.streams().at(self.slot);
        let stream = stream.ok_or(WireError::Gone)?;
        stream.check()?;
        if self.consumed < self.body.len() {
            return Poll::Ready(Ok(true));
        }
        if stream.body.is_empty() && !stream.request_ended {
            connection.pump(self.slot);
        }
        let stream = connection.streams().at(self.slot);
        let stream = stream.ok_or(WireError::Gone)?;
        stream.check()?;
        if !stream.body.is_empty() {
            self.body.clear();
            self.consumed = 0;
            std::mem::swap(&mut self.body, &mut stream.body);
            return Poll::Ready(Ok(true));
        }
        if stream.request_ended {
            self.trailers.append(&mut stream.trailers);
            return Poll::Ready(Ok(false));
        }
        stream.register(cx);
        Poll::Pending
    }
}

fn abort<C: Connection>(connection: &mut C, slot: u32, reason: Reason) {
    let Some(stream) = connection.streams().live(slot) else {
        return;
    };
    stream.cut = Cut::Aborted;
    let failure = if reason == Reason::ClientAborted || stream.is_tunnel {
        Failure::Cancelled
    } else {
        Failure::Internal
    };
    connection.abort(slot, failure);
    if reason == Reason::Timeout {
        connection.blame();
    }
}

impl<C: Connection> Wire for StreamWire<C> {
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<BodyPart, WireError>> {
        let filled = std::task::ready!(self.poll_fill(cx))?;
        Poll::Ready(Ok(if filled {
            BodyPart::Data
        } else {
            BodyPart::End
        }))
    }

    fn body(&self) -> &[u8] {
        self.body.get(self.consumed..).unwrap_or_default()
    }

    fn consume(&mut self, count: usize) {
        self.consumed += count;
        self.connection.borrow_mut().consumed(self.slot, count);
    }

    fn trailers(&self) -> &[u8] {
        &self.trailers
    }

    fn inform(&mut self, head: &ResponseHead<'_>) {
        self.connection.borrow_mut().respond(self.slot, head, true);
    }

    fn consider(&mut self, _response: &message::Response<'_>) -> Option<Status> {
        None
    }

    fn respond(&mut self, head: &ResponseHead<'_>) {
        self.connection.borrow_mut().respond(self.slot, head, false);
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        payload: &[u8],
    ) -> Poll<Result<usize, WireError>> {
        let mut connection = self.connection.borrow_mut();
        let stream = connection.streams().live(self.slot);
        let stream = stream.ok_or(WireError::Gone)?;
        if payload.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let Response::Streaming(left) = stream.response else {
            return Poll::Ready(Err(WireError::Gone));
        };
        if left.is_some_and(|left| left < payload.len() as u64) {
            // More than was declared: the client must not take it for a whole response.
            abort(&mut *connection, self.slot, Reason::UpstreamBadResponse);
            return Poll::Ready(Err(WireError::Gone));
        }
        connection.poll_send(self.slot, cx, payload)
    }

    fn finish(&mut self, trailers: &[Field<'_>]) {
        let mut connection = self.connection.borrow_mut();
        let Some(stream) = connection.streams().live(self.slot) else {
            return;
        };
        match stream.response {
            Response::Ended => {}
            Response::Awaited | Response::Streaming(Some(1..)) => {
                abort(&mut *connection, self.slot, Reason::UpstreamReset);
            }
            Response::Streaming(_) => {
                stream.response = Response::Ended;
                connection.finish(self.slot, trailers);
            }
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        let mut connection = self.connection.borrow_mut();
        if connection.streams().live(self.slot).is_none() {
            return Poll::Ready(Err(WireError::Gone));
        }
        connection.poll_flush(self.slot, cx)
    }

    fn abort(&mut self, reason: Reason) {
        abort(&mut *self.connection.borrow_mut(), self.slot, reason);
    }

    fn leave(&mut self) {
        self.connection.borrow_mut().release(self.slot);
        self.slot = NONE;
    }

    fn can_respond(&self) -> bool {
        let mut connection = self.connection.borrow_mut();
        let stream = connection.streams().live(self.slot);
        stream.is_some_and(|stream| stream.response == Response::Awaited)
    }

    fn take_back(&mut self) -> bool {
        self.connection.borrow_mut().take_back(self.slot)
    }
}

impl<C: Connection> Drop for StreamWire<C> {
    fn drop(&mut self) {
        self.connection.borrow_mut().release(self.slot);
    }
}
