//! What is served in place of the file: changes made while the proxy runs (endpoints added, deleted, drained or given another
//! weight; other weights of the targets of routes), and endpoints that registries have found.
//!
//! A change is either kept, over reloads and restarts, or lasts until the next reload; of two for the same thing the passing
//! one wins. Names of upstreams, endpoints and routes that are not there any more say nothing.

mod discovered;
mod refused;
#[cfg(test)]
mod tests;
mod text;
mod verbs;

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

pub use self::discovered::Discovered;
pub use self::refused::Refused;
pub use self::verbs::{Order, Ordered, Served, Verb, Weighed};
use crate::config::{Action, Config, Endpoint, EndpointAddress, Upstream};

/// All changes that are in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    /// Over reloads and restarts.
    pub kept: Layer,
    /// Until the next reload.
    pub passing: Layer,
}

/// Changes that end together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// By upstream, then by endpoint as it is written (`127.0.0.1:9001`, `app.internal:8080`), or by one address that its name
    /// resolves to.
    pub endpoints: BTreeMap<String, BTreeMap<String, EndpointChange>>,
    /// By route, then by upstream.
    pub routes: BTreeMap<String, BTreeMap<String, u32>>,
}

/// What is different about an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointChange {
    /// Whether it is there at all.
    pub presence: Option<Presence>,
    /// Its share in place of the file's.
    pub weight: Option<u32>,
    /// Whether it gets nothing new.
    pub draining: Option<bool>,
    /// Where it stands; of one that was added.
    pub zone: Option<Arc<str>>,
}

/// Whether an endpoint is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Though the file does not have it.
    Added,
    /// Though the file, or a registry, has it.
    Deleted,
}

/// Who names an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The configuration; its index in the list there.
    File(usize),
    /// An operator, while the proxy runs.
    Runtime,
    /// A registry, by its name (`dns`, `consul`, …).
    Discovered(Arc<str>),
}

/// An endpoint of an upstream, before its name is resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// With the weight that the file or the registry gives it.
    pub endpoint: Endpoint,
    /// Who names it.
    pub origin: Origin,
}

impl Origin {
    /// The word that operators read.
    pub fn name(&self) -> &str {
        match self {
            Self::File(_) => "file",
            Self::Runtime => "runtime",
            Self::Discovered(registry) => registry,
        }
    }
}

impl Overlay {
    /// Gives the targets of routes their weights. A route whose targets would all have the weight 0, since the file has others
    /// than when it was changed, keeps those of the file.
    pub fn apply(&self, config: &mut Config) {
        let names: Vec<Arc<str>> = config
            .upstreams
            .iter()
            .map(|upstream| Arc::clone(&upstream.name))
            .collect();
        for route in &mut config.routes {
            let Action::Forward(targets) = &mut route.action else {
                continue;
            };
            let mut changed = targets.clone();
            for target in &mut changed {
                let upstream = names.get(target.upstream).map_or("", |name| name);
                if let Some(weight) = self.target(&route.name, upstream) {
                    target.weight = weight;
                }
            }
            if changed.iter().any(|target| target.weight > 0) {
                *targets = changed;
            }
        }
    }

    /// The other weight of a route's target.
    pub fn target(&self, route: &str, upstream: &str) -> Option<u32> {
        let of = |layer: &Layer| layer.routes.get(route)?.get(upstream).copied();
        of(&self.passing).or_else(|| of(&self.kept))
    }

    /// The endpoints of an upstream, each once: the file's, then what registries have found, then those that were added; none
    /// that was deleted by the name under which it stands there.
    pub fn members(&self, upstream: &Upstream, discovered: &Discovered) -> Vec<Member> {
        let written = (0..).zip(&upstream.endpoints);
        let written = written.map(|(index, endpoint)| Member {
            endpoint: endpoint.clone(),
            origin: Origin::File(index),
        });
        let found = discovered.of(&upstream.name);
        let found = found.map(|(registry, endpoint)| Member {
            endpoint: endpoint.clone(),
            origin: Origin::Discovered(Arc::clone(registry)),
        });
        let added = self.added(&upstream.name).into_iter();
        let added = added.map(|endpoint| Member {
            endpoint,
            origin: Origin::Runtime,
        });
        let mut seen = HashSet::new();
        written
            .chain(found)
            .chain(added)
            .filter(|member| {
                let address = &member.endpoint.address;
                let change = self.of_label(&upstream.name, &address.to_string());
                change.presence != Some(Presence::Deleted) && seen.insert(address.clone())
            })
            .collect()
    }

    /// What is different about one address of an endpoint: what was said of the endpoint, and over it what was said of the
    /// address alone.
    pub fn change(&self, upstream: &str, label: &str, address: SocketAddr) -> EndpointChange {
        let of_label = self.of_label(upstream, label);
        let address = address.to_string();
        if label == address {
            return of_label;
        }
        self.of_label(upstream, &address).over(of_label)
    }

    /// What was said of an endpoint by this name.
    pub fn of_label(&self, upstream: &str, label: &str) -> EndpointChange {
        let passing = self.passing.endpoint(upstream, label);
        passing.over(self.kept.endpoint(upstream, label))
    }

    fn added(&self, upstream: &str) -> Vec<Endpoint> {
        let layers = [&self.kept, &self.passing].into_iter();
        let changes = layers.filter_map(|layer| layer.endpoints.get(upstream));
        changes
            .flatten()
            .filter(|(_, change)| change.presence == Some(Presence::Added))
            .filter_map(|(label, change)| {
                // What was taken is an address; a file that was edited by hand is read with the same eyes.
                let address = crate::config::endpoint_address(label).ok()?;
                Some(Endpoint {
                    address,
                    weight: change.weight.unwrap_or(1),
                    zone: change.zone.clone(),
                })
            })
            .collect()
    }
}

impl Layer {
    /// What this layer says of an endpoint.
    pub fn endpoint(&self, upstream: &str, label: &str) -> EndpointChange {
        let known = self.endpoints.get(upstream).and_then(|all| all.get(label));
        known.cloned().unwrap_or_default()
    }

    /// Puts a change in the place of what this layer says of an endpoint; an empty one says nothing.
    fn put(&mut self, upstream: &str, label: &str, change: EndpointChange) {
        let of = self.endpoints.entry(upstream.to_owned()).or_default();
        if change.is_empty() {
            of.remove(label);
        } else {
            of.insert(label.to_owned(), change);
        }
        if of.is_empty() {
            self.endpoints.remove(upstream);
        }
    }
}

impl Layer {
    /// The endpoints of an upstream that this layer keeps from serving, each with what was said of it.
    pub fn withheld(&self, upstream: &Upstream) -> impl Iterator<Item = (&str, Verb)> {
        let written = upstream.endpoints.iter();
        let written: HashSet<String> = written.map(|one| one.address.to_string()).collect();
        let leads_on = |one: &Endpoint| matches!(one.address, EndpointAddress::Name { .. });
        let may_be_found = upstream.discover.is_some() || upstream.endpoints.iter().any(leads_on);
        let changes = self.endpoints.get(&*upstream.name).into_iter().flatten();
        changes.filter_map(move |(label, change)| {
            let is_found = || may_be_found && label.parse::<SocketAddr>().is_ok();
            let verb = match change {
                EndpointChange {
                    presence: Some(Presence::Deleted),
                    ..
                } => Verb::Delete,
                EndpointChange {
                    draining: Some(true),
                    ..
                } => Verb::Drain,
                EndpointChange {
                    weight: Some(0), ..
                } => Verb::Weigh(0),
                EndpointChange { .. } => return None,
            };
            (written.contains(label) || is_found()).then_some((&**label, verb))
        })
    }

    /// Upstreams and routes with changes that a configuration does not have.
    pub fn strangers(&self, config: &Config) -> impl Iterator<Item = String> {
        let has_upstream = |name: &str| config.upstreams.iter().any(|one| *one.name == *name);
        let has_route = |name: &str| config.routes.iter().any(|one| *one.name == *name);
        let upstreams = self.endpoints.keys();
        let upstreams = upstreams.filter(move |name| !has_upstream(name));
        let routes = self.routes.keys().filter(move |name| !has_route(name));
        upstreams
            .map(|name| format!("upstream {name}"))
            .chain(routes.map(|name| format!("route {name}")))
    }
}

impl EndpointChange {
    /// This, and where it says nothing what `under` says.
    #[must_use]
    pub fn over(self, under: Self) -> Self {
        Self {
            presence: self.presence.or(under.presence),
            weight: self.weight.or(under.weight),
            draining: self.draining.or(under.draining),
            zone: self.zone.or(under.zone),
        }
    }

    /// Nothing is different.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// As it is written, which is how logs, metrics and changes name the endpoint.
impl std::fmt::Display for EndpointAddress {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(out),
            Self::Name { host, port } => write!(out, "{host}:{port}"),
            Self::Demo => out.write_str("builtin:demo"),
        }
    }
}
