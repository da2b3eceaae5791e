//! The endpoints of upstreams, from whoever names them to addresses: the file, registries, the operator at run time.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use openclaw_core::config::{EndpointAddress, Upstream};
use openclaw_core::overlay::{Discovered, Member, Origin, Overlay, Presence};

use super::build::Builder;
use super::error::Trouble;
use super::names::{Ask, Failures};
use crate::snapshot::{ResolvedEndpoint, Standing, UpstreamSetup};

/// By upstream, label and address.
pub(super) type Standings = HashMap<(Arc<str>, Arc<str>, SocketAddr), Arc<Standing>>;

/// What is served beside the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside {
    pub(super) overlay: Overlay,
    pub(super) discovered: Discovered,
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
        let Beside {
            overlay,
            discovered,
        } = beside;
        let members: Vec<Vec<Member>> = upstreams
            .iter()
            .map(|upstream| overlay.members(upstream, discovered))
            .collect();
        let names = members.iter().flatten();
        let failures = self
            .names
            .ask(names.map(|member| &member.endpoint.address), ask)
            .await;
        let mut resolved = Resolved::default();
        let mut standings = Standings::new();
        let mut queues = HashMap::new();
        for (upstream, members) in upstreams.iter().zip(members) {
            let mut endpoints = Vec::new();
            for member in members {
                let label: Arc<str> = member.endpoint.address.to_string().into();
                for address in self.addresses(upstream, &member, &failures, &mut resolved) {
                    let change = overlay.change(&upstream.name, &label, address);
                    if change.presence == Some(Presence::Deleted) {
                        continue;
                    }
                    let key = (Arc::clone(&upstream.name), Arc::clone(&label), address);
                    let known = self.standings.get(&key).cloned().unwrap_or_default();
                    let standing = standings.entry(key).or_insert(known);
                    endpoints.push(ResolvedEndpoint {
                        address,
                        weight: change.weight.unwrap_or(member.endpoint.weight),
                        label: Arc::clone(&label),
                        origin: member.origin.clone(),
                        is_draining: change.draining == Some(true),
                        standing: Arc::clone(standing),
                    });
                }
            }
            let queue = self.queues.remove(&upstream.name).unwrap_or_default();
            queues.insert(Arc::clone(&upstream.name), Arc::clone(&queue));
            resolved.upstreams.push(UpstreamSetup { endpoints, queue });
        }
        self.standings = standings;
        self.queues = queues;
        resolved
    }

    fn addresses(
        &mut self,
        upstream: &Upstream,
        member: &Member,
        failures: &Failures,
        resolved: &mut Resolved,
    ) -> Vec<SocketAddr> {
        let endpoint = match member.origin {
            Origin::File(index) => Some(index),
            Origin::Runtime | Origin::Discovered(_) => None,
        };
        match &member.endpoint.address {
            EndpointAddress::Ip(address) => vec![*address],
            EndpointAddress::Name { host, port } => {
                let addresses = self.names.addresses(host, *port);
                if let Some(source) = failures.get(&(host.clone(), *port)) {
                    resolved.unresolved.push(Trouble::Resolve {
                        upstream: Arc::clone(&upstream.name),
                        endpoint,
                        name: host.clone(),
                        kept: !addresses.is_empty(),
                        source: copy(source),
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

/// One failure for each endpoint of that name.
fn copy(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}
