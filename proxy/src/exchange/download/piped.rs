//! Long bodies between two bare sockets: what of them goes through a pipe instead of the buffer.

use std::task::{Context, Poll};

use super::super::error::Error;
use super::super::wire::{Wire, WireError};
use super::{Download, State};
use crate::net::BODY_BUFFER;
use crate::net::pipes::MIDDLING;
use crate::upstream::Connection;

impl Download<'_> {
    /// Looks at the first read once the head is known: a body of middling length goes on through a pipe; of any other, what a short
    /// read has left is read before anything is sent.
    pub(super) fn settle(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
    ) -> Result<(), Error> {
        let State::Body(decoder) = &self.state else {
            return Ok(());
        };
        let is_middling = decoder
            .bare_left()
            .is_some_and(|left| MIDDLING.contains(&left));
        connection.endpoint.is_middling.set(is_middling);
        let is_short =
            self.buffer.capacity() < BODY_BUFFER && self.buffer.len() == self.buffer.capacity();
        if !is_short {
            return Ok(());
        }
        if is_middling {
            self.bulk.begin();
            return Ok(());
        }
        let mut larger = self.local.buffers.body();
        larger.extend_from_slice(&self.buffer);
        self.local
            .buffers
            .give_back(std::mem::replace(&mut self.buffer, larger));
        match self.poll_fill(cx, connection, false) {
            Poll::Ready(Err(error)) => Err(error),
            // An end is found again.
            Poll::Ready(Ok(_)) | Poll::Pending => Ok(()),
        }
    }

    /// Tells the wire if a pipe is about to bring what comes after the payload at hand, so that they leave in one segment.
    pub(super) fn announce<W: Wire>(&mut self, wire: &mut W) {
        let State::Body(decoder) = &self.state else {
            return;
        };
        let more = decoder.bare_left().is_some_and(|left| left > 0);
        if more && self.bulk.is_on() && self.raw == self.buffer.len() {
            wire.more_follows();
            self.held_back = true;
        }
    }

    /// Nothing has come after all: what was announced does not wait for it.
    pub(super) fn push<W: Wire>(&mut self, wire: &W) {
        if std::mem::take(&mut self.held_back)
            && let Some(into) = wire.bare_socket()
        {
            // Saying it once more is what pushes; a socket that is gone is found so by the next write.
            let _ = into.set_nodelay(true);
        }
    }

    /// Takes what has arrived of a long body into a pipe; false where it has to come by the buffer.
    pub(super) fn poll_pipe<W: Wire>(
        &mut self,
        cx: &mut Context<'_>,
        connection: &Connection,
        wire: &W,
    ) -> Poll<Result<bool, Error>> {
        let State::Body(decoder) = &mut self.state else {
            return Poll::Ready(Ok(false));
        };
        let is_drained = self.raw == self.buffer.len();
        let Some(left) = decoder
            .bare_left()
            .filter(|left| self.bulk.is_on() && is_drained && *left > 0)
        else {
            return Poll::Ready(Ok(false));
        };
        let Some(from) = connection
            .stream
            .bare_socket()
            .filter(|_| wire.bare_socket().is_some())
        else {
            return Poll::Ready(Ok(false));
        };
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        match self.bulk.poll_fill(cx, &self.local.pipes, from, most) {
            Poll::Ready(Ok(None)) => Poll::Ready(Ok(false)),
            Poll::Ready(Ok(Some(0)) | Err(_)) => Poll::Ready(Err(Error::Truncated)),
            Poll::Ready(Ok(Some(count))) => {
                decoder.skip(count as u64);
                Poll::Ready(Ok(true))
            }
            Poll::Pending => {
                self.bulk.let_go(&self.local.pipes);
                self.give_back();
                Poll::Pending
            }
        }
    }

    /// Nothing is queued before what is in the pipe, and nothing is until it has left.
    pub(super) fn poll_drain<W: Wire>(
        &mut self,
        cx: &mut Context<'_>,
        wire: &W,
    ) -> Poll<Result<usize, Error>> {
        let gone = Error::Wire(WireError::Gone);
        let Some(into) = wire.bare_socket() else {
            return Poll::Ready(Err(gone));
        };
        self.bulk.poll_drain(cx, into).map_err(|_error| gone)
    }
}
