//! Trying endpoints until one has answered or nothing may be tried any more.

use std::net::SocketAddr;
use std::time::Instant;

use openclaw_core::message::Fault;

use super::attempt::{Attempt, Failure};
use super::context::Local;
use super::error::Error;
use super::prepare::Outbound;
use super::watch::Limits;
use super::wire::Wire;
use super::{Edits, Story, queued};
use crate::time::Deadline;
use crate::upstream::{Choice, Chosen, Upstream};

/// How often a kept connection that turned out dead is replaced, or a stream that was refused unseen is opened again,
/// before that counts as a try.
const STALE_TRIES: u32 = 3;

/// The tries of one exchange.
pub(super) struct Tries<'a> {
    local: &'a Local,
    upstream: &'a Upstream,
    outbound: &'a Outbound,
    edits: Edits<'a>,
    deadline: &'a Deadline,
    limits: Limits,
    tried: Vec<SocketAddr>,
    failure: Option<Error>,
    stale: u32,
}

impl<'a> Tries<'a> {
    pub(super) fn new(
        local: &'a Local,
        upstream: &'a Upstream,
        outbound: &'a Outbound,
        edits: Edits<'a>,
        (deadline, limits): (&'a Deadline, Limits),
    ) -> Self {
        Self {
            local,
            upstream,
            outbound,
            edits,
            deadline,
            limits,
            tried: Vec::new(),
            failure: None,
            stale: 0,
        }
    }

    /// Gives what went wrong in the end, if it did.
    pub(super) async fn run<W: Wire>(mut self, wire: &mut W, story: &mut Story) -> Option<Fault> {
        // The first try begins when the request was read: one look at the clock less.
        let mut now = story.sent.unwrap_or_else(Instant::now);
        loop {
            let Chosen {
                endpoint,
                under_way: _under_way,
            } = match self.chosen(wire, &mut now).await {
                Ok(chosen) => chosen,
                Err(error) => return Some(error.fault()),
            };
            story.sent = Some(now);
            story.endpoint = Some(endpoint.clone());
            let attempt = Attempt {
                local: self.local,
                upstream: self.upstream,
                endpoint: &endpoint,
                outbound: self.outbound,
                edits: self.edits,
                deadline: self.deadline,
                limits: self.limits,
                may_reuse: self.stale < STALE_TRIES,
            };
            let Failure { error, reused } = match attempt.run(wire, &mut story.passage).await {
                Ok(()) => {
                    let passage = &story.passage;
                    self.upstream
                        .answered(&endpoint, now, passage.answered, passage.status);
                    return None;
                }
                Err(failure) => failure,
            };
            if self.was_stale(error, reused) {
                self.stale += 1;
                continue;
            }
            if error.is_of_endpoint() {
                self.upstream.failed(&endpoint, now.elapsed());
            }
            if !error.is_retriable(self.outbound.idempotent, false)
                || story.retries >= self.upstream.config.retries
            {
                return Some(error.fault());
            }
            story.retries += 1;
            self.failure = Some(error);
            self.tried.push(endpoint.address);
            now = Instant::now();
        }
    }

    /// Who is next, with a place there; `now` moves on where that took time.
    async fn chosen<W: Wire>(&self, wire: &mut W, now: &mut Instant) -> Result<Chosen, Error> {
        let random = self.local.random.borrow_mut().u64(..);
        let choice = (self.outbound.key, random);
        let error = match self.upstream.choose(&self.tried, choice, *now) {
            Choice::Endpoint(chosen) => return Ok(chosen),
            Choice::Nobody => Error::NoEndpoint,
            Choice::Full => {
                let place = queued::wait(self.upstream, &self.tried, choice, wire, self.deadline);
                // Boxed, so that exchanges that need not wait need not have room for it.
                match Box::pin(place).await {
                    Ok(chosen) => {
                        *now = Instant::now();
                        return Ok(chosen);
                    }
                    Err(error @ Error::Wire(_)) => return Err(error),
                    Err(error) => error,
                }
            }
        };
        // What came before says more.
        Err(self.failure.unwrap_or(error))
    }

    /// Whether the try failed for its kept connection or its stream alone, so that it does not count.
    fn was_stale(&self, error: Error, reused: bool) -> bool {
        (reused || (error.is_unprocessed() && self.stale < STALE_TRIES))
            && error.is_retriable(self.outbound.idempotent, reused)
    }
}
