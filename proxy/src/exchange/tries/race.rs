//! One client's wire for two endpoints that are asked the same: whoever has a response head first gets it, and the other one
//! never sees it. Requests with a body do not race, so nothing is taken from the wire before.

use std::cell::Cell;
use std::task::{Context, Poll};

use openclaw_core::caching::Status;
use openclaw_core::message::{Field, Response, ResponseHead};
use openclaw_core::reason::Reason;
use tokio::net::TcpStream;

use crate::exchange::wire::{BodyPart, Wire, WireError};

type Way<'w> = &'w mut (dyn Wire + 'w);

/// What is raced for.
pub(super) struct Race<'w> {
    /// Nothing once somebody has it.
    wire: Cell<Option<Way<'w>>>,
    running: Cell<u32>,
}

impl<'w> Race<'w> {
    pub(super) fn new(wire: Way<'w>) -> Self {
        Self {
            wire: Cell::new(Some(wire)),
            running: Cell::new(0),
        }
    }

    /// Whether somebody's answer has begun.
    pub(super) fn is_won(&self) -> bool {
        self.ask(|_wire| ()).is_none()
    }

    /// Looks at the wire while it is nobody's.
    fn ask<T>(&self, ask: impl FnOnce(&mut (dyn Wire + 'w)) -> T) -> Option<T> {
        let wire = self.wire.take()?;
        let answer = ask(&mut *wire);
        self.wire.set(Some(wire));
        Some(answer)
    }
}

/// The wire of one of those who race.
pub(super) struct Runner<'r, 'w> {
    race: &'r Race<'w>,
    /// Of the one who has won.
    won: Option<Way<'w>>,
}

impl<'r, 'w> Runner<'r, 'w> {
    pub(super) fn new(race: &'r Race<'w>) -> Self {
        race.running.set(race.running.get() + 1);
        Self { race, won: None }
    }

    fn is_alone(&self) -> bool {
        self.race.running.get() < 2
    }

    fn ask<T>(&mut self, ask: impl FnOnce(&mut (dyn Wire + 'w)) -> T) -> Option<T> {
        match &mut self.won {
            Some(wire) => Some(ask(&mut **wire)),
            None => self.race.ask(ask),
        }
    }
}

impl Drop for Runner<'_, '_> {
    fn drop(&mut self) {
        self.race.running.set(self.race.running.get() - 1);
    }
}

impl Wire for Runner<'_, '_> {
    fn poll_body(&mut self, _cx: &mut Context<'_>) -> Poll<Result<BodyPart, WireError>> {
        Poll::Ready(Ok(BodyPart::End))
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.ask(|wire| wire.poll_gone(cx)).unwrap_or(Poll::Pending)
    }

    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.ask(|wire| wire.poll_left(cx)).unwrap_or(Poll::Pending)
    }

    fn body(&self) -> &[u8] {
        &[]
    }

    fn consume(&mut self, _count: usize) {}

    fn trailers(&self) -> &[u8] {
        &[]
    }

    /// Of two the client would not know which answer is meant.
    fn inform(&mut self, head: &ResponseHead<'_>) {
        if self.is_alone() {
            self.ask(|wire| wire.inform(head));
        }
    }

    fn consider(&mut self, response: &Response<'_>) -> Option<Status> {
        self.ask(|wire| wire.consider(response)).flatten()
    }

    /// Whoever is not declined has won.
    fn declines(&mut self, status: u16) -> bool {
        let is_final = status >= 200 || status == 101;
        if !is_final {
            return false;
        }
        // Whoever is still asked may do better.
        let is_poor = status >= 500 && !self.is_alone();
        if is_poor || self.ask(|wire| wire.declines(status)).unwrap_or(true) {
            return true;
        }
        self.won = self.won.take().or_else(|| self.race.wire.take());
        false
    }

    fn respond(&mut self, head: &ResponseHead<'_>) {
        self.ask(|wire| wire.respond(head));
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        payload: &[u8],
    ) -> Poll<Result<usize, WireError>> {
        let sent = self.ask(|wire| wire.poll_send(cx, payload));
        sent.unwrap_or(Poll::Ready(Err(WireError::Gone)))
    }

    fn more_follows(&mut self) {
        self.ask(Wire::more_follows);
    }

    fn bare_socket(&self) -> Option<&TcpStream> {
        self.won.as_deref().and_then(Wire::bare_socket)
    }

    fn finish(&mut self, trailers: &[Field<'_>]) {
        self.ask(|wire| wire.finish(trailers));
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        let flushed = self.ask(|wire| wire.poll_flush(cx));
        flushed.unwrap_or(Poll::Ready(Ok(())))
    }

    fn abort(&mut self, reason: Reason) {
        self.ask(|wire| wire.abort(reason));
    }

    fn can_respond(&self) -> bool {
        match &self.won {
            Some(wire) => wire.can_respond(),
            None => self.race.ask(|wire| wire.can_respond()).unwrap_or(false),
        }
    }
}
