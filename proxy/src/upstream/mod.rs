//! Connections to endpoints: who is next, the idle ones kept by this worker, and new ones within their deadline.

mod choice;
mod connect;
mod figures;
mod outcome;
mod pings;
mod streams;
mod usual;
mod wait;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use openclaw_core::balance::{Balancer, Member, Pin, Zones};
use openclaw_core::config::{self, Balance};
use openclaw_core::health::{Budget, Usual};

pub use self::choice::{Choice, Chosen};
pub use self::connect::ConnectError;
use self::connect::Manner;
pub use self::figures::{Busy, Figures, Tally};
use self::streams::Streams;
pub use self::streams::{Lease, Room, Turn};
pub use self::wait::NoPlace;
use crate::net::Stream;
use crate::snapshot::{ClientTls, Queue, ResolvedEndpoint, Standing, UpstreamSetup};

/// Idle connections older than this are closed: most origins close them at 60 s or 75 s themselves.
const MAX_IDLE: Duration = Duration::from_secs(55);
/// Counts nowhere.
const GONE: u32 = u32::MAX;

/// One worker's view of an upstream.
#[derive(Debug)]
pub struct Upstream {
    pub config: config::Upstream,
    pub slot: u32,
    pub endpoints: Vec<Rc<Endpoint>>,
    /// Beside the endpoints.
    weights: Vec<u32>,
    /// Beside the endpoints, where clients stay with theirs.
    pins: Vec<Pin>,
    balancer: RefCell<Balancer>,
    /// Where some endpoints are nearer than others.
    zones: Option<Zones>,
    queue: Arc<Queue>,
    /// Of this worker. Goes on from snapshot to snapshot.
    budget: Rc<Cell<Budget>>,
    /// The same of how long answers take, where somebody goes by that.
    usual: Option<Rc<RefCell<Usual>>>,
    /// Idle connections of all endpoints together. Goes on from snapshot to snapshot, as they do.
    kept: Rc<Cell<usize>>,
    /// The one of this name that is served from now. Goes on from snapshot to snapshot.
    newest: Rc<RefCell<Weak<Self>>>,
}

/// One address and this worker's idle connections to it. Lives on over reloads as long as it is configured.
#[derive(Debug)]
pub struct Endpoint {
    pub address: SocketAddr,
    pub label: Arc<str>,
    pub slot: Cell<u32>,
    manner: Manner,
    standing: Arc<Standing>,
    idle: RefCell<Vec<Idle>>,
    /// Of its upstream.
    kept: Rc<Cell<usize>>,
    /// The snapshot in use does not have it any more, or has it drain, so that nothing is kept for it.
    is_retired: Cell<bool>,
    /// Where the endpoint speaks HTTP/2.
    streams: Streams,
    passed_over_until: Cell<Option<Instant>>,
    /// Requests of this worker that failed there since one went well.
    misses: Cell<u32>,
    /// What it has to do with on this worker.
    active: Cell<usize>,
    tally: Cell<Tally>,
    /// Its last body was of a length that goes through a pipe from the first page on.
    pub is_middling: Cell<bool>,
    /// When it was last said that there is no TLS with it.
    told: Cell<Option<Instant>>,
}

#[derive(Debug)]
struct Idle {
    stream: Stream,
    since: Instant,
}

/// A connection to an endpoint, for one exchange.
#[derive(Debug)]
pub struct Connection {
    pub stream: Stream,
    pub endpoint: Rc<Endpoint>,
    /// It has carried a request before, so that the endpoint may have closed it meanwhile.
    pub reused: bool,
}

impl Upstream {
    /// `former` is the upstream of the same name in the snapshot before: endpoints that stay keep their idle connections.
    /// `place` is which of how many workers this is.
    pub fn new(
        config: &config::Upstream,
        (setup, tls): (&UpstreamSetup, Option<&ClientTls>),
        slot: u32,
        endpoint_slots: &[u32],
        former: Option<&Self>,
        place: (usize, usize),
    ) -> Rc<Self> {
        let kept = former.map(|former| former.kept.clone()).unwrap_or_default();
        let manner = Manner::new(config, tls);
        let known = by_place(former);
        let known = |wanted: &ResolvedEndpoint| {
            let known = known.get(&(wanted.address, &*wanted.label)).copied()?;
            let is_same = known.manner == manner
                // A worker that was busy may have missed that it went and came back.
                && Arc::ptr_eq(&known.standing, &wanted.standing);
            is_same.then_some(known)
        };
        let endpoints = setup
            .endpoints
            .iter()
            .enumerate()
            .map(|(index, setup_of)| {
                let endpoint = known(setup_of)
                    .cloned()
                    .unwrap_or_else(|| Rc::new(Endpoint::new(setup_of, &manner, kept.clone())));
                endpoint.is_retired.set(setup_of.is_draining);
                endpoint
                    .slot
                    .set(endpoint_slots.get(index).copied().unwrap_or_default());
                endpoint
            })
            .collect();
        // One label may stand for several addresses.
        let names: Vec<String> = setup
            .endpoints
            .iter()
            .map(|endpoint| format!("{} {}", endpoint.label, endpoint.address))
            .collect();
        let members: Vec<Member<'_>> = names
            .iter()
            .zip(&setup.endpoints)
            .map(|(name, endpoint)| Member {
                name,
                weight: endpoint.share(),
            })
            .collect();
        let newest = former
            .map(|former| former.newest.clone())
            .unwrap_or_default();
        let upstream = Rc::new(Self {
            config: config.clone(),
            slot,
            endpoints,
            weights: members.iter().map(|member| member.weight).collect(),
            pins: setup.pins.clone(),
            queue: Arc::clone(&setup.queue),
            budget: former
                .map(|former| former.budget.clone())
                .unwrap_or_default(),
            usual: usual::usual(config, former),
            balancer: RefCell::new(Balancer::new(config.balance, &members, place)),
            zones: zones(config, setup),
            kept,
            newest: Rc::clone(&newest),
        });
        *newest.borrow_mut() = Rc::downgrade(&upstream);
        upstream
    }

    /// What is served from now in its place, where its endpoints are met in the same way.
    pub fn newest(&self) -> Option<Rc<Self>> {
        let newest = self.newest.borrow().upgrade()?;
        let manner = |one: &Self| (one.config.protocol, one.config.send_proxy_protocol);
        (manner(&newest) == manner(self)).then_some(newest)
    }

    /// The upstream is served from no more, but for exchanges that run: idle connections are closed, and none are kept
    /// from now on. Endpoints that the next snapshot has as well are brought back by it.
    pub fn retire(&self) {
        for endpoint in &self.endpoints {
            endpoint.is_retired.set(true);
            // Its place among the counters may be another's soon.
            endpoint.slot.set(GONE);
        }
    }

    /// It is served from after all, as it was set up.
    pub fn revive(&self, setup: &UpstreamSetup, slots: &[u32]) {
        let setups = setup.endpoints.iter().zip(slots);
        for (endpoint, (of, slot)) in self.endpoints.iter().zip(setups) {
            endpoint.is_retired.set(of.is_draining);
            endpoint.slot.set(*slot);
        }
    }

    /// Closes what no exchange will take any more.
    pub fn close_retired(&self) {
        for endpoint in &self.endpoints {
            if endpoint.is_retired.get() {
                endpoint.retain(|_idle| false);
                endpoint.streams.leave();
            }
        }
    }

    /// Whether the balancer goes by what endpoints have to do; only then is it counted, since workers share the counters.
    fn counts(&self) -> bool {
        match self.config.balance {
            Balance::LeastConnections | Balance::LeastTime | Balance::Random => true,
            Balance::RoundRobin | Balance::IpHash | Balance::UrlHash | Balance::Maglev => false,
        }
    }

    /// A request is going to be asked, for the first time.
    pub fn will_ask(&self) {
        let mut budget = self.budget.get();
        budget.asked(self.config.retry_budget);
        self.budget.set(budget);
    }

    /// Whether one more request may be asked again: if so, it counts.
    pub fn may_retry(&self, now: Instant) -> bool {
        let mut budget = self.budget.get();
        let may = budget.spend(now);
        self.budget.set(budget);
        may
    }

    /// Whether one more request may be asked elsewhere although nothing has failed: if so, it counts.
    pub fn may_hedge(&self, now: Instant) -> bool {
        let mut budget = self.budget.get();
        let may = budget.spend_spare(now);
        self.budget.set(budget);
        may
    }

    /// Keeps a connection for the next exchange, within `keepalive`; one that was announced as a client's is nobody else's.
    pub fn keep(&self, connection: Connection, since: Instant) {
        let endpoint = &connection.endpoint;
        let is_anybodys = self.config.send_proxy_protocol.is_none();
        let is_wanted = is_anybodys && !endpoint.is_retired.get();
        if is_wanted && self.kept.get() < self.config.keepalive {
            self.kept.set(self.kept.get() + 1);
            endpoint.idle.borrow_mut().push(Idle {
                stream: connection.stream,
                since,
            });
        }
    }

    /// Closes connections that have been idle for long, and those whose endpoint is gone; called about once a second.
    pub fn sweep(&self, now: Instant) {
        for endpoint in &self.endpoints {
            endpoint.retain(|idle| now.duration_since(idle.since) < MAX_IDLE);
            if let Some(every) = self.config.ping {
                let gone = endpoint.streams.keep_alive(now, every);
                if gone > 0 {
                    let (upstream, endpoint) = (&*self.config.name, &*endpoint.label);
                    tracing::warn!(
                        upstream,
                        endpoint,
                        connections = gone,
                        "gone: no answer to a PING"
                    );
                }
            }
            let keeps = self.config.keepalive > 0;
            endpoint
                .streams
                .retain(|since| keeps && now.duration_since(since) < MAX_IDLE);
        }
    }
}

/// The endpoints of the snapshot before by address and label. There may be thousands, of which few are others than before.
fn by_place(former: Option<&Upstream>) -> HashMap<(SocketAddr, &str), &Rc<Endpoint>> {
    let known = former.into_iter().flat_map(|former| &former.endpoints);
    known
        .map(|known| ((known.address, &*known.label), known))
        .collect()
}

/// Where the proxy has a zone, which endpoints are in it. One that drains is missed there as one that is not well is.
fn zones(config: &config::Upstream, setup: &UpstreamSetup) -> Option<Zones> {
    let own = config.zone.as_ref()?;
    let members = setup.endpoints.iter().map(|endpoint| {
        let is_near = endpoint.zone.as_ref() == Some(own);
        (endpoint.weight, is_near)
    });
    Zones::new(members.collect(), config.spill_below)
}

impl Connection {
    /// The endpoint will see a reset and no clean end.
    pub fn reset_on_close(&self) {
        self.stream.reset_on_close();
    }
}

impl Endpoint {
    fn new(resolved: &ResolvedEndpoint, manner: &Manner, kept: Rc<Cell<usize>>) -> Self {
        Self {
            address: resolved.address,
            label: resolved.label.clone(),
            slot: Cell::new(0),
            is_middling: Cell::new(false),
            manner: manner.clone(),
            standing: Arc::clone(&resolved.standing),
            idle: RefCell::default(),
            kept,
            is_retired: Cell::new(false),
            streams: Streams::default(),
            passed_over_until: Cell::new(None),
            misses: Cell::new(0),
            active: Cell::new(0),
            tally: Cell::default(),
            told: Cell::new(None),
        }
    }

    /// Closes the idle connections that are not wanted.
    fn retain(&self, wanted: impl FnMut(&Idle) -> bool) {
        let mut idle = self.idle.borrow_mut();
        let before = idle.len();
        idle.retain(wanted);
        self.kept.set(self.kept.get() - (before - idle.len()));
    }

    /// What probes say.
    pub fn is_well(&self) -> bool {
        self.standing.is_well()
    }

    fn is_passed_over(&self, now: Instant) -> bool {
        self.passed_over_until
            .get()
            .is_some_and(|until| now < until)
    }

    /// The youngest idle connection at which nothing has arrived since its last response: bytes behind a response would be
    /// taken for the answer to somebody else's request.
    pub fn idle_connection(self: &Rc<Self>) -> Option<Connection> {
        loop {
            let mut idle = self.idle.borrow_mut().pop()?;
            self.kept.set(self.kept.get() - 1);
            if idle.stream.is_silent() {
                return Some(Connection {
                    stream: idle.stream,
                    endpoint: self.clone(),
                    reused: true,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
