//! Waiting for an endpoint while all of them have as many exchanges as they may have.

use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Instant;

use openclaw_core::balance::Key;

use super::{Choice, Chosen, Upstream};
use crate::time::{Deadline, TICK};

/// Why there is no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// Too many wait, or have waited for too long.
    Saturated,
    /// No endpoint is left.
    Nobody,
    /// Whoever wanted it has gone.
    Gone,
}

impl Upstream {
    /// An endpoint with a place, within `queue_timeout`. Who has `gone` meanwhile leaves the queue.
    pub async fn wait_for_place(
        &self,
        tried: &[SocketAddr],
        choice: (Key, u64),
        deadline: &Deadline,
        mut gone: impl FnMut(&mut Context<'_>) -> Poll<()>,
    ) -> Result<Chosen, NoPlace> {
        let until = Instant::now() + self.config.queue_timeout;
        loop {
            let now = Instant::now();
            let waiter = self.join_queue(tried, now).ok_or(NoPlace::Saturated)?;
            match self.choose(tried, choice, now) {
                Choice::Endpoint(chosen) => return Ok(chosen),
                Choice::Nobody => return Err(NoPlace::Nobody),
                Choice::Full => {}
            }
            let left = until.saturating_duration_since(now);
            let place = deadline.within(left, |cx| {
                if gone(cx).is_ready() {
                    return Poll::Ready(Err(NoPlace::Gone));
                }
                waiter.poll(cx).map(Ok)
            });
            let place = place.await.unwrap_or(Err(NoPlace::Saturated))?;
            let now = Instant::now();
            if let Some(chosen) = self.seated(place, now) {
                return Ok(chosen);
            }
            // Its breaker opened while it was waited for.
            if until < now + TICK {
                return Err(NoPlace::Saturated);
            }
        }
    }
}
