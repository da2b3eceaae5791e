//! Where endpoints come from when they are not written down: what a source answers is made into a set of endpoints here, and when it
//! is asked next is said here. Asking is the proxy's part.

mod answer;
pub mod consul;
pub mod dns;
pub mod eureka;
pub mod file;
mod instance;
pub mod kubernetes;
pub mod rhythm;

pub use self::answer::{Answer, MAX_NAMES, Taken, Unusable};
pub use self::instance::InstanceError;

use std::cmp::Ordering;
use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// So many endpoints are taken from one source; a longer answer is an error.
pub const MAX_ENDPOINTS: usize = 4096;

/// One endpoint of an answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// Those with the lowest number that have an address are used, the others wait.
    pub priority: u16,
    /// Where it is.
    pub target: Target,
    /// Its share, relative to the others; never 0.
    pub weight: u32,
    /// Where it stands, in the words of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// An address.
    Ip(SocketAddr),
    /// A name, which is looked up in its turn.
    Name {
        /// Without the final dot.
        host: String,
        /// TCP.
        port: u16,
    },
}

/// More than [`MAX_ENDPOINTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer has {0} endpoints, and {MAX_ENDPOINTS} is the most that are taken")]
pub struct TooMany(pub usize);

impl Endpoint {
    /// One of the usual weight and priority.
    pub fn at(address: SocketAddr) -> Self {
        Self {
            priority: 0,
            target: Target::Ip(address),
            weight: 1,
            zone: None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(out),
            Self::Name { host, port } => write!(out, "{host}:{port}"),
        }
    }
}

/// The answer as a set: in one order, whatever the source's is, and each target once. Of two entries for a target the one that is
/// used first stays, with the larger weight.
///
/// # Errors
/// Too many for one source.
pub fn set(mut answer: Vec<Endpoint>) -> Result<Vec<Endpoint>, TooMany> {
    answer.sort_unstable_by(|a, b| {
        let key = |endpoint: &Endpoint| (endpoint.priority, u32::MAX - endpoint.weight);
        let order = a.target.cmp(&b.target);
        order
            .then(key(a).cmp(&key(b)))
            .then_with(|| a.zone.cmp(&b.zone))
    });
    answer.dedup_by(|later, first| later.target == first.target);
    if answer.len() > MAX_ENDPOINTS {
        return Err(TooMany(answer.len()));
    }
    Ok(answer)
}

/// Of what each target resolved to, the group that is used: that of the lowest priority in which something has an address.
pub fn in_use<T>(resolved: impl IntoIterator<Item = (u16, T)>) -> Vec<T> {
    let mut used = Vec::new();
    let mut lowest = u16::MAX;
    for (priority, one) in resolved {
        if priority < lowest {
            used.clear();
            lowest = priority;
        }
        if priority == lowest {
            used.push(one);
        }
    }
    used
}

/// What changed from one set to the next, for the log: how many came, went, and stayed with another weight or zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Targets that are new.
    pub added: usize,
    /// Targets that are gone.
    pub removed: usize,
    /// Targets of another weight, priority or zone.
    pub changed: usize,
}

/// Compares two sets as [`set`] makes them.
pub fn difference(old: &[Endpoint], new: &[Endpoint]) -> Difference {
    let mut difference = Difference::default();
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (Some(before), Some(now)) => before.target.cmp(&now.target),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return difference,
        };
        match order {
            Ordering::Less => {
                old.next();
                difference.removed += 1;
            }
            Ordering::Greater => {
                new.next();
                difference.added += 1;
            }
            Ordering::Equal => {
                if old.next() != new.next() {
                    difference.changed += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
