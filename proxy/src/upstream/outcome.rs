//! What came of a request, as its endpoint is judged by.

use std::time::{Duration, Instant};

use super::{Endpoint, Upstream};

/// After so many failures in a row an endpoint is passed over.
pub(super) const MISSES: u32 = 3;

impl Upstream {
    /// The endpoint was asked at `sent`, and began to answer at that time, with this status.
    pub fn answered(
        &self,
        endpoint: &Endpoint,
        sent: Instant,
        answered: Option<Instant>,
        status: u16,
    ) {
        // RFC 9110 §15.6.3 to §15.6.5: what is behind the endpoint failed, or it has too much to do.
        if matches!(status, 502..=504) {
            let why = match status {
                502 => "it answered 502",
                503 => "it answered 503",
                _ => "it answered 504",
            };
            return self.count_failure(endpoint, sent.elapsed(), why);
        }
        endpoint.misses.set(0);
        if let Some(answered) = answered {
            self.took(endpoint, answered.duration_since(sent), answered);
        }
        let standing = &endpoint.standing;
        let may_close = self.config.breaker.is_some() && !standing.is_closed();
        if may_close && standing.succeeded(Instant::now()) {
            let (upstream, endpoint) = (&*self.config.name, &*endpoint.label);
            tracing::info!(
                upstream,
                endpoint,
                "the breaker closes: a request went well"
            );
        }
    }

    /// The endpoint has failed after `took`, without an answer of its own. Where no breaker says when it has done so too often, one
    /// that fails again and again is passed over: retries have a budget, which one endpoint must not use up.
    pub fn failed(&self, endpoint: &Endpoint, took: Duration, why: &'static str) {
        self.count_failure(endpoint, took, why);
        let misses = endpoint.misses.get().saturating_add(1);
        endpoint.misses.set(misses);
        if self.config.breaker.is_none() && misses >= MISSES {
            endpoint.pass_over(Instant::now());
            if misses == MISSES {
                let (upstream, endpoint) = (&*self.config.name, &*endpoint.label);
                tracing::warn!(
                    upstream,
                    endpoint,
                    error = why,
                    "passed over while others are left: requests fail there one after the other"
                );
            }
        }
    }

    /// The endpoint has failed after `took`, be it by an answer. One that fails at once must not pass for a quick one.
    pub fn count_failure(&self, endpoint: &Endpoint, took: Duration, why: &'static str) {
        let now = Instant::now();
        endpoint.standing.set_last_error(why);
        if self.counts() {
            let took = took.max(self.config.connect_timeout);
            endpoint.standing.answered(took, now);
        }
        let rules = self.config.breaker.as_ref();
        if rules.is_some_and(|rules| endpoint.standing.failed(rules, now)) {
            let (upstream, endpoint) = (&*self.config.name, &*endpoint.label);
            tracing::warn!(
                upstream,
                endpoint,
                error = why,
                "the breaker opens: too many requests failed, the last one by this error"
            );
        }
    }
}
