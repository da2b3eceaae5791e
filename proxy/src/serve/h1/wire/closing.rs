//! The end of a connection, from either side.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::H1Wire;
use crate::exchange::wire::Wire as _;
use crate::time::Deadline;

/// How long, and how much, is read from a client after the last answer, so that a reset does not take the answer away.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1024 * 1024;

impl H1Wire {
    /// A client that closes its direction is taken for gone. What it has sent beyond this is left for later, unread if there
    /// is more than one read of it.
    pub(super) fn poll_going(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.payload.is_empty() || self.unread < self.input.len() {
            return Poll::Pending;
        }
        match ready!(self.poll_read(cx)) {
            Ok(0) | Err(_) => Poll::Ready(()),
            Ok(_) => Poll::Pending,
        }
    }

    /// Ready when the client is gone while its endpoint works. Once its direction is known to be closed nothing more is heard of the client here: writing to it tells.
    pub(super) fn poll_leaving(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_half_closed || !self.payload.is_empty() || self.unread < self.input.len() {
            return Poll::Pending;
        }
        match ready!(self.poll_read(cx)) {
            Err(_) => Poll::Ready(()),
            Ok(0) if self.aborts_on_close => Poll::Ready(()),
            Ok(count) => {
                self.is_half_closed = count == 0;
                Poll::Pending
            }
        }
    }

    /// Says goodbye: our direction first, then what the client still sends is read and dropped for a while.
    pub(in crate::serve::h1) async fn close(mut self, deadline: &Deadline) {
        if self.aborted {
            return;
        }
        let flushed = deadline.within(LINGER, |cx| self.poll_flush(cx)).await;
        let shut = deadline
            .within(LINGER, |cx| self.io.poll_shutdown(cx))
            .await;
        if flushed.is_none() || shut.is_none() || !self.responded {
            return;
        }
        let mut dropped = 0;
        let lingering = deadline.within(LINGER, |cx| {
            while dropped < LINGER_BYTES {
                self.input.clear();
                self.unread = 0;
                self.payload = 0..0;
                match ready!(self.poll_read(cx)) {
                    Ok(count) if count > 0 => dropped += count,
                    Ok(_) | Err(_) => break,
                }
            }
            Poll::Ready(())
        });
        lingering.await;
    }
}
