//! The endpoints of upstreams, from whoever names them to addresses: the file, registries, the operator at run time.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use openclaw_core::config::{EndpointAddress, Upstream};
use openclaw_core::overlay::{Discovered, Member, Origin, Overlay, Presence};

use super::build::Builder;
use super::discover::{Ask, named};
use super::error::Trouble;
use crate::snapshot::{ResolvedEndpoint, Standing, UpstreamSetup};

/// By upstream, label and address.
pub(super) type Standings = HashMap<(Arc<str>, Arc<str>, SocketAddr), Arc<Standing>>;

/// What is served beside the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside {
    pub(super) overlay: Overlay,
}

/// What came of the upstreams of a configuration.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) upstreams: Vec<UpstreamSetup>,
    pub(super) unresolved: Vec<Trouble>,
    pub(super) troubles: Vec<Trouble>,
}

impl Builder {
    /// Upstreams with their names resolved. A name that nobody knows keeps the addresses that it had, else it has none.
    pub(super) async fn upstreams(
        &mut self,
        upstreams: &[Upstream],
        beside: &Beside,
        ask: Ask,
    ) -> Resolved {
        let overlay = &beside.overlay;
        let nothing = Discovered::default();
        let mut wanted = HashMap::new();
        for upstream in upstreams {
            let members = overlay.members(upstream, &nothing).into_iter();
            let names = members.filter_map(|member| named(&member.endpoint.address));
            let names = names.map(|name| (name, true));
            let discover = upstream.discover.iter();
            let registry = discover.map(|one| (one.registry.clone(), one.keep_on_denial));
            for (source, keeps) in names.chain(registry) {
                *wanted.entry(source).or_default() |= keeps;
            }
        }
        self.discovery.follow(wanted, ask).await;
        let discovered = self.discovery.discovered(upstreams);
        let mut resolved = Resolved {
            unresolved: self.unanswered(upstreams),
            ..Resolved::default()
        };
        let mut standings = Standings::new();
        let mut queues = HashMap::new();
        for upstream in upstreams {
            let mut endpoints = Vec::new();
            for member in overlay.members(upstream, &discovered) {
                let label: Arc<str> = member.endpoint.address.to_string().into();
                for address in self.addresses(upstream, &member, &mut resolved) {
                    let change = overlay.change(&upstream.name, &label, address);
                    if change.presence == Some(Presence::Deleted) {
                        continue;
                    }
                    let key = (Arc::clone(&upstream.name), Arc::clone(&label), address);
                    let known = self.standings.serving.get(&key);
                    let known = known.cloned().unwrap_or_default();
                    let standing = standings.entry(key).or_insert(known);
                    // It may have been deleted under its name, and added by itself.
                    let mut others = endpoints.iter().map(|one: &ResolvedEndpoint| one.address);
                    if member.origin == Origin::Runtime && others.any(|other| other == address) {
                        continue;
                    }
                    endpoints.push(ResolvedEndpoint {
                        address,
                        weight: change.weight.unwrap_or(member.endpoint.weight),
                        zone: member.endpoint.zone.clone(),
                        label: Arc::clone(&label),
                        origin: member.origin.clone(),
                        is_draining: change.draining == Some(true),
                        standing: Arc::clone(standing),
                    });
                }
            }
            let queue = self.queues.serving.get(&upstream.name);
            let queue = queue.cloned().unwrap_or_default();
            queues.insert(Arc::clone(&upstream.name), Arc::clone(&queue));
            let pins = self.stickies.pins(upstream, &endpoints);
            resolved.upstreams.push(UpstreamSetup {
                endpoints,
                queue,
                pins,
            });
        }
        self.standings.built = Some(standings);
        self.queues.built = Some(queues);
        resolved
    }

    /// Sources that have nothing to say.
    fn unanswered(&self, upstreams: &[Upstream]) -> Vec<Trouble> {
        let failures = upstreams.iter().filter_map(|upstream| {
            let discover = upstream.discover.as_ref()?;
            let failure = self
                .discovery
                .failure(&discover.registry, discover.keep_on_denial)?;
            Some(Trouble::Discover {
                upstream: Arc::clone(&upstream.name),
                failure,
            })
        });
        failures.collect()
    }

    fn addresses(
        &mut self,
        upstream: &Upstream,
        member: &Member,
        resolved: &mut Resolved,
    ) -> Vec<SocketAddr> {
        let endpoint = match member.origin {
            Origin::File(index) => Some(index),
            Origin::Runtime | Origin::Discovered(_) => None,
        };
        match &member.endpoint.address {
            EndpointAddress::Ip(address) => vec![*address],
            EndpointAddress::Name { host, port } => {
                let (addresses, failure) = self.discovery.name(host, *port);
                if let Some(failure) = failure {
                    resolved.unresolved.push(Trouble::Resolve {
                        upstream: Arc::clone(&upstream.name),
                        endpoint,
                        name: host.clone(),
                        failure,
                    });
                }
                addresses
            }
            EndpointAddress::Demo => match self.demo() {
                Ok(address) => vec![address],
                Err(source) => {
                    resolved.troubles.push(Trouble::Demo {
                        upstream: Arc::clone(&upstream.name),
                        endpoint,
                        source,
                    });
                    Vec::new()
                }
            },
        }
    }
}
