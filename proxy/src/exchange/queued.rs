//! Waiting for an endpoint while all of them have as many exchanges as they may have.

use std::net::SocketAddr;
use std::task::Poll;
use std::time::Instant;

use openclaw_core::balance::Key;

use super::error::Error;
use super::wire::{Wire, WireError};
use crate::time::{Deadline, TICK};
use crate::upstream::{Choice, Chosen, Upstream};

/// An endpoint with a place, within `queue_timeout`. A client that goes meanwhile leaves the queue.
pub(super) async fn wait<W: Wire>(
    upstream: &Upstream,
    tried: &[SocketAddr],
    choice: (Key, u64),
    wire: &mut W,
    deadline: &Deadline,
) -> Result<Chosen, Error> {
    let until = Instant::now() + upstream.config.queue_timeout;
    loop {
        let now = Instant::now();
        let waiter = upstream.join_queue(tried, now).ok_or(Error::Saturated)?;
        match upstream.choose(tried, choice, now) {
            Choice::Endpoint(chosen) => return Ok(chosen),
            Choice::Nobody => return Err(Error::NoEndpoint),
            Choice::Full => {}
        }
        let left = until.saturating_duration_since(now);
        let place = deadline.within(left, |cx| {
            if wire.poll_gone(cx).is_ready() {
                return Poll::Ready(Err(Error::Wire(WireError::Gone)));
            }
            waiter.poll(cx).map(Ok)
        });
        let place = place.await.unwrap_or(Err(Error::Saturated))?;
        let now = Instant::now();
        if let Some(chosen) = upstream.seated(place, now) {
            return Ok(chosen);
        }
        // Its breaker opened while it was waited for.
        if until < now + TICK {
            return Err(Error::Saturated);
        }
    }
}
