//! What an operator asks for, against what is served: either it becomes a change, or there is a reason why not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use super::refused::{MAX_CHANGES, Refused};
use super::{EndpointChange, Origin, Overlay, Presence};
use crate::config::keys::did_you_mean;
use crate::config::{Action, Config, EndpointAddress, endpoint_address};

/// What is to become of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// It is there, with this weight or with 1.
    Add(Option<u32>),
    /// It is not there.
    Delete,
    /// It gets nothing new.
    Drain,
    /// It gets its share again.
    Enable,
    /// Its share is another.
    Weigh(u32),
}

/// One request of an operator about an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The upstream's name.
    pub upstream: &'a str,
    /// As written, or one address of it.
    pub endpoint: &'a str,
    /// Where it leads if it is a name, as far as that is known.
    pub addresses: &'a [SocketAddr],
    /// What is to become of it.
    pub verb: Verb,
    /// Where it stands, of one that is added.
    pub zone: Option<&'a Arc<str>>,
    /// Whether it is kept over reloads and restarts.
    pub persist: bool,
    /// Whether the upstream's endpoints are met with TLS.
    pub tls: bool,
}

/// An endpoint as it is served now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// As written.
    pub label: String,
    /// Where connections go; `None` while its name has no address.
    pub address: Option<SocketAddr>,
    /// Who names it.
    pub origin: Origin,
    /// Its share, were it not draining.
    pub weight: u32,
    /// It gets nothing new.
    pub is_draining: bool,
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// The name under which the change is kept.
    pub label: String,
    /// The endpoint is taken away, and no other one of its upstream serves.
    pub is_last: bool,
}

impl Order<'_> {
    fn made(&self, change: EndpointChange) -> EndpointChange {
        let mut change = self.verb.made(change);
        if let Verb::Add(_) = self.verb {
            change.zone = self.zone.cloned();
        }
        change
    }

    /// Whether TLS is spoken is the upstream's matter: what an endpoint says of it cannot be another thing.
    fn check_scheme(&self, address: &EndpointAddress) -> Result<(), Refused> {
        let other = if self.tls { "http://" } else { "https://" };
        if self.tls && *address == EndpointAddress::Demo {
            return Err(Refused::Demo);
        }
        if self.endpoint.starts_with(other) {
            return Err(Refused::Scheme {
                upstream: self.upstream.to_owned(),
                tls: self.tls,
            });
        }
        Ok(())
    }
}

impl Served {
    fn serves(&self) -> bool {
        self.weight > 0 && !self.is_draining && self.address.is_some()
    }

    fn is(&self, label: &str) -> bool {
        self.label == label || self.address.is_some_and(|one| one.to_string() == label)
    }
}

impl Overlay {
    /// Makes a change of an endpoint. `served` are the endpoints of the upstream,
    /// `None` if there is no such upstream.
    ///
    /// # Errors
    /// Nothing is changed.
    pub fn order(
        &mut self,
        order: &Order<'_>,
        upstreams: &[&str],
        served: Option<&[Served]>,
    ) -> Result<Ordered, Refused> {
        let served = served.ok_or_else(|| unknown("upstream", order.upstream, upstreams))?;
        let address = endpoint_address(order.endpoint).map_err(Refused::NoAddress)?;
        let label = address.to_string();
        let known = served.iter().find(|one| one.is(&label));
        match (order.verb, known) {
            (Verb::Add(_), Some(known)) => {
                return Err(Refused::Present {
                    upstream: order.upstream.to_owned(),
                    endpoint: label,
                    drains: known.is_draining,
                });
            }
            (Verb::Add(_), None) => order.check_scheme(&address)?,
            (_, Some(_)) => {}
            (_, None) => {
                let labels: Vec<&str> = served.iter().map(|one| &*one.label).collect();
                let what = format!("endpoint of upstream {}", order.upstream);
                return Err(unknown(&what, &label, &labels));
            }
        }
        let takes_away = matches!(order.verb, Verb::Delete | Verb::Drain | Verb::Weigh(0));
        let mut others = served.iter().filter(|one| !one.is(&label));
        let is_last = takes_away && !others.any(Served::serves);
        let takes_back = matches!(order.verb, Verb::Delete | Verb::Enable);
        if self.count() >= MAX_CHANGES && !takes_back {
            return Err(Refused::TooMany);
        }
        // Under its own name it is the operator's to take back; as one address of a name it is not.
        let mut others = served.iter().filter(|one| one.label != label);
        let is_ours = known.is_some_and(|one| one.label == label && one.origin == Origin::Runtime)
            && !others.any(|one| one.is(&label));
        self.write(order, &label, is_ours);
        for address in order.addresses {
            let address = address.to_string();
            let mut others = served.iter().filter(|one| one.label != label);
            if !others.any(|one| one.is(&address)) {
                self.unsay(order, &address);
            }
        }
        Ok(Ordered { label, is_last })
    }

    /// Gives targets of a route other weights; gives back those of all of its targets before and now, with their upstreams.
    ///
    /// # Errors
    /// Nothing is changed.
    pub fn weigh(
        &mut self,
        config: &Config,
        route: &str,
        weights: &[(String, u32)],
        persist: bool,
    ) -> Result<Weighed, Refused> {
        let targets = targets(config, route)?;
        let names: Vec<&str> = targets.iter().map(|(name, _)| &**name).collect();
        for (name, _) in weights {
            if !names.contains(&&**name) {
                let what = format!("upstream in route {route} named");
                return Err(unknown(&what, name, &names));
            }
        }
        if names.len() < 2 {
            return Err(Refused::NoChoice(route.to_owned()));
        }
        let mut now = targets.clone();
        for (name, weight) in &mut now {
            let asked = weights.iter().rev().find(|(asked, _)| asked == name);
            *weight = asked.map_or(*weight, |(_, asked)| *asked);
        }
        if now.iter().all(|(_, weight)| *weight == 0) {
            return Err(Refused::AllZero(route.to_owned()));
        }
        if self.count() >= MAX_CHANGES {
            return Err(Refused::TooMany);
        }
        // All of them are written, so that a weight in the file that changes later does not mix with these.
        let layer = if persist {
            self.passing.routes.remove(route);
            &mut self.kept
        } else {
            &mut self.passing
        };
        let all = now.iter().cloned().collect();
        layer.routes.insert(route.to_owned(), all);
        Ok(Weighed {
            before: targets,
            now,
        })
    }

    /// Gives all of a route's weight to one of its upstreams.
    ///
    /// # Errors
    /// Nothing is changed.
    pub fn switch(
        &mut self,
        config: &Config,
        route: &str,
        upstream: &str,
        persist: bool,
    ) -> Result<Weighed, Refused> {
        let targets = targets(config, route)?;
        let mut weights: Vec<(String, u32)> =
            targets.into_iter().map(|(name, _)| (name, 0)).collect();
        weights.push((upstream.to_owned(), ALL));
        self.weigh(config, route, &weights, persist)
    }

    /// Forgets what was said of an upstream's endpoints, or of one of them, so that they are as the configuration and registries have
    /// them; gives back of how many something was said.
    ///
    /// # Errors
    /// There is no such upstream, and nothing was said of one.
    pub fn forget(
        &mut self,
        upstream: &str,
        endpoint: Option<&str>,
        upstreams: &[&str],
    ) -> Result<usize, Refused> {
        let known = |layer: &super::Layer| layer.endpoints.contains_key(upstream);
        if !upstreams.contains(&upstream) && !known(&self.kept) && !known(&self.passing) {
            return Err(unknown("upstream", upstream, upstreams));
        }
        let label = endpoint.map(|text| {
            // What was edited by hand may be no endpoint.
            endpoint_address(text).map_or_else(|_| text.to_owned(), |address| address.to_string())
        });
        let mut forgotten = BTreeSet::new();
        for layer in [&mut self.kept, &mut self.passing] {
            let Some(of) = layer.endpoints.get_mut(upstream) else {
                continue;
            };
            let is_meant = |one: &String| label.as_ref().is_none_or(|label| label == one);
            forgotten.extend(of.keys().filter(|one| is_meant(one)).cloned());
            of.retain(|one, _| !is_meant(one));
            if of.is_empty() {
                layer.endpoints.remove(upstream);
            }
        }
        Ok(forgotten.len())
    }

    fn count(&self) -> usize {
        let layers = [&self.kept, &self.passing].into_iter();
        let count = |layer: &super::Layer| {
            let endpoints = layer.endpoints.values().map(BTreeMap::len);
            endpoints.sum::<usize>() + layer.routes.len()
        };
        layers.map(count).sum()
    }

    fn write(&mut self, order: &Order<'_>, label: &str, is_ours: bool) {
        let upstream = order.upstream;
        let mut kept = self.kept.endpoint(upstream, label);
        let mut passing = self.passing.endpoint(upstream, label);
        if order.persist {
            kept = order.made(kept);
            // What was said for now about the same thing is over.
            passing = order.verb.unsaid(passing);
        } else {
            passing = order.made(passing);
        }
        // What says nothing is not kept: that an endpoint does not drain which would not anyway, that one is deleted which
        // nobody else names. Else changes would pile up where endpoints come and go all day.
        kept.draining = kept.draining.filter(|draining| *draining);
        if kept.draining.is_none() {
            passing.draining = passing.draining.filter(|draining| *draining);
        }
        if order.verb == Verb::Delete && is_ours {
            if order.persist {
                kept = EndpointChange::default();
            }
            if kept.presence.is_none() {
                passing = EndpointChange::default();
            }
        }
        self.kept.put(upstream, label, kept);
        self.passing.put(upstream, label, passing);
    }

    /// What is said of a name is said of all its addresses: what was said of one of them before is over.
    fn unsay(&mut self, order: &Order<'_>, address: &str) {
        let passing = self.passing.endpoint(order.upstream, address);
        let passing = order.verb.unsaid(passing);
        self.passing.put(order.upstream, address, passing);
        if order.persist {
            let kept = self.kept.endpoint(order.upstream, address);
            let kept = order.verb.unsaid(kept);
            self.kept.put(order.upstream, address, kept);
        }
    }
}

/// The share of an upstream that has all of it.
const ALL: u32 = 100;

/// The targets of a route, with their upstreams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighed {
    /// What they were.
    pub before: Vec<(String, u32)>,
    /// What they are.
    pub now: Vec<(String, u32)>,
}

impl Verb {
    fn made(self, mut change: EndpointChange) -> EndpointChange {
        match self {
            Self::Add(weight) => {
                change = EndpointChange {
                    presence: Some(Presence::Added),
                    weight,
                    draining: Some(false),
                    zone: None,
                };
            }
            Self::Delete => {
                change = EndpointChange {
                    presence: Some(Presence::Deleted),
                    ..EndpointChange::default()
                };
            }
            Self::Drain => change.draining = Some(true),
            Self::Enable => change.draining = Some(false),
            Self::Weigh(weight) => change.weight = Some(weight),
        }
        change
    }

    fn unsaid(self, mut change: EndpointChange) -> EndpointChange {
        match self {
            Self::Add(_) | Self::Delete => change = EndpointChange::default(),
            Self::Drain | Self::Enable => change.draining = None,
            Self::Weigh(_) => change.weight = None,
        }
        change
    }
}

fn targets(config: &Config, route: &str) -> Result<Vec<(String, u32)>, Refused> {
    let Some(found) = config.routes.iter().find(|known| *known.name == *route) else {
        let names: Vec<&str> = config.routes.iter().map(|known| &*known.name).collect();
        return Err(unknown("route", route, &names));
    };
    let Action::Forward(targets) = &found.action else {
        return Err(Refused::NoChoice(route.to_owned()));
    };
    let name = |index: usize| config.upstreams.get(index).map_or("", |known| &*known.name);
    let targets = targets.iter();
    Ok(targets
        .map(|target| (name(target.upstream).to_owned(), target.weight))
        .collect())
}

fn unknown(what: &str, name: &str, known: &[&str]) -> Refused {
    Refused::Unknown {
        what: what.to_owned(),
        name: name.to_owned(),
        did_you_mean: did_you_mean(name, known.iter().copied()),
    }
}
