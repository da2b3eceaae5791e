//! A stream as the [`Wire`] of an exchange.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll};

use openclaw_core::message::{Field, ResponseHead};
use openclaw_core::reason::Reason;

use super::connection::State;
use super::stream::{Cut, Request, Response};
use crate::exchange::wire::{BodyPart, Wire, WireError};

/// One stream's way to its client. Dropping it ends the stream: with a reset if the response was not finished, and by telling the client
/// to stop if it still sends a request that nobody reads.
#[derive(Debug)]
pub struct StreamWire {
    state: Rc<RefCell<State>>,
    slot: u32,
    /// Payload taken over from the stream, the first `consumed` octets of it done with.
    body: Vec<u8>,
    consumed: usize,
    trailers: Vec<u8>,
}

impl StreamWire {
    pub(super) fn new(state: Rc<RefCell<State>>, slot: u32) -> Self {
        Self {
            state,
            slot,
            body: Vec::new(),
            consumed: 0,
            trailers: Vec::new(),
        }
    }

    /// Makes sure that `body` has payload that was not consumed, or says that there is none left.
    fn poll_fill(&mut self, cx: &Context<'_>) -> Poll<Result<bool, WireError>> {
        let mut state = self.state.borrow_mut();
        check(&mut state, self.slot)?;
        if self.consumed < self.body.len() {
            return Poll::Ready(Ok(true));
        }
        let is_empty = state
            .stream(self.slot)
            .is_some_and(|stream| stream.body.is_empty() && stream.request != Request::Ended);
        if is_empty && let Err(violation) = state.pump(self.slot) {
            state.fail(violation);
        }
        check(&mut state, self.slot)?;
        let Some(stream) = state.stream(self.slot) else {
            return Poll::Ready(Err(WireError::Gone));
        };
        if !stream.body.is_empty() {
            self.body.clear();
            self.consumed = 0;
            std::mem::swap(&mut self.body, &mut stream.body);
            return Poll::Ready(Ok(true));
        }
        if stream.request == Request::Ended {
            self.trailers.append(&mut stream.trailers);
            return Poll::Ready(Ok(false));
        }
        stream.register(cx);
        Poll::Pending
    }
}

/// Whether the stream can go on.
fn check(state: &mut State, slot: u32) -> Result<(), WireError> {
    match state.stream(slot).map(|stream| stream.cut) {
        Some(Cut::No) => Ok(()),
        Some(Cut::Fault(fault)) => Err(WireError::Fault(fault)),
        Some(Cut::Gone | Cut::Aborted) | None => Err(WireError::Gone),
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
        // The client was given room for as much when this was taken from QUIC, a bounded piece ahead.
        self.consumed += count;
    }

    fn trailers(&self) -> &[u8] {
        &self.trailers
    }

    fn inform(&mut self, head: &ResponseHead<'_>) {
        self.state.borrow_mut().respond(self.slot, head, true);
    }

    fn respond(&mut self, head: &ResponseHead<'_>) {
        self.state.borrow_mut().respond(self.slot, head, false);
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        payload: &[u8],
    ) -> Poll<Result<usize, WireError>> {
        self.state.borrow_mut().poll_send(self.slot, cx, payload)
    }

    fn finish(&mut self, trailers: &[Field<'_>]) {
        self.state.borrow_mut().finish(self.slot, trailers);
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        self.state.borrow_mut().poll_flush(self.slot, cx)
    }

    fn abort(&mut self, reason: Reason) {
        self.state.borrow_mut().abort(self.slot, reason);
    }

    fn can_respond(&self) -> bool {
        let mut state = self.state.borrow_mut();
        let stream = state.live(self.slot);
        stream.is_some_and(|stream| stream.response == Response::Awaited)
    }
}

impl Drop for StreamWire {
    fn drop(&mut self) {
        self.state.borrow_mut().release(self.slot);
    }
}
