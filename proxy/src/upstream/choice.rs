//! Who serves an exchange: the balancer's choice among the endpoints that are fit and have room, and the wait for room
//! where none has.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use openclaw_core::balance::{Balancer, Key, Load, Pin, View, WHOLE};
use openclaw_core::config::{RetryOn, Upstream as Config};
use openclaw_core::health::ramp;

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
#[derive(Clone, Copy)]
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
            while let Some(index) = self.next(&mut balancer, (key, random), &candidates) {
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

    /// The balancer's next choice, near ones first where some are.
    fn next(
        &self,
        balancer: &mut Balancer,
        (key, random): (Key, u64),
        candidates: &Candidates<'_>,
    ) -> Option<usize> {
        let Some(zones) = &self.zones else {
            return balancer.next(key, random, candidates);
        };
        let all = self.candidates(&[], candidates.now, Among::Fit);
        let is_well = |index: usize| {
            let endpoint = self.endpoints.get(index).zip(self.weights.get(index));
            endpoint.is_some_and(|(endpoint, weight)| *weight > 0 && all.is_fit(endpoint))
        };
        zones.next(balancer, (key, random), candidates, is_well)
    }

    /// Whether another endpoint than this one and those in `tried` is fit and has room.
    pub fn has_another(&self, tried: &[SocketAddr], endpoint: &Endpoint, now: Instant) -> bool {
        let candidates = self.candidates(tried, now, Among::Fit);
        let others = self.endpoints.iter().zip(&self.weights).enumerate();
        let mut others =
            others.filter(|(_, (other, weight))| **weight > 0 && other.address != endpoint.address);
        others.any(|(index, _)| candidates.is_usable(index))
    }

    /// Whether somebody else may be asked where this endpoint took no connection, after so many tries that count for `retries`;
    /// and how many this one counts for: none while somebody is left who is not known to be as bad.
    pub fn may_connect_elsewhere(
        &self,
        tried: &[SocketAddr],
        endpoint: &Endpoint,
        counted: u32,
    ) -> Option<u32> {
        let Config {
            retries, retry_on, ..
        } = &self.config;
        if *retries == 0 || !retry_on.contains(&RetryOn::Connect) {
            return None;
        }
        let now = Instant::now();
        let counts = u32::from(!self.has_another(tried, endpoint, now));
        (counted + counts <= *retries && self.may_retry(now)).then_some(counts)
    }

    /// The endpoint that a client stays with, if it is fit, takes new exchanges and has room.
    pub fn pinned(&self, pin: Pin, now: Instant) -> Option<Chosen> {
        let index = self.pins.iter().position(|known| *known == pin)?;
        let candidates = self.candidates(&[], now, Among::Fit);
        let takes_new = self.weights.get(index).is_some_and(|weight| *weight > 0);
        (takes_new && candidates.is_usable(index))
            .then(|| self.take(index, now))
            .flatten()
    }

    /// The endpoint of this address, for whoever has something there already: it counts there, but needs no room. Nothing
    /// where what runs is to end.
    pub fn known(&self, address: SocketAddr) -> Option<Chosen> {
        let mut endpoints = self.endpoints.iter();
        let endpoint =
            endpoints.find(|known| known.address == address && !known.standing.is_cut())?;
        let standing = &endpoint.standing;
        let under_way = match self.config.max_connections {
            Some(max) => Some(standing.go_on(max, &self.queue)),
            None => self.counts().then(|| standing.begin()),
        };
        Some(Chosen {
            endpoint: Rc::clone(endpoint),
            under_way,
        })
    }

    /// What a client that was at this endpoint is to come back with.
    pub fn pin_of(&self, endpoint: &Rc<Endpoint>) -> Option<Pin> {
        let mut endpoints = self.endpoints.iter();
        let index = endpoints.position(|known| Rc::ptr_eq(known, endpoint))?;
        self.pins.get(index).copied()
    }

    /// Joins those who wait for a place at an endpoint that would do, or goes on waiting, in its place, for those that do now;
    /// nothing if as many wait as may. Whoever has joined has to ask [`Self::choose`] once more before waiting.
    pub(super) fn join_queue(
        &self,
        waiter: Option<Waiter>,
        tried: &[SocketAddr],
        now: Instant,
    ) -> Option<Waiter> {
        let wanted = self.wanted(tried, now);
        let wanted = wanted.map(|endpoint| Arc::clone(&endpoint.standing));
        let wanted = wanted.collect();
        match waiter {
            Some(waiter) => {
                waiter.want(wanted);
                Some(waiter)
            }
            None => self.queue.join(wanted, self.config.queue),
        }
    }

    /// The endpoint at which a place came free, unless it would not be waited for any more.
    pub(super) fn seated(
        &self,
        place: UnderWay,
        tried: &[SocketAddr],
        now: Instant,
    ) -> Option<Chosen> {
        let mut wanted = self.wanted(tried, now);
        let endpoint = wanted.find(|known| Arc::ptr_eq(&known.standing, place.standing()))?;
        self.passes_breaker(endpoint, now).then(|| Chosen {
            endpoint: Rc::clone(endpoint),
            under_way: Some(place),
        })
    }

    /// The endpoints at one of which a place is worth waiting for.
    fn wanted<'a>(
        &'a self,
        tried: &'a [SocketAddr],
        now: Instant,
    ) -> impl Iterator<Item = &'a Rc<Endpoint>> {
        let among = [Among::Fit, Among::Well, Among::All].into_iter();
        let mut among = among.map(move |among| self.candidates(tried, now, among));
        let some = among.find(|candidates| candidates.fit().next().is_some());
        some.into_iter().flat_map(Candidates::fit)
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
    fn fit(self) -> impl Iterator<Item = &'a Rc<Endpoint>> {
        let Upstream {
            endpoints, weights, ..
        } = self.upstream;
        let weighted = endpoints.iter().zip(weights);
        weighted.filter_map(move |(endpoint, weight)| {
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

    fn share(&self, index: usize) -> u32 {
        let Upstream {
            config, endpoints, ..
        } = self.upstream;
        match (config.slow_start, endpoints.get(index)) {
            (Some(whole), Some(endpoint)) => ramp(endpoint.standing.age(self.now), whole),
            (None, _) | (_, None) => WHOLE,
        }
    }
}
