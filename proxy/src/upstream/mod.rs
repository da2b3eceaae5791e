//! Connections to endpoints: who is next, the idle ones kept by this worker, and new ones within their deadline.

mod choice;
mod streams;
mod wait;

use std::cell::{Cell, RefCell};
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openclaw_core::balance::{Balancer, Member};
use openclaw_core::config::{self, Balance};
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};

pub use self::choice::{Choice, Chosen};
use self::streams::Streams;
pub use self::streams::{Lease, Room, Turn};
pub use self::wait::NoPlace;
use crate::net::descriptors;
use crate::snapshot::{Queue, ResolvedEndpoint, Standing, UpstreamSetup};

/// How long an endpoint that refused a connection is passed over while others are left.
const PASS_OVER: Duration = Duration::from_secs(2);
/// Idle connections older than this are closed: most origins close them at 60 s or 75 s themselves.
const MAX_IDLE: Duration = Duration::from_secs(55);

/// One worker's view of an upstream.
#[derive(Debug)]
pub struct Upstream {
    pub config: config::Upstream,
    pub slot: u32,
    pub endpoints: Vec<Rc<Endpoint>>,
    /// Beside the endpoints.
    weights: Vec<u32>,
    balancer: RefCell<Balancer>,
    queue: Arc<Queue>,
    /// Idle connections of all endpoints together. Goes on from snapshot to snapshot, as they do.
    kept: Rc<Cell<usize>>,
}

/// One address and this worker's idle connections to it. Lives on over reloads as long as it is configured.
#[derive(Debug)]
pub struct Endpoint {
    pub address: SocketAddr,
    pub label: Arc<str>,
    pub slot: Cell<u32>,
    standing: Arc<Standing>,
    idle: RefCell<Vec<Idle>>,
    /// Of its upstream.
    kept: Rc<Cell<usize>>,
    /// The snapshot in use does not have it any more, so that nothing is kept for it.
    is_retired: Cell<bool>,
    /// Where the endpoint speaks HTTP/2.
    streams: Streams,
    passed_over_until: Cell<Option<Instant>>,
}

#[derive(Debug)]
struct Idle {
    tcp: TcpStream,
    since: Instant,
}

/// A connection to an endpoint, for one exchange.
#[derive(Debug)]
pub struct Connection {
    pub tcp: TcpStream,
    pub endpoint: Rc<Endpoint>,
    /// It has carried a request before, so that the endpoint may have closed it meanwhile.
    pub reused: bool,
}

impl Upstream {
    /// `former` is the upstream of the same name in the snapshot before: endpoints that stay keep their idle connections.
    /// `place` is which of how many workers this is.
    pub fn new(
        config: &config::Upstream,
        setup: &UpstreamSetup,
        slot: u32,
        endpoint_slots: &[u32],
        former: Option<&Self>,
        place: (usize, usize),
    ) -> Self {
        let kept = former.map(|former| former.kept.clone()).unwrap_or_default();
        let known = |wanted: &ResolvedEndpoint| {
            let mut known = former?.endpoints.iter();
            known.find(|known| known.address == wanted.address && known.label == wanted.label)
        };
        let endpoints = setup
            .endpoints
            .iter()
            .enumerate()
            .map(|(index, endpoint)| {
                let endpoint = known(endpoint)
                    .cloned()
                    .unwrap_or_else(|| Rc::new(Endpoint::new(endpoint, kept.clone())));
                endpoint.is_retired.set(false);
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
        Self {
            config: config.clone(),
            slot,
            endpoints,
            weights: members.iter().map(|member| member.weight).collect(),
            queue: Arc::clone(&setup.queue),
            balancer: RefCell::new(Balancer::new(config.balance, &members, place)),
            kept,
        }
    }

    /// The upstream is served from no more, but for exchanges that run: idle connections are closed, and none are kept
    /// from now on. Endpoints that the next snapshot has as well are brought back by it.
    pub fn retire(&self) {
        for endpoint in &self.endpoints {
            endpoint.is_retired.set(true);
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
            return self.failed(endpoint, sent.elapsed());
        }
        if let Some(answered) = answered.filter(|_| self.counts()) {
            let took = answered.duration_since(sent);
            endpoint.standing.answered(took, answered);
        }
        if self.config.breaker.is_some() && endpoint.standing.succeeded() {
            let (upstream, endpoint) = (&*self.config.name, &*endpoint.label);
            tracing::info!(
                upstream,
                endpoint,
                "the breaker closes: a request went well"
            );
        }
    }

    /// The endpoint has failed after `took`. One that fails at once must not pass for a quick one.
    pub fn failed(&self, endpoint: &Endpoint, took: Duration) {
        let now = Instant::now();
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
                "the breaker opens: too many requests failed"
            );
        }
    }

    /// Keeps a connection for the next exchange, within `keepalive`.
    pub fn keep(&self, connection: Connection, since: Instant) {
        let endpoint = &connection.endpoint;
        if self.kept.get() < self.config.keepalive && !endpoint.is_retired.get() {
            self.kept.set(self.kept.get() + 1);
            endpoint.idle.borrow_mut().push(Idle {
                tcp: connection.tcp,
                since,
            });
        }
    }

    /// Closes connections that have been idle for long; called about once a second.
    pub fn sweep(&self, now: Instant) {
        for endpoint in &self.endpoints {
            endpoint.retain(|idle| now.duration_since(idle.since) < MAX_IDLE);
            let keeps = self.config.keepalive > 0;
            endpoint
                .streams
                .retain(|since| keeps && now.duration_since(since) < MAX_IDLE);
        }
    }
}

impl Connection {
    /// The endpoint will see a reset and no clean end.
    pub fn reset_on_close(&self) {
        // Where the option cannot be set the socket is gone already.
        let _ = SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO));
    }
}

impl Endpoint {
    fn new(resolved: &ResolvedEndpoint, kept: Rc<Cell<usize>>) -> Self {
        Self {
            address: resolved.address,
            label: resolved.label.clone(),
            slot: Cell::new(0),
            standing: Arc::clone(&resolved.standing),
            idle: RefCell::default(),
            kept,
            is_retired: Cell::new(false),
            streams: Streams::default(),
            passed_over_until: Cell::new(None),
        }
    }

    /// Closes the idle connections that are not wanted.
    fn retain(&self, wanted: impl FnMut(&Idle) -> bool) {
        let mut idle = self.idle.borrow_mut();
        let before = idle.len();
        idle.retain(wanted);
        self.kept.set(self.kept.get() - (before - idle.len()));
    }

    fn is_passed_over(&self, now: Instant) -> bool {
        self.passed_over_until
            .get()
            .is_some_and(|until| now < until)
    }

    /// The youngest idle connection at which nothing has arrived since its last response. The kernel is asked, not the
    /// runtime's readiness flag, which is as old as the last turn of the event loop: bytes behind a response would be
    /// taken for the answer to somebody else's request.
    pub fn idle_connection(self: &Rc<Self>) -> Option<Connection> {
        loop {
            let idle = self.idle.borrow_mut().pop()?;
            self.kept.set(self.kept.get() - 1);
            let peek = SockRef::from(&idle.tcp).peek(&mut [MaybeUninit::uninit()]);
            let silent = peek.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
            if silent {
                return Some(Connection {
                    tcp: idle.tcp,
                    endpoint: self.clone(),
                    reused: true,
                });
            }
        }
    }

    /// Opens a new connection.
    ///
    /// # Errors
    /// Of the socket; the caller bounds the time.
    pub async fn connect(self: &Rc<Self>) -> io::Result<Connection> {
        let socket = if self.address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        let socket = descriptors::spend(socket)?;
        socket.set_nodelay(true)?;
        let tcp = socket.connect(self.address).await?;
        self.passed_over_until.set(None);
        Ok(Connection {
            tcp,
            endpoint: self.clone(),
            reused: false,
        })
    }

    /// Notes that no connection could be had.
    pub fn failed(&self, now: Instant) {
        self.passed_over_until.set(Some(now + PASS_OVER));
    }
}

#[cfg(test)]
mod tests;
