//! A stream as the [`Wire`] of an exchange.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll};

use openclaw_core::message::{Field, ResponseHead};
use openclaw_core::reason::Reason;

use super::connection::Connection;
use super::stream::{Cut, Response};
use crate::exchange::wire::{BodyPart, Wire, WireError};

/// One stream's way to its client. Dropping it ends the stream: with `RST_STREAM` if the response was not finished, or if
/// the client still sends a request that nobody reads.
#[derive(Debug)]
pub struct StreamWire {
    connection: Rc<RefCell<Connection>>,
    slot: u32,
    id: u32,
    /// Payload taken over from the stream, the first `consumed` octets of it done with.
    body: Vec<u8>,
    consumed: usize,
    trailers: Vec<u8>,
}

impl StreamWire {
    pub(super) fn new(connection: Rc<RefCell<Connection>>, slot: u32, id: u32) -> Self {
        Self {
            connection,
            slot,
            id,
            body: Vec::new(),
            consumed: 0,
            trailers: Vec::new(),
        }
    }

    /// The number of the stream, for logs.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Makes sure that `body` has payload that was not consumed, or says what there is instead.
    fn poll_fill(&mut self, cx: &Context<'_>) -> Poll<Result<bool, WireError>> {
        let mut connection = self.connection.borrow_mut();
        let Some(stream) = connection.stream(self.slot) else {
            return Poll::Ready(Err(WireError::Gone));
        };
        match stream.cut {
            Cut::No => {}
            Cut::Fault(fault) => return Poll::Ready(Err(WireError::Fault(fault))),
            Cut::Gone | Cut::Aborted => return Poll::Ready(Err(WireError::Gone)),
        }
        if self.consumed < self.body.len() {
            return Poll::Ready(Ok(true));
        }
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

impl Wire for StreamWire {
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

    fn respond(&mut self, head: &ResponseHead<'_>) {
        self.connection.borrow_mut().respond(self.slot, head, false);
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        payload: &[u8],
    ) -> Poll<Result<usize, WireError>> {
        self.connection
            .borrow_mut()
            .poll_send(self.slot, cx, payload)
    }

    fn finish(&mut self, trailers: &[Field<'_>]) {
        self.connection.borrow_mut().finish(self.slot, trailers);
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        self.connection.borrow_mut().poll_flush(self.slot, cx)
    }

    fn abort(&mut self, reason: Reason) {
        self.connection.borrow_mut().abort(self.slot, reason);
    }

    fn can_respond(&self) -> bool {
        let mut connection = self.connection.borrow_mut();
        let stream = connection.stream(self.slot);
        stream.is_some_and(|stream| stream.is_live() && stream.response == Response::Awaited)
    }
}

impl Drop for StreamWire {
    fn drop(&mut self) {
        self.connection.borrow_mut().release(self.slot);
    }
}
