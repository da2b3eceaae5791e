//! Who serves an exchange: the balancer's choice among the endpoints that are fit and have room, and the wait for room
//! where none has.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use openclaw_core::balance::{Key, Load, View};

use super::{Endpoint, Upstream};
use crate::snapshot::{UnderWay, Waiter};

/// What there is for an exchange.
#[derive(Debug)]
pub enum Choice {
    Endpoint(Chosen),
    /// Those that would do have all that they may have: `max_connections`.
    Full,
    /// No endpoint is left.
    Nobody,
}

/// An endpoint that is to serve an exchange.
#[derive(Debug)]
pub struct Chosen {
    pub endpoint: Rc<Endpoint>,
    /// Where exchanges are counted: this one, until it is dropped.
    pub under_way: Option<UnderWay>,
}

/// Who may be picked, of those whose breaker lets them. While others are left those are left out that took no connection
/// just now, and those that probes call unwell; when probes call all of them unwell, the probes are probably wrong.
#[derive(Clone, Copy)]
enum Among {
    /// Well, and took the last connection.
    Fit,
    /// Well, as far as probes can tell.
    Well,
    All,
}

/// The endpoints as a balancer sees them for one choice.
struct Candidates<'a> {
    upstream: &'a Upstream,
    tried: &'a [SocketAddr],
    now: Instant,
    among: Among,
}

impl Upstream {
    /// The balancer's next choice, leaving out those in `tried` and those whose breaker is open. An endpoint that is fit but
    /// full is waited for rather than going to one that is not.
    pub fn choose(&self, tried: &[SocketAddr], (key, random): (Key, u64), now: Instant) -> Choice {
        let mut balancer = self.balancer.borrow_mut();
        for among in [Among::Fit, Among::Well, Among::All] {
            let candidates = self.candidates(tried, now, among);
            // Whoever loses the last place to another worker, or the place of the one that tries, finds it gone at the
            // next look.
            while let Some(index) = balancer.next(key, random, &candidates) {
                if let Some(chosen) = self.take(index, now) {
                    return Choice::Endpoint(chosen);
                }
            }
            if candidates.fit().next().is_some() {
                return Choice::Full;
            }
        }
        Choice::Nobody
    }

    /// Joins those who wait for a place at an endpoint that would do; nothing if as many wait as may. Whoever has joined has
    /// to ask [`Self::choose`] once more before waiting.
    pub fn join_queue(&self, tried: &[SocketAddr], now: Instant) -> Option<Waiter> {
        let wanted = [Among::Fit, Among::Well, Among::All]
            .into_iter()
            .map(|among| {
                let candidates = self.candidates(tried, now, among);
                let standings = candidates
                    .fit()
                    .map(|endpoint| Arc::clone(&endpoint.standing));
                standings.collect::<Vec<_>>()
            })
            .find(|wanted| !wanted.is_empty())?;
        self.queue.join(wanted, self.config.queue)
    }

    /// The endpoint at which a place came free, unless its breaker has opened meanwhile.
    pub fn seated(&self, place: UnderWay, now: Instant) -> Option<Chosen> {
        let mut endpoints = self.endpoints.iter();
        let endpoint = endpoints.find(|known| Arc::ptr_eq(&known.standing, place.standing()))?;
        self.passes_breaker(endpoint, now).then(|| Chosen {
            endpoint: Rc::clone(endpoint),
            under_way: Some(place),
        })
    }

    fn candidates<'a>(
        &'a self,
        tried: &'a [SocketAddr],
        now: Instant,
        among: Among,
    ) -> Candidates<'a> {
        Candidates {
            upstream: self,
            tried,
            now,
            among,
        }
    }

    /// Counts the exchange where that is wanted, and goes through the breaker.
    fn take(&self, index: usize, now: Instant) -> Option<Chosen> {
        let endpoint = self.endpoints.get(index)?;
        let under_way = match self.config.max_connections {
            Some(max) => Some(endpoint.standing.enter(max, &self.queue)?),
            None => self.counts().then(|| endpoint.standing.begin()),
        };
        self.passes_breaker(endpoint, now).then(|| Chosen {
            endpoint: Rc::clone(endpoint),
            under_way,
        })
    }

    fn passes_breaker(&self, endpoint: &Endpoint, now: Instant) -> bool {
        let rules = self.config.breaker.as_ref();
        rules.is_none_or(|rules| endpoint.standing.take(rules, now))
    }
}

impl<'a> Candidates<'a> {
    /// Those that may be picked, whether they have room or not.
    fn fit(&self) -> impl Iterator<Item = &'a Rc<Endpoint>> {
        let Upstream {
            endpoints, weights, ..
        } = self.upstream;
        let weighted = endpoints.iter().zip(weights);
        weighted.filter_map(|(endpoint, weight)| {
            (*weight > 0 && self.is_fit(endpoint)).then_some(endpoint)
        })
    }

    fn is_fit(&self, endpoint: &Endpoint) -> bool {
        let standing = &endpoint.standing;
        let fits = match self.among {
            Among::Fit => standing.is_well() && !endpoint.is_passed_over(self.now),
            Among::Well => standing.is_well(),
            Among::All => true,
        };
        fits && standing.allows(self.now) && !self.tried.contains(&endpoint.address)
    }
}

impl View for Candidates<'_> {
    fn is_usable(&self, index: usize) -> bool {
        self.upstream.endpoints.get(index).is_some_and(|endpoint| {
            let max = self.upstream.config.max_connections;
            max.is_none_or(|max| endpoint.standing.active() < max) && self.is_fit(endpoint)
        })
    }

    fn load(&self, index: usize) -> Load {
        let endpoint = self.upstream.endpoints.get(index);
        endpoint.map_or_else(Load::default, |endpoint| endpoint.standing.load(self.now))
    }
}
