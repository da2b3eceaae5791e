//! Waiting for an endpoint while all of them have as many exchanges as they may have.

use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use openclaw_core::balance::Key;

use super::{Choice, Chosen, Upstream};
use crate::time::Deadline;

/// How often somebody who waits looks whom else there is: endpoints come and go, and probes, breakers and times change who is fit.
const LOOK: Duration = Duration::from_millis(200);

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
    /// An endpoint with a place, within `queue_timeout`, of those that there are when it comes free. Who has `gone` meanwhile leaves
    /// the queue.
    pub async fn wait_for_place(
        &self,
        tried: &[SocketAddr],
        choice: (Key, u64),
        deadline: &Deadline,
        mut gone: impl FnMut(&mut Context<'_>) -> Poll<()>,
    ) -> Result<Chosen, NoPlace> {
        let until = Instant::now() + self.config.queue_timeout;
        let mut waiter = None;
        loop {
            let now = Instant::now();
            let newest = self.newest();
            let upstream = newest.as_deref().unwrap_or(self);
            let waits = upstream.join_queue(waiter, tried, now);
            let waits = waits.ok_or(NoPlace::Saturated)?;
            match upstream.choose(tried, choice, now) {
                Choice::Endpoint(chosen) => return Ok(chosen),
                Choice::Nobody => return Err(NoPlace::Nobody),
                Choice::Full => {}
            }
            drop(newest);
            let left = until.saturating_duration_since(now);
            let place = deadline.within(left.min(LOOK), |cx| {
                if gone(cx).is_ready() {
                    return Poll::Ready(Err(NoPlace::Gone));
                }
                waits.poll(cx).map(Ok)
            });
            match place.await.transpose()? {
                Some(place) => {
                    let newest = self.newest();
                    let upstream = newest.as_deref().unwrap_or(self);
                    // It may be one that was worth waiting for, and is not any more.
                    if let Some(chosen) = upstream.seated(place, tried, Instant::now()) {
                        return Ok(chosen);
                    }
                }
                None if left <= LOOK || deadline.is_over() => return Err(NoPlace::Saturated),
                None => {}
            }
            waiter = Some(waits);
        }
    }
}
