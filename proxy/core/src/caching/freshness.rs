//! How long a response stays fresh, and how old it is (RFC 9111 §4.2).

use std::time::Duration;

use super::date;
use super::directives::{Directives, seconds};
use super::rule::Rule;
use crate::message::{Field, Kind};

/// What was settled when a response was stored, or confirmed by its origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// For how many seconds it is fresh, counted from its making.
    pub lifetime: u64,
    /// How old it was when it came (RFC 9111 §4.2.3).
    pub initial_age: u64,
    /// It is not used without asking its origin.
    pub always_ask: bool,
    /// It is not used stale, whatever happens.
    pub never_stale: bool,
    /// How long it may be used stale while it is asked for again.
    pub while_revalidate: u64,
    /// How long it may be used stale where its origin fails.
    pub if_error: u64,
}

/// What may be done with a stored response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It is the answer.
    Fresh,
    /// It is the answer, and is asked for again behind it (RFC 5861 §3).
    WhileRevalidating,
    /// Its origin is asked first; where that fails it may do, or not.
    Ask {
        /// Whether it is the answer where the origin fails (RFC 5861 §4).
        if_error: bool,
    },
}

/// When the request was sent and the response came, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// When the request was sent.
    pub asked: u64,
    /// When the head of the response was there.
    pub came: u64,
}

impl Freshness {
    /// Reads it from the fields of a response; `rule` is the route's.
    pub fn of(
        status: u16,
        fields: &[Field<'_>],
        directives: &Directives,
        rule: &Rule,
        times: Times,
    ) -> Self {
        let date = only(fields, |field| field.kind == Kind::Date).and_then(date::parse);
        let apparent = date.map_or(0, |date| times.came.saturating_sub(date));
        let age = fields
            .iter()
            .find(|field| field.is(b"Age"))
            .map_or(0, |field| age(field.value));
        let delay = times.came.saturating_sub(times.asked);
        let made = date.unwrap_or(times.came);
        let mut lifetime = explicit(fields, directives, made)
            .or_else(|| guessed((status, fields), directives, made, rule));
        if rule.lengthens(status) {
            let ttl = rule.ttl.map(|ttl| ttl.as_secs());
            // Counted from now, not from when somebody else made it: that is what is written in the configuration.
            let ttl = ttl.map(|ttl| ttl.saturating_add(apparent.max(age + delay)));
            lifetime = lifetime.max(ttl);
        }
        let lifetime = lifetime.unwrap_or(0);
        // The route's grace prolongs a time, and does not give one: what nobody ever called fresh may be for one client alone.
        let grace = |said: Option<u64>, of_route| match said {
            None if lifetime > 0 => whole(of_route),
            said => said.unwrap_or(0),
        };
        let while_revalidate = grace(
            directives.stale_while_revalidate,
            rule.stale_while_revalidate,
        );
        let if_error = grace(directives.stale_if_error, rule.stale_if_error);
        let was_never_fresh = lifetime == 0 && while_revalidate == 0 && if_error == 0;
        Self {
            lifetime,
            initial_age: apparent.max(age + delay),
            always_ask: directives.no_cache,
            // `s-maxage` says so too, by the way (RFC 9111 §5.2.2.10).
            never_stale: directives.must_revalidate
                || directives.s_maxage.is_some()
                || was_never_fresh,
            while_revalidate,
            if_error,
        }
    }

    /// How old it is after `resident` in the store.
    pub fn age(&self, resident: Duration) -> u64 {
        self.initial_age.saturating_add(resident.as_secs())
    }

    /// What may be done for a request that says `asked`, where anybody listens to that.
    pub fn judge(&self, resident: Duration, asked: &Directives) -> Use {
        let age = self.age(resident);
        let staleness = (age + 1).saturating_sub(self.lifetime);
        let is_fresh = staleness == 0;
        let may_be_stale = self.may_be_stale();
        let ask = Use::Ask {
            if_error: may_be_stale && self.if_error > 0 && staleness <= self.if_error,
        };
        let is_refused = asked.no_cache
            || asked.max_age.is_some_and(|max| age > max)
            || asked
                .min_fresh
                .is_some_and(|wanted| self.lifetime.saturating_sub(age) < wanted);
        if self.always_ask || is_refused {
            return ask;
        }
        if is_fresh || (may_be_stale && asked.max_stale.is_some_and(|most| staleness <= most)) {
            return Use::Fresh;
        }
        if may_be_stale && staleness <= self.while_revalidate {
            return Use::WhileRevalidating;
        }
        ask
    }

    /// Whether it may ever be used without its origin's word once its time is over (RFC 9111 §4.2.4).
    pub fn may_be_stale(&self) -> bool {
        !self.never_stale && !self.always_ask
    }

    /// How long after it came nothing can be done with it but to ask whether it still holds.
    pub fn useful_for(&self) -> Duration {
        let more = self.while_revalidate.max(self.if_error);
        let more = if self.never_stale { 0 } else { more };
        Duration::from_secs(
            self.lifetime
                .saturating_add(more)
                .saturating_sub(self.initial_age),
        )
    }
}

/// The lifetime that a response states (RFC 9111 §4.2.1).
pub(super) fn explicit(fields: &[Field<'_>], directives: &Directives, date: u64) -> Option<u64> {
    if let Some(seconds) = directives.s_maxage.or(directives.max_age) {
        return Some(seconds);
    }
    let mut expires = fields.iter().filter(|field| field.is(b"Expires"));
    let first = expires.next()?;
    // One that is no date, such as 0, has passed (RFC 9111 §5.3); of two nobody knows.
    let at = date::parse(first.value).filter(|_| expires.next().is_none());
    Some(at.map_or(0, |at| at.saturating_sub(date)))
}

/// The lifetime of a response that states none, where the route takes a guess: what has not changed for long will not soon (RFC 9111
/// §4.2.2). Of statuses that are understood so, or called public.
pub(super) fn guessed(
    (status, fields): (u16, &[Field<'_>]),
    directives: &Directives,
    made: u64,
    rule: &Rule,
) -> Option<u64> {
    let share = u64::from(rule.heuristic?);
    let is_guessable = directives.public
        || matches!(
            status,
            200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501
        );
    let changed = only(fields, |field| field.is(b"Last-Modified")).and_then(date::parse)?;
    let unchanged = made.checked_sub(changed).filter(|_| is_guessable)?;
    let guess = unchanged.saturating_mul(share) / 100;
    Some(guess.min(rule.heuristic_max.as_secs()))
}

/// The first value of a list that has several counts, and nonsense for nothing (RFC 9111 §5.1).
fn age(value: &[u8]) -> u64 {
    let first = value.split(|byte| *byte == b',').next().unwrap_or_default();
    seconds(first.trim_ascii()).unwrap_or(0)
}

/// The value of a field that comes once.
fn only<'a>(fields: &[Field<'a>], wanted: impl Fn(&Field<'a>) -> bool) -> Option<&'a [u8]> {
    let mut found = fields.iter().filter(|field| wanted(field));
    let value = found.next()?.value;
    found.next().is_none().then_some(value)
}

fn whole(period: Option<Duration>) -> u64 {
    period.map_or(0, |period| period.as_secs())
}
