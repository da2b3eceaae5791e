//! Trying endpoints until one has answered or nothing may be tried any more.

mod hedged;
mod race;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use openclaw_core::config::{RetryOn, Route};
use openclaw_core::message::Fault;
use openclaw_core::trace::Ids;

use super::attempt::{Attempt, Failure};
use super::coded::Coded;
use super::context::Local;
use super::error::Error;
use super::forward::Passage;
use super::kept::Kept;
use super::prepare::Outbound;
use super::tracing::{self, Renamed};
use super::watch::Limits;
use super::wire::Wire;
use super::{Edits, Own, Story, queued};
use crate::time::Deadline;
use crate::upstream::{Choice, Chosen, Endpoint, Upstream};

/// How often a kept connection that turned out dead is replaced by a new one, or a stream that was refused unseen is opened again,
/// before that counts as a try: an endpoint that takes requests and closes must not get each of them again and again.
const STALE_TRIES: u32 = 1;

/// The tries of one exchange.
pub(super) struct Tries<'a> {
    local: &'a Local,
    upstream: &'a Upstream,
    outbound: &'a Outbound,
    edits: Edits<'a>,
    /// Whose prefixes are put back where an endpoint names itself.
    route: Option<&'a Route>,
    deadline: &'a Deadline,
    limits: Limits,
    tried: Vec<SocketAddr>,
    /// Of these so many count for nothing: they took no connection, and somebody else was left.
    uncounted: u32,
    failure: Option<Error>,
    stale: u32,
    /// A second endpoint may be asked beside the first one, if the upstream wants that.
    may_hedge: bool,
    /// Where the exchange is recorded for the collector of traces.
    ids: Option<&'a Ids>,
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
            route: None,
            deadline,
            limits,
            tried: Vec::new(),
            uncounted: 0,
            failure: None,
            stale: 0,
            may_hedge: false,
            ids: None,
        }
    }

    /// Where the client is told what the endpoint says of itself, as seen from outside. Copies, which nobody waits for, have no
    /// route.
    pub(super) fn of_route(self, route: &'a Route) -> Self {
        Self {
            route: Some(route).filter(|route| route.rewrite_location),
            may_hedge: true,
            ..self
        }
    }

    /// Who it is in its trace.
    pub(super) fn traced(self, ids: Option<&'a Ids>) -> Self {
        Self { ids, ..self }
    }

    /// Gives what went wrong in the end, if it did.
    pub(super) async fn run<W: Wire>(self, wire: &mut W, story: &mut Story) -> Option<Fault> {
        let asked = self.edits.compress.zip(self.outbound.coding.as_deref());
        let mut coded = Coded::new(wire, self.local, asked);
        let fault = self.run_over(&mut coded, story).await;
        if let Some(sent) = coded.sent() {
            story.passage.bytes_out = sent;
        }
        fault
    }

    async fn run_over<W: Wire>(mut self, wire: &mut W, story: &mut Story) -> Option<Fault> {
        self.upstream.will_ask();
        let keeps = self.outbound.idempotent && self.upstream.config.retries > 0;
        let wire = &mut Kept::new(wire, keeps);
        // The first try begins when the request was read: one look at the clock less.
        let mut now = story.sent.unwrap_or_else(Instant::now);
        let mut renamed = None;
        loop {
            let Chosen {
                mut endpoint,
                under_way,
            } = match self.chosen(wire, &mut now).await {
                Ok(chosen) => chosen,
                Err(error) => return Some(error.fault()),
            };
            story.sent = Some(now);
            story.retries = self.retries();
            story.endpoint = Some(endpoint.clone());
            let head = self.head_of(renamed.as_ref());
            story.span = renamed.as_ref().map(|renamed| renamed.0);
            wire.second = self.second(&endpoint, now);
            let result = if let Some(after) = self.hedges_after() {
                let first = (endpoint.clone(), under_way, now);
                // Boxed, so that exchanges that ask one endpoint at a time need not have room for it.
                let outcome = Box::pin(self.hedged(first, after, wire, story)).await;
                (endpoint, now) = (outcome.endpoint, outcome.since);
                story.endpoint = Some(endpoint.clone());
                story.sent = Some(now);
                story.span = outcome.span;
                outcome.result
            } else {
                let _under_way = under_way;
                let attempt = self.attempt((&endpoint, now), self.deadline, head);
                attempt.run(wire, &mut story.passage).await
            };
            let Failure { error, reused } = match result {
                Ok(()) => return None,
                Err(failure) => failure,
            };
            let may_repeat = self.may_repeat(error, wire);
            if may_repeat && self.was_stale(error, reused) {
                self.stale += 1;
            } else {
                if error.is_of_endpoint() {
                    let took = story.passage.took(now);
                    blame(self.upstream, &endpoint, error, took);
                    story.tried(&endpoint, error, now);
                }
                if !may_repeat || !self.is_worth_another(&endpoint, error) {
                    return Some(error.fault());
                }
                story.given_up.note(&endpoint, error);
                self.failure = Some(error);
                self.tried.push(endpoint.address);
                now = Instant::now();
                renamed = self.renamed();
            }
            wire.rewind();
            story.passage = Passage::default();
        }
    }

    /// Who is next, with a place there; `now` moves on where that took time.
    async fn chosen<W: Wire>(&self, wire: &mut W, now: &mut Instant) -> Result<Chosen, Error> {
        let came = self
            .outbound
            .came
            .as_deref()
            .filter(|_| self.tried.is_empty());
        if let Some(chosen) = came.and_then(|came| self.upstream.pinned(came.with?, *now)) {
            return Ok(chosen);
        }
        let random = self.local.random.borrow_mut().u64(..);
        let choice = (self.outbound.key, random);
        // Between tries endpoints may have come and gone.
        let is_again = !self.tried.is_empty();
        let newest = is_again.then(|| self.upstream.newest()).flatten();
        let upstream = newest.as_deref().unwrap_or(self.upstream);
        let error = match upstream.choose(&self.tried, choice, *now) {
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

    /// What an endpoint is told when it is not the first, where that is recorded: each attempt is a span.
    fn renamed(&self) -> Option<Renamed> {
        tracing::renamed(self.local, self.ids?, &self.outbound.head)
    }

    fn head_of<'e>(&self, renamed: Option<&'e Renamed>) -> &'e [u8]
    where
        'a: 'e,
    {
        renamed.map_or(&self.outbound.head, |renamed| &renamed.1)
    }

    fn attempt<'e>(
        &self,
        (endpoint, since): (&'e Rc<Endpoint>, Instant),
        deadline: &'e Deadline,
        head: &'e [u8],
    ) -> Attempt<'e>
    where
        'a: 'e,
    {
        Attempt {
            local: self.local,
            upstream: self.upstream,
            endpoint,
            since,
            outbound: self.outbound,
            head,
            edits: self.edits_of(endpoint),
            deadline,
            limits: self.limits,
            may_reuse: self.stale < STALE_TRIES,
        }
    }

    /// A client that is to stay with another endpoint than it did is told.
    fn edits_of<'e>(&self, endpoint: &'e Rc<Endpoint>) -> Edits<'e>
    where
        'a: 'e,
    {
        let sticky = self
            .upstream
            .config
            .sticky
            .as_ref()
            .zip(self.outbound.came.as_deref());
        let cookie = sticky.and_then(|(sticky, came)| {
            let pin = self.upstream.pin_of(endpoint)?;
            (came.with != Some(pin)).then_some((sticky, pin, came.is_secure))
        });
        let own = self.route.map(|route| Own {
            route,
            endpoint,
            head: &self.outbound.head,
        });
        Edits {
            cookie,
            own,
            ..self.edits
        }
    }

    /// Whether the request may be sent once more without having an effect twice (RFC 9110 §9.2.2), and without the client
    /// getting two answers: of one that broke off before anything had gone out it need not know.
    fn may_repeat<W: Wire>(&self, error: Error, wire: &mut Kept<'_, W>) -> bool {
        let is_safe = error.is_without_effect() || self.outbound.idempotent;
        let is_for_others = error.retry_on().is_some();
        is_safe && wire.is_whole() && (wire.can_respond() || is_for_others && wire.take_back())
    }

    /// Whether the try failed for its kept connection, which was most likely closed while idle, or for its stream alone: it
    /// does not count then.
    fn was_stale(&self, error: Error, reused: bool) -> bool {
        let is_refused = error == Error::Unprocessed && self.stale < STALE_TRIES;
        is_refused || (reused && matches!(error, Error::Closed | Error::Unprocessed))
    }

    /// Who has another endpoint than this one, where the operator wants it to be asked after some answers.
    fn second(&self, endpoint: &Endpoint, now: Instant) -> Option<&'a Upstream> {
        let config = &self.upstream.config;
        let mut wanted = config.retry_on.iter();
        let is_wanted = wanted.any(|on| matches!(on, RetryOn::Status(_)));
        let may_ask = is_wanted && self.outbound.idempotent && self.may_count();
        let has_another = may_ask && self.upstream.has_another(&self.tried, endpoint, now);
        has_another.then_some(self.upstream)
    }

    /// Whether the operator wants another endpoint to be asked after this. Where nothing was sent and somebody is left who is
    /// not known to be as bad, it does not count as a retry: a GET does not fail because the first few of many are dead.
    fn is_worth_another(&mut self, endpoint: &Endpoint, error: Error) -> bool {
        if matches!(error, Error::Declined(_)) {
            // It was seen to before the answer was dropped.
            return true;
        }
        let config = &self.upstream.config;
        let is_wanted = error
            .retry_on()
            .is_some_and(|on| config.retry_on.contains(&on));
        if !is_wanted || config.retries == 0 {
            return false;
        }
        let now = Instant::now();
        let is_free = matches!(error, Error::Connect(_) | Error::Tls(_))
            && self.upstream.has_another(&self.tried, endpoint, now);
        let may = (is_free || self.may_count()) && self.upstream.may_retry(now);
        self.uncounted += u32::from(may && is_free);
        may
    }

    /// Whether one more retry may count.
    fn may_count(&self) -> bool {
        self.retries().saturating_sub(self.uncounted) < self.upstream.config.retries
    }

    fn retries(&self) -> u32 {
        u32::try_from(self.tried.len()).unwrap_or(u32::MAX)
    }
}

/// The endpoint has failed after `took`; one that answers, whatever it answers, is there.
fn blame(upstream: &Upstream, endpoint: &Endpoint, error: Error, took: Duration) {
    let why = error.fault().detail;
    if matches!(error, Error::Declined(_)) {
        upstream.count_failure(endpoint, took, why);
    } else {
        upstream.failed(endpoint, took, why);
    }
}
