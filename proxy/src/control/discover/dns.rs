//! Asks name servers. A plain name is looked for as programs of this machine do: in `/etc/hosts`, then at the servers of
//! `/etc/resolv.conf` with its search domains, and where those do not know it, by the system's own resolver, whose answers have no
//! time to live.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use futures_util::future::{Either, select};
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, ResolverBuilder, TokioResolver};
use openclaw_core::discovery::dns::{Family, Service, keep, services, time_to_live};
use openclaw_core::discovery::{Answer, Endpoint, rhythm};
use tokio::net::lookup_host;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::error::DiscoverError;
use super::follower::Follower;

/// A name server that does not answer must not hold a start up for minutes.
const WITHIN: Duration = Duration::from_secs(10);
/// When the addresses of one family are there, the others are waited for so long: there are name servers that drop questions of a kind
/// that they do not know.
const BESIDE: Duration = Duration::from_millis(1500);
/// After an answer in which one family is missing.
const AGAIN: Duration = Duration::from_secs(3);
/// One try at a name server that is named in the configuration.
const TRY: Duration = Duration::from_secs(1);
/// So many lookups are under way at a time with each name server, and as many with the system: each has sockets of its own, and there
/// may be names by the thousand in the answer of a registry.
const AT_A_TIME: usize = 16;
/// What a file says is looked at this often.
const FILE_FOR: Duration = Duration::from_secs(5);
/// What the system's resolver says is asked for this often.
const SYSTEM_FOR: Duration = Duration::from_secs(30);

const HOSTS: &str = "/etc/hosts";
const RESOLV: &str = "/etc/resolv.conf";

/// An answer, and how long it is good.
type Found = (Answer, Duration);

/// What a name stands for.
#[derive(Debug)]
struct Addresses {
    found: Vec<IpAddr>,
    good_for: Duration,
    /// Nothing could be learnt of these.
    silent: Option<Family>,
}

/// The name servers there are, each asked through one resolver.
#[derive(Debug, Default)]
pub(super) struct Resolvers {
    system: RefCell<Option<System>>,
    given: RefCell<HashMap<SocketAddr, Rc<TokioResolver>>>,
    /// By name server; none: the system.
    turns: RefCell<HashMap<Option<SocketAddr>, Rc<Semaphore>>>,
}

/// What the files of the system say.
#[derive(Clone, Debug)]
struct System {
    /// When they were written.
    of: [Option<SystemTime>; 2],
    /// None: there is no name server in the file, or no file.
    resolver: Option<Rc<TokioResolver>>,
    hosts: Rc<Hosts>,
}

/// Follows the addresses of a name.
pub(super) async fn follow_name(
    follower: Rc<Follower>,
    resolvers: Rc<Resolvers>,
    (host, port, resolver): (String, u16, Option<SocketAddr>),
) {
    loop {
        let before = follower.last().map(|last| last.endpoints);
        let before = before.as_deref().unwrap_or_default();
        let answer = resolvers.addresses(&host, port, resolver, before).await;
        rest(&follower, answer).await;
    }
}

/// Follows the SRV records of a name.
pub(super) async fn follow_service(
    follower: Rc<Follower>,
    resolvers: Rc<Resolvers>,
    (name, resolver): (String, Option<SocketAddr>),
) {
    loop {
        let answer = resolvers.services(&name, resolver).await;
        rest(&follower, answer).await;
    }
}

async fn rest(follower: &Follower, answer: Result<Found, DiscoverError>) {
    let (answer, good_for) = match answer {
        Ok((answer, ttl)) => (Ok(answer), rhythm::good_for(ttl)),
        Err(error) => (Err(error), Duration::ZERO),
    };
    let time = match follower.learn(answer) {
        Ok(()) => good_for,
        Err(back_off) => back_off,
    };
    follower.rest(time).await;
}

impl Resolvers {
    /// The addresses of a name, as endpoints. Those of `before` stay where nothing can be learnt of their family.
    pub(super) async fn addresses(
        &self,
        host: &str,
        port: u16,
        resolver: Option<SocketAddr>,
        before: &[Endpoint],
    ) -> Result<Found, DiscoverError> {
        let asking = async {
            match resolver {
                Some(server) => ask(&*self.given(server)?, host).await,
                None => self.ask_system(host).await,
            }
        };
        let turns = self.turns(resolver);
        // Nobody closes it; and the time of a question begins when it is put.
        let _turn = turns.acquire().await;
        let asked = timeout(WITHIN, asking).await;
        let Addresses {
            found,
            good_for,
            silent,
        } = asked.unwrap_or(Err(DiscoverError::Slow(WITHIN)))?;
        let found = found.into_iter();
        let endpoints = found.map(|ip| Endpoint::at(SocketAddr::new(ip, port)));
        let mut endpoints: Vec<Endpoint> = endpoints.collect();
        if let Some(silent) = silent {
            keep(&mut endpoints, silent, before);
        }
        Ok((endpoints.into(), good_for))
    }

    async fn services(
        &self,
        name: &str,
        resolver: Option<SocketAddr>,
    ) -> Result<Found, DiscoverError> {
        let asked = async {
            let resolver = match resolver {
                Some(server) => self.given(server)?,
                None => self.system().resolver.ok_or_else(|| no_service(name))?,
            };
            resolver
                .lookup(name, RecordType::SRV)
                .await
                .map_err(|source| {
                    if source.is_no_records_found() {
                        return no_service(name);
                    }
                    let name = name.to_owned();
                    DiscoverError::Dns { name, source }
                })
        };
        let turns = self.turns(resolver);
        let _turn = turns.acquire().await;
        let answer = timeout(WITHIN, asked).await;
        let answer = answer.unwrap_or(Err(DiscoverError::Slow(WITHIN)))?;
        let records = answer.answers().iter().filter_map(|record| {
            let RData::SRV(srv) = &record.data else {
                return None;
            };
            Some(Service {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: srv.target.to_utf8(),
            })
        });
        let records: Vec<Service> = records.collect();
        if records.is_empty() {
            return Err(no_service(name));
        }
        Ok((services(records), lasts(&answer)))
    }

    fn turns(&self, resolver: Option<SocketAddr>) -> Rc<Semaphore> {
        let mut turns = self.turns.borrow_mut();
        let turns = turns.entry(resolver);
        Rc::clone(turns.or_insert_with(|| Rc::new(Semaphore::new(AT_A_TIME))))
    }

    async fn ask_system(&self, host: &str) -> Result<Addresses, DiscoverError> {
        let system = self.system();
        if let Some(found) = static_addresses(&system.hosts, host) {
            return Ok(Addresses::whole(found, FILE_FOR));
        }
        let mut is_denied = false;
        if let Some(resolver) = &system.resolver {
            match ask(resolver, host).await {
                Err(DiscoverError::NoAddress { .. }) => is_denied = true,
                answer => return answer,
            }
        }
        // Names of the machine, of containers, of directories: what else the system asks is its own matter.
        let found = lookup_host((host, 0)).await;
        let found = found.map_err(|source| DiscoverError::System {
            name: host.to_owned(),
            is_denied,
            source,
        })?;
        let found: Vec<IpAddr> = found.map(|address| address.ip()).collect();
        if found.is_empty() {
            return Err(no_address(host));
        }
        Ok(Addresses::whole(found, SYSTEM_FOR))
    }

    /// Read anew when a file has changed.
    fn system(&self) -> System {
        let of = [HOSTS, RESOLV].map(|path| {
            // A file that is not there has no time.
            let written = std::fs::metadata(path).and_then(|file| file.modified());
            written.ok()
        });
        let mut system = self.system.borrow_mut();
        if let Some(known) = system.as_ref().filter(|known| known.of == of) {
            return known.clone();
        }
        let built = TokioResolver::builder_tokio().map(configured);
        let read = System {
            of,
            resolver: match built.and_then(ResolverBuilder::build) {
                Ok(resolver) => Some(Rc::new(resolver)),
                Err(error) => {
                    tracing::debug!(%error, "no name server is known; only the system is asked");
                    None
                }
            },
            hosts: Rc::new(Hosts::from_system().unwrap_or_default()),
        };
        *system = Some(read.clone());
        read
    }

    fn given(&self, server: SocketAddr) -> Result<Rc<TokioResolver>, DiscoverError> {
        if let Some(resolver) = self.given.borrow().get(&server) {
            return Ok(Rc::clone(resolver));
        }
        let [mut udp, mut tcp] = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
        [udp.port, tcp.port] = [server.port(); 2];
        let servers = vec![NameServerConfig::new(server.ip(), true, vec![udp, tcp])];
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let provider = TokioRuntimeProvider::default();
        let mut builder = configured(TokioResolver::builder_with_config(config, provider));
        builder.options_mut().timeout = TRY;
        let resolver = builder
            .build()
            .map_err(|source| DiscoverError::Server { server, source })?;
        let resolver = Rc::new(resolver);
        self.given.borrow_mut().insert(server, Rc::clone(&resolver));
        Ok(resolver)
    }
}

/// Times to live are ours to follow, so nothing is kept in between; the hosts file is asked before.
fn configured<P>(mut builder: ResolverBuilder<P>) -> ResolverBuilder<P>
where
    P: hickory_resolver::ConnectionProvider,
{
    let options: &mut ResolverOpts = builder.options_mut();
    options.cache_size = 0;
    options.use_hosts_file = hickory_resolver::config::ResolveHosts::Never;
    builder
}

impl Addresses {
    fn whole(found: Vec<IpAddr>, good_for: Duration) -> Self {
        Self {
            found,
            good_for,
            silent: None,
        }
    }
}

/// Both families. What one of them has is an answer, whatever became of the other.
async fn ask(resolver: &TokioResolver, host: &str) -> Result<Addresses, DiscoverError> {
    let [v4, v6] = [RecordType::A, RecordType::AAAA].map(|kind| resolver.lookup(host, kind));
    let is_enough = |answer: &Result<Lookup, NetError>| {
        let answer = answer.as_ref();
        answer.is_ok_and(|answer| addresses_in(answer).next().is_some())
    };
    let [v4, v6] = both(v4, v6, is_enough).await;
    let mut found = Vec::new();
    let mut ttl = None::<Duration>;
    let mut silent = None;
    let mut failed: Option<NetError> = None;
    for (family, answer) in [(Family::V4, v4), (Family::V6, v6)] {
        match answer {
            Some(Ok(answer)) => {
                let before = found.len();
                found.extend(addresses_in(&answer));
                if found.len() > before {
                    let lasts = lasts(&answer);
                    ttl = Some(ttl.map_or(lasts, |ttl| ttl.min(lasts)));
                }
            }
            Some(Err(error)) if error.is_no_records_found() => {}
            Some(Err(error)) => {
                silent = Some(family);
                failed = Some(error);
            }
            None => silent = Some(family),
        }
    }
    let Some(ttl) = ttl else {
        return Err(match failed {
            Some(source) => DiscoverError::Dns {
                name: host.to_owned(),
                source,
            },
            None => no_address(host),
        });
    };
    let mut good_for = ttl;
    if let Some(family) = silent {
        tracing::debug!(name = host, ?family, "addresses of one family are not told");
        good_for = ttl.min(AGAIN);
    }
    Ok(Addresses {
        found,
        good_for,
        silent,
    })
}

/// Both answers; once the first is enough to go on with, the second is waited for a little only.
async fn both<Answer>(
    one: impl Future<Output = Answer>,
    other: impl Future<Output = Answer>,
    is_enough: impl Fn(&Answer) -> bool,
) -> [Option<Answer>; 2] {
    match select(pin!(one), pin!(other)).await {
        Either::Left((first, rest)) => {
            let second = second(rest, is_enough(&first)).await;
            [Some(first), second]
        }
        Either::Right((first, rest)) => {
            let second = second(rest, is_enough(&first)).await;
            [second, Some(first)]
        }
    }
}

async fn second<Answer>(rest: impl Future<Output = Answer>, has_enough: bool) -> Option<Answer> {
    if has_enough {
        timeout(BESIDE, rest).await.ok()
    } else {
        Some(rest.await)
    }
}

fn addresses_in(answer: &Lookup) -> impl Iterator<Item = IpAddr> {
    let answers = answer.answers().iter();
    answers.filter_map(|record| record.data.ip_addr())
}

fn lasts(answer: &Lookup) -> Duration {
    time_to_live(answer.answers().iter().map(|record| record.ttl))
}

/// What the hosts file says; as in the system, a name that stands there is not asked for elsewhere.
fn static_addresses(hosts: &Hosts, host: &str) -> Option<Vec<IpAddr>> {
    let name = Name::from_ascii(host).ok()?;
    let kinds = [RecordType::A, RecordType::AAAA].into_iter();
    let found = kinds
        .filter_map(|kind| hosts.lookup_static_host(&Query::query(name.clone(), kind)))
        .flat_map(|lookup| addresses_in(&lookup).collect::<Vec<IpAddr>>())
        .collect::<Vec<IpAddr>>();
    (!found.is_empty()).then_some(found)
}

fn no_address(name: &str) -> DiscoverError {
    let name = name.to_owned();
    DiscoverError::NoAddress { name }
}

fn no_service(name: &str) -> DiscoverError {
    let name = name.to_owned();
    DiscoverError::NoService { name }
}
