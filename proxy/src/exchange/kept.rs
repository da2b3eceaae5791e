//! A wire that remembers the beginning of a request's body, so that another endpoint can be given the whole of it.

use std::task::{Context, Poll};
use std::time::Instant;

use openclaw_core::config::RetryOn;
use openclaw_core::message::ResponseHead;

use super::wire::{BodyPart, Wire, WireError, handed_on};
use crate::upstream::Upstream;

/// A longer body is sent once.
const MAX_KEPT: usize = 64 * 1024;

/// See the module.
pub(super) struct Kept<'a, W> {
    wire: &'a mut W,
    /// What has been taken from the wire, while it is all of it.
    bytes: Vec<u8>,
    /// So much of that has been taken by the try at hand.
    taken: usize,
    keeps: bool,
    /// More has been taken than is kept.
    is_lost: bool,
    /// Who has another endpoint to ask after the try at hand, where an answer may be a reason for that.
    pub(super) second: Option<&'a Upstream>,
}

impl<'a, W: Wire> Kept<'a, W> {
    pub(super) fn new(wire: &'a mut W, keeps: bool) -> Self {
        Self {
            wire,
            bytes: Vec::new(),
            taken: 0,
            keeps,
            is_lost: false,
            second: None,
        }
    }

    /// Whether all of the body can be had once more.
    pub(super) fn is_whole(&self) -> bool {
        !self.is_lost
    }

    /// Begins anew.
    pub(super) fn rewind(&mut self) {
        self.taken = 0;
    }

    fn again(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    fn forget(&mut self) {
        self.keeps = false;
        self.is_lost |= !self.bytes.is_empty();
        if self.again().is_empty() {
            self.bytes = Vec::new();
            self.taken = 0;
        }
    }
}

impl<W: Wire> Wire for Kept<'_, W> {
    handed_on!(poll_gone poll_left trailers inform consider poll_send more_follows bare_socket finish poll_flush abort can_respond take_back);

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<BodyPart, WireError>> {
        if self.again().is_empty() {
            self.wire.poll_body(cx)
        } else {
            Poll::Ready(Ok(BodyPart::Data))
        }
    }

    fn body(&self) -> &[u8] {
        match self.again() {
            [] => self.wire.body(),
            again => again,
        }
    }

    fn consume(&mut self, count: usize) {
        if !self.again().is_empty() {
            self.taken = (self.taken + count).min(self.bytes.len());
            return;
        }
        if self.keeps && self.bytes.len() + count <= MAX_KEPT {
            let fresh = self.wire.body();
            self.bytes
                .extend_from_slice(fresh.get(..count).unwrap_or(fresh));
            self.taken = self.bytes.len();
        } else if count > 0 {
            self.is_lost = true;
            self.forget();
        }
        self.wire.consume(count);
    }

    fn declines(&mut self, status: u16) -> bool {
        let wanted = RetryOn::Status(status);
        let upstream = self.second.filter(|upstream| {
            let is_wanted = upstream.config.retry_on.contains(&wanted);
            is_wanted && self.is_whole() && self.wire.can_respond()
        });
        upstream.is_some_and(|upstream| upstream.may_retry(Instant::now()))
    }

    fn respond(&mut self, head: &ResponseHead<'_>) {
        // Nobody else is asked any more, unless there is no body and the head is taken back.
        self.forget();
        self.wire.respond(head);
    }
}
