//! Asks name servers. A plain name is looked for as programs of this machine do: in `/etc/hosts`, then at the servers of
//! `/etc/resolv.conf` with its search domains, and where those do not know it, by the system's own resolver, whose answers have no
//! time to live.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use futures_util::future::join;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, ResolverBuilder, TokioResolver};
use openclaw_core::discovery::dns::{Service, services, time_to_live};
use openclaw_core::discovery::{Endpoint, rhythm};
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::error::DiscoverError;
use super::follower::Follower;

/// A name server that does not answer must not hold a start up for minutes.
const WITHIN: Duration = Duration::from_secs(10);
/// One try at a name server that is named in the configuration.
const TRY: Duration = Duration::from_secs(1);
/// What a file says is looked at this often.
const FILE_FOR: Duration = Duration::from_secs(5);
/// What the system's resolver says is asked for this often.
const SYSTEM_FOR: Duration = Duration::from_secs(30);

const HOSTS: &str = "/etc/hosts";
const RESOLV: &str = "/etc/resolv.conf";

/// An answer, and how long it is good.
type Found = (Vec<Endpoint>, Duration);

/// The name servers there are, each asked through one resolver.
#[derive(Debug, Default)]
pub(super) struct Resolvers {
    system: RefCell<Option<System>>,
    given: RefCell<HashMap<SocketAddr, Rc<TokioResolver>>>,
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
        let answer = resolvers.addresses(&host, port, resolver).await;
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
    let (endpoints, good_for) = match answer {
        Ok((endpoints, ttl)) => (Ok(endpoints), rhythm::good_for(ttl)),
        Err(error) => (Err(error), Duration::ZERO),
    };
    let time = match follower.learn(endpoints) {
        Ok(()) => good_for,
        Err(back_off) => back_off,
    };
    follower.rest(time).await;
}

impl Resolvers {
    /// The addresses of a name, as endpoints.
    pub(super) async fn addresses(
        &self,
        host: &str,
        port: u16,
        resolver: Option<SocketAddr>,
    ) -> Result<Found, DiscoverError> {
        let asking = async {
            match resolver {
                Some(server) => ask(&*self.given(server)?, host).await,
                None => self.ask_system(host).await,
            }
        };
        let asked = timeout(WITHIN, asking).await;
        let (found, ttl) = asked.unwrap_or(Err(DiscoverError::Slow(WITHIN)))?;
        let found = found.into_iter();
        let endpoints = found.map(|ip| Endpoint::at(SocketAddr::new(ip, port)));
        Ok((endpoints.collect(), ttl))
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
        let endpoints = services(records).map_err(|source| DiscoverError::Service {
            name: name.to_owned(),
            source,
        })?;
        Ok((endpoints, lasts(&answer)))
    }

    async fn ask_system(&self, host: &str) -> Result<(Vec<IpAddr>, Duration), DiscoverError> {
        let system = self.system();
        if let Some(found) = static_addresses(&system.hosts, host) {
            return Ok((found, FILE_FOR));
        }
        if let Some(resolver) = &system.resolver {
            match ask(resolver, host).await {
                Err(DiscoverError::NoAddress { .. }) => {}
                answer => return answer,
            }
        }
        // Names of the machine, of containers, of directories: what else the system asks is its own matter.
        let found = lookup_host((host, 0)).await;
        let found = found.map_err(|source| DiscoverError::System {
            name: host.to_owned(),
            source,
        })?;
        let found: Vec<IpAddr> = found.map(|address| address.ip()).collect();
        if found.is_empty() {
            return Err(no_address(host));
        }
        Ok((found, SYSTEM_FOR))
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

/// Both families. What one of them has is an answer, whatever became of the other.
async fn ask(
    resolver: &TokioResolver,
    host: &str,
) -> Result<(Vec<IpAddr>, Duration), DiscoverError> {
    let questions = [RecordType::A, RecordType::AAAA].map(|kind| resolver.lookup(host, kind));
    let [v4, v6] = questions;
    let (v4, v6) = join(v4, v6).await;
    let mut found = Vec::new();
    let mut ttl = None::<Duration>;
    let mut failed: Option<NetError> = None;
    for answer in [v4, v6] {
        match answer {
            Ok(answer) => {
                let addresses = answer.answers().iter();
                let before = found.len();
                found.extend(addresses.filter_map(|record| record.data.ip_addr()));
                if found.len() > before {
                    let lasts = lasts(&answer);
                    ttl = Some(ttl.map_or(lasts, |ttl| ttl.min(lasts)));
                }
            }
            Err(error) if error.is_no_records_found() => {}
            Err(error) => failed = Some(error),
        }
    }
    match (ttl, failed) {
        (Some(ttl), _) => Ok((found, ttl)),
        (None, Some(source)) => Err(DiscoverError::Dns {
            name: host.to_owned(),
            source,
        }),
        (None, None) => Err(no_address(host)),
    }
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
        .flat_map(|lookup| {
            let answers = lookup.answers().iter();
            let addresses = answers.filter_map(|record| record.data.ip_addr());
            addresses.collect::<Vec<IpAddr>>()
        })
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
