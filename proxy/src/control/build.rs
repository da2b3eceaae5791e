//! From a valid configuration to a snapshot: names resolved, certificates loaded, routes compiled. What is wrong is
//! collected, so that an operator repairs it in one go.

use std::collections::{BTreeSet, HashMap};
use std::hash::RandomState;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use openclaw_core::config::{Config, Endpoint, EndpointAddress, Upstream};
use openclaw_core::limit::Table;
use openclaw_core::route::Router;
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::demo;
use super::error::Trouble;
use crate::snapshot::{
    LimitSetup, ListenerSetup, Permits, ResolvedEndpoint, TlsSetup, UpstreamSetup,
};
use crate::tls::{CertificateFacts, Keeper, Validity};

/// A resolver that does not answer must not hold a start up for minutes.
const RESOLVE_WITHIN: Duration = Duration::from_secs(10);

/// What builds need again and again.
#[derive(Debug, Default)]
pub(super) struct Builder {
    keeper: Keeper,
    demo: Option<SocketAddr>,
    /// By listener: connections that go on under a new snapshot keep their places.
    permits: HashMap<Arc<str>, Arc<Permits>>,
    /// By route.
    limits: HashMap<Arc<str>, LimitSetup>,
}

/// All of a snapshot that does not depend on the sockets.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) router: Router,
    pub(super) listeners: Vec<ListenerSetup>,
    pub(super) upstreams: Vec<UpstreamSetup>,
    pub(super) limits: Vec<Option<LimitSetup>>,
    /// Of every listener, by its name.
    pub(super) certificates: Vec<(Arc<str>, CertificateFacts)>,
}

impl Built {
    /// Sentences about certificates that clients will not accept.
    pub(super) fn warnings(&self) -> Vec<String> {
        let now = SystemTime::now();
        let certificates = self.certificates.iter();
        certificates
            .filter_map(|(listener, facts)| {
                let what = match facts.validity(now) {
                    Validity::Valid => return None,
                    Validity::NotYet => "is not valid yet",
                    Validity::Expired => "has expired",
                };
                let label = &facts.label;
                Some(format!(
                    "listener {listener}: the certificate in {label} {what}"
                ))
            })
            .collect()
    }
}

impl Builder {
    pub(super) async fn build(&mut self, config: &Config) -> Result<Built, Vec<Trouble>> {
        let mut troubles = Vec::new();
        let mut listeners = Vec::new();
        let mut certificates = Vec::new();
        for listener in &config.listeners {
            let ready = listener
                .tls
                .as_ref()
                .map(|tls| self.keeper.prepare(listener, tls));
            let tls = match ready.transpose() {
                Ok(Some(ready)) => {
                    let facts = ready.certificates.into_iter();
                    certificates.extend(facts.map(|facts| (Arc::clone(&listener.name), facts)));
                    Some(TlsSetup {
                        config: ready.config,
                        names: ready.names,
                    })
                }
                Ok(None) => None,
                Err(errors) => {
                    troubles.extend(errors.into_iter().map(|source| Trouble::Tls {
                        listener: Arc::clone(&listener.name),
                        source,
                    }));
                    None
                }
            };
            listeners.push(ListenerSetup {
                tls,
                permits: self.permits(&listener.name),
            });
        }
        let mut upstreams = Vec::new();
        for upstream in &config.upstreams {
            match self.upstream(upstream).await {
                Ok(setup) => upstreams.push(setup),
                Err(more) => troubles.extend(more),
            }
        }
        if !troubles.is_empty() {
            return Err(troubles);
        }
        Ok(Built {
            router: Router::new(&config.routes),
            listeners,
            upstreams,
            limits: self.limits(config),
            certificates,
        })
    }

    fn permits(&mut self, listener: &Arc<str>) -> Arc<Permits> {
        Arc::clone(self.permits.entry(Arc::clone(listener)).or_default())
    }

    /// The table is made for the first limit, and kept for good.
    fn limits(&mut self, config: &Config) -> Vec<Option<LimitSetup>> {
        let mut shared = self.limits.values().next().cloned();
        let mut before = std::mem::take(&mut self.limits);
        let mut setups = Vec::with_capacity(config.routes.len());
        for route in &config.routes {
            setups.push(route.limit.as_ref().map(|_| {
                let first = shared.get_or_insert_with(|| LimitSetup {
                    table: Arc::new(Table::new(config.server.limit_keys, RandomState::new())),
                    began: Instant::now(),
                    salt: Arc::default(),
                });
                let setup = before.remove(&route.name).unwrap_or_else(|| LimitSetup {
                    salt: Arc::new(fastrand::u64(..).into()),
                    ..first.clone()
                });
                self.limits.insert(Arc::clone(&route.name), setup.clone());
                setup
            }));
        }
        setups
    }

    async fn upstream(&mut self, upstream: &Upstream) -> Result<UpstreamSetup, Vec<Trouble>> {
        let mut endpoints = Vec::new();
        let mut troubles = Vec::new();
        for endpoint in &upstream.endpoints {
            match self.endpoint(upstream, endpoint).await {
                Ok(resolved) => endpoints.extend(resolved),
                Err(trouble) => troubles.push(trouble),
            }
        }
        if troubles.is_empty() {
            Ok(UpstreamSetup { endpoints })
        } else {
            Err(troubles)
        }
    }

    async fn endpoint(
        &mut self,
        upstream: &Upstream,
        endpoint: &Endpoint,
    ) -> Result<Vec<ResolvedEndpoint>, Trouble> {
        let (label, addresses) = match &endpoint.address {
            EndpointAddress::Ip(address) => (address.to_string(), vec![*address]),
            EndpointAddress::Name { host, port } => {
                let addresses = resolve(host, *port)
                    .await
                    .map_err(|source| Trouble::Resolve {
                        upstream: Arc::clone(&upstream.name),
                        name: host.clone(),
                        source,
                    })?;
                (format!("{host}:{port}"), addresses)
            }
            EndpointAddress::Demo => {
                let address = self.demo().map_err(|source| Trouble::Demo {
                    upstream: Arc::clone(&upstream.name),
                    source,
                })?;
                ("builtin:demo".to_owned(), vec![address])
            }
        };
        let label: Arc<str> = label.into();
        let resolved = addresses.into_iter().map(|address| ResolvedEndpoint {
            address,
            weight: endpoint.weight,
            label: Arc::clone(&label),
        });
        Ok(resolved.collect())
    }

    /// Started when the first configuration wants it, and kept.
    fn demo(&mut self) -> io::Result<SocketAddr> {
        if let Some(address) = self.demo {
            return Ok(address);
        }
        let address = demo::start()?;
        self.demo = Some(address);
        Ok(address)
    }
}

async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found = timeout(RESOLVE_WITHIN, lookup_host((host, port))).await??;
    // Resolvers name an address once per socket type.
    let addresses: BTreeSet<SocketAddr> = found.collect();
    if addresses.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no address",
        ));
    }
    Ok(addresses.into_iter().collect())
}
