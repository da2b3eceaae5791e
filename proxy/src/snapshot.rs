//! A configuration made ready to serve: compiled once by the control plane, immutable, shared by all workers.

mod client_tls;
mod pages;
mod queue;
mod quic_ids;
mod sessions;
mod standing;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use openclaw_core::balance::Pin;
use openclaw_core::certificates::ByName;
use openclaw_core::config::Config;
use openclaw_core::limit::Table;
use openclaw_core::overlay::Origin;

pub use self::client_tls::ClientTls;
pub use self::pages::{Page, Pages};
pub use self::queue::{Queue, Waiter};
pub use self::quic_ids::{QuicId, QuicIds};
pub use self::sessions::{Client, Kept, Place, Session, Sessions};
use crate::cache::Store;

pub use self::standing::{Standing, UnderWay};

/// What every worker serves from until the next one arrives.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts reloads, from 1.
    pub generation: u64,
    pub config: Config,
    pub router: openclaw_core::route::Router,
    /// Beside `config.listeners`.
    pub listeners: Vec<ListenerSetup>,
    /// Beside `config.upstreams`.
    pub upstreams: Vec<UpstreamSetup>,
    /// Beside `config.upstreams`; nothing where endpoints are spoken with in the clear.
    pub secured: Vec<Option<ClientTls>>,
    /// Beside `config.routes`; nothing where a route has no limit.
    pub limits: Vec<Option<LimitSetup>>,
    /// Beside `config.routes`: what clients read of refusals.
    pub pages: Vec<Pages>,
    /// Where responses are stored, if a route wants that. Goes on from snapshot to snapshot.
    pub cache: Option<Arc<Store>>,
}

/// What a listener needs beyond its configuration.
#[derive(Clone, Debug)]
pub struct ListenerSetup {
    pub tls: Option<TlsSetup>,
    /// What new QUIC connections get, where HTTP/3 is spoken.
    pub quic: Option<Arc<quinn_proto::ServerConfig>>,
    /// Goes on from snapshot to snapshot while the listener keeps its name.
    pub permits: Arc<Permits>,
    /// The same of datagrams that are forwarded: which endpoint has whose.
    pub sessions: Arc<Sessions>,
    /// What clients read of refusals.
    pub pages: Arc<Pages>,
}

/// What a handshake needs, and what requests are held against afterwards.
#[derive(Clone, Debug)]
pub struct TlsSetup {
    pub config: Arc<rustls::ServerConfig>,
    pub names: Arc<ByName>,
}

/// An upstream with its names resolved.
#[derive(Clone, Debug, Default)]
pub struct UpstreamSetup {
    pub endpoints: Vec<ResolvedEndpoint>,
    /// Goes on from snapshot to snapshot while the upstream keeps its name.
    pub queue: Arc<Queue>,
    /// Beside the endpoints, where clients stay with theirs.
    pub pins: Vec<Pin>,
}

/// What a limit counts with. It goes on from snapshot to snapshot while the route keeps its name.
#[derive(Clone, Debug)]
pub struct LimitSetup {
    /// All routes and workers share it.
    pub table: Arc<Table>,
    /// Where its times begin.
    pub began: Instant,
    /// Goes into the hash of the route's keys: with another number all of them begin anew.
    pub salt: Arc<AtomicU64>,
}

/// One address that connections are made to.
#[derive(Clone, Debug)]
pub struct ResolvedEndpoint {
    pub address: SocketAddr,
    pub weight: u32,
    /// Where it stands.
    pub zone: Option<Arc<str>>,
    /// As written in the configuration, for logs and metrics.
    pub label: Arc<str>,
    /// Who names it.
    pub origin: Origin,
    /// It gets nothing new.
    pub is_draining: bool,
    /// Goes on from snapshot to snapshot while the upstream has the endpoint.
    pub standing: Arc<Standing>,
}

/// How many connections a listener has, over all workers: taken at accept, never on the request path.
#[derive(Debug, Default)]
pub struct Permits {
    total: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection's place; given back on drop.
#[derive(Debug)]
pub struct Permit {
    permits: Arc<Permits>,
    address: IpAddr,
}

/// The same for who connects to it; what is known of it meanwhile is no difference, but whether it is the same knowledge is: one
/// that went and came back is another.
impl PartialEq for ResolvedEndpoint {
    fn eq(&self, other: &Self) -> bool {
        let numbers = |one: &Self| (one.address, one.weight, one.is_draining);
        let names = (&self.label, &self.origin, &self.zone);
        let is_same = names == (&other.label, &other.origin, &other.zone);
        is_same && numbers(self) == numbers(other) && Arc::ptr_eq(&self.standing, &other.standing)
    }
}

impl Eq for ResolvedEndpoint {}

/// The same if its endpoints are; who waits for them is no difference.
impl PartialEq for UpstreamSetup {
    fn eq(&self, other: &Self) -> bool {
        self.endpoints == other.endpoints
    }
}

impl Eq for UpstreamSetup {}

impl UpstreamSetup {
    /// Whether probes call all of those unwell that are to serve. All are asked then: it is probably the probes that are wrong.
    pub fn is_all_down(&self) -> bool {
        let serving = self.endpoints.iter().filter(|one| one.share() > 0);
        let mut serving = serving.peekable();
        serving.peek().is_some() && serving.all(|one| !one.standing.is_well())
    }
}

impl Snapshot {
    /// Takes over sessions of forwarded datagrams from the process before, by listener.
    pub fn inherit(&self, sessions: Vec<(String, Vec<Session>)>) {
        let now = Instant::now();
        for (name, sessions) in sessions {
            let mut listeners = self.config.listeners.iter().zip(&self.listeners);
            // One that the new configuration does not have any more has none that go on.
            if let Some((listener, setup)) = listeners.find(|(one, _)| *one.name == *name) {
                setup
                    .sessions
                    .inherit(sessions, now + listener.idle_timeout);
            }
        }
    }

    /// What clients of a listener read of a refusal with this status, where that is not the usual text. A route's own page
    /// comes before the listener's, whatever either is for.
    pub fn page(&self, listener: &str, route: Option<usize>, status: u16) -> Option<&Page> {
        let of_route = route.and_then(|index| self.pages.get(index));
        if let Some(page) = of_route.and_then(|pages| pages.find(status)) {
            return Some(page);
        }
        let mut listeners = self.config.listeners.iter();
        let index = listeners.position(|known| *known.name == *listener)?;
        self.listeners.get(index)?.pages.find(status)
    }
}

impl ResolvedEndpoint {
    /// The weight that a choice goes by.
    pub fn share(&self) -> u32 {
        if self.is_draining { 0 } else { self.weight }
    }
}

impl Permits {
    /// A place within both limits. IPv6 addresses count by their /64, which is what one client has.
    pub fn take(
        self: &Arc<Self>,
        address: IpAddr,
        max: usize,
        max_per_address: usize,
    ) -> Option<Permit> {
        let address = one_client(address);
        if self.total.fetch_add(1, Ordering::Relaxed) >= max {
            self.total.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        if !self.enter(address, max_per_address) {
            self.total.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Permit {
            permits: self.clone(),
            address,
        })
    }

    fn enter(&self, address: IpAddr, max: usize) -> bool {
        let mut by_address = self.by_address();
        let count = by_address.entry(address).or_default();
        if *count >= max {
            return false;
        }
        *count += 1;
        true
    }

    fn leave(&self, address: IpAddr) {
        let mut by_address = self.by_address();
        if let Some(count) = by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
            }
        }
    }

    fn by_address(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// The place is another client's from now on, if that one has less than `max`.
    pub fn pass_to(&mut self, address: IpAddr, max: usize) -> bool {
        let address = one_client(address);
        let enters = self.permits.enter(address, max);
        if enters {
            self.permits.leave(self.address);
            self.address = address;
        }
        enters
    }
}

/// Of an IPv6 client's addresses its /64.
fn one_client(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & (u128::MAX << 64)).into()),
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.total.fetch_sub(1, Ordering::Relaxed);
        self.permits.leave(self.address);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Permits;

    #[test]
    fn places_are_limited_in_all_and_per_client_and_come_back() {
        let permits = Arc::new(Permits::default());
        let take = |text: &str| {
            text.parse()
                .ok()
                .and_then(|address| permits.take(address, 3, 2))
        };
        let first = take("192.0.2.1");
        let second = take("192.0.2.1");
        assert!(first.is_some() && second.is_some());
        assert!(take("192.0.2.1").is_none(), "two per address");
        let third = take("2001:db8::1");
        assert!(third.is_some());
        assert!(take("2001:db8::2").is_none(), "three in all");
        drop(first);
        let fourth = take("2001:db8::ffff");
        assert!(fourth.is_some(), "a place came back");
        drop(second);
        assert!(take("2001:db8::3").is_none(), "one /64 is one client");
    }

    #[test]
    fn a_place_can_be_passed_on_to_a_client_that_has_less_than_it_may() {
        let permits = Arc::new(Permits::default());
        let [proxy, client]: [std::net::IpAddr; 2] = [[192, 0, 2, 1].into(), [192, 0, 2, 2].into()];
        let mut places = [(); 3].map(|()| permits.take(proxy, 3, usize::MAX));
        let passed: Vec<bool> = places
            .iter_mut()
            .flatten()
            .map(|place| place.pass_to(client, 2))
            .collect();
        assert_eq!(passed, [true, true, false]);
        drop(places);
        assert!(permits.take(client, 3, 1).is_some(), "all came back");
        assert!(permits.by_address().is_empty());
    }
}
