//! An answer on its way to a set: what nothing can be connected to is left out, so that one entry that is wrong costs no others.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use super::{Endpoint, Target, TooMany, set};

/// So many names are followed of one source: each is looked up again and again. Those beyond are left out, the lowest priority number
/// counting first.
pub const MAX_NAMES: usize = 1024;
/// So many of the things that are left out are told one by one.
const TOLD: usize = 3;

/// What a source has said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// In any order.
    pub endpoints: Vec<Endpoint>,
    /// What is no endpoint though it stands there, each in words.
    pub left_out: Vec<String>,
}

/// What is taken of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// As [`set`] makes them.
    pub endpoints: Vec<Endpoint>,
    /// What was left out, for the log; none: nothing was.
    pub left_out: Option<String>,
}

/// Why nothing is taken of an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// More than [`super::MAX_ENDPOINTS`].
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// It is not empty, which would be an answer.
    #[error("nothing of the answer can be connected to: {0}")]
    Nothing(String),
}

impl From<Vec<Endpoint>> for Answer {
    fn from(endpoints: Vec<Endpoint>) -> Self {
        Self {
            endpoints,
            left_out: Vec::new(),
        }
    }
}

impl Answer {
    /// What is taken of it.
    ///
    /// # Errors
    /// Too much, or nothing that can be connected to.
    pub fn settle(self) -> Result<Taken, Unusable> {
        let Self {
            mut endpoints,
            mut left_out,
        } = self;
        endpoints.retain(|endpoint| {
            let is_place = is_place(&endpoint.target);
            if !is_place {
                left_out.push(format!("{} is no address of a host", endpoint.target));
            }
            is_place
        });
        let mut endpoints = set(endpoints)?;
        let beyond = beyond(&endpoints);
        if !beyond.is_empty() {
            endpoints.retain(|endpoint| !beyond.contains(&endpoint.target));
            let count = beyond.len();
            left_out.push(format!("{count} names beyond the first {MAX_NAMES}"));
        }
        let left_out = told(&left_out);
        match left_out {
            Some(left_out) if endpoints.is_empty() => Err(Unusable::Nothing(left_out)),
            left_out => Ok(Taken {
                endpoints,
                left_out,
            }),
        }
    }
}

/// Whether the target is where one host may be: what is sent to 0.0.0.0 comes back to this machine, and groups do not speak TCP.
fn is_place(target: &Target) -> bool {
    let Target::Ip(address) = target else {
        return true;
    };
    let ip = address.ip().to_canonical();
    !(ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST))
}

/// Names that are more than are followed.
fn beyond(endpoints: &[Endpoint]) -> BTreeSet<Target> {
    let names = endpoints.iter();
    let names = names.filter(|endpoint| matches!(endpoint.target, Target::Name { .. }));
    let mut names: Vec<&Endpoint> = names.collect();
    // Stable: of one priority those that come first in the set stay, whatever the order of the answer.
    names.sort_by_key(|endpoint| endpoint.priority);
    let beyond = names.into_iter().skip(MAX_NAMES);
    beyond.map(|endpoint| endpoint.target.clone()).collect()
}

fn told(left_out: &[String]) -> Option<String> {
    let (first, rest) = left_out.split_at(left_out.len().min(TOLD));
    let text = first.join(", ");
    match (first, rest) {
        ([], _) => None,
        (_, []) => Some(text),
        (_, rest) => Some(format!("{text}, and {} more", rest.len())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{Answer, MAX_NAMES, Unusable};
    use crate::discovery::{Endpoint, Target};

    fn at(address: &str) -> Endpoint {
        Endpoint::at(address.parse().unwrap())
    }

    fn named(host: &str, priority: u16) -> Endpoint {
        Endpoint {
            priority,
            target: Target::Name {
                host: host.to_owned(),
                port: 80,
            },
            weight: 1,
            zone: None,
        }
    }

    #[test]
    fn what_is_nobodys_address_is_left_out() {
        for wrong in [
            "0.0.0.0:80",
            "[::]:80",
            "[::ffff:0.0.0.0]:80",
            "224.0.0.1:80",
            "[ff02::1]:80",
            "255.255.255.255:80",
        ] {
            let answer = Answer::from(vec![at("192.0.2.1:80"), at(wrong)]);
            let taken = answer.settle().unwrap();
            assert_eq!(taken.endpoints, [at("192.0.2.1:80")], "{wrong}");
            let told = taken.left_out.unwrap();
            assert!(told.contains("is no address of a host"), "{told}");
            let alone = Answer::from(vec![at(wrong)]).settle();
            assert!(matches!(alone, Err(Unusable::Nothing(_))), "{wrong}");
        }
        let right = ["127.0.0.1:80", "[::1]:80", "169.254.0.1:80"].map(at);
        let taken = Answer::from(right.to_vec()).settle().unwrap();
        assert_eq!((taken.endpoints.len(), taken.left_out), (3, None));
    }

    #[test]
    fn an_empty_answer_is_one() {
        let taken = Answer::default().settle().unwrap();
        assert_eq!((taken.endpoints, taken.left_out), (Vec::new(), None));
    }

    #[test]
    fn what_is_left_out_is_told_in_short() {
        let answer = Answer {
            endpoints: vec![at("192.0.2.1:80")],
            left_out: ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec(),
        };
        let told = answer.settle().unwrap().left_out;
        assert_eq!(told.as_deref(), Some("a, b, c, and 2 more"));
    }

    #[test]
    fn no_more_names_are_taken_than_can_be_followed() {
        let many = (0..MAX_NAMES + 7).map(|index| named(&format!("h{index}"), 9));
        let answer: Vec<Endpoint> = many
            .chain([named("first", 0), at("192.0.2.1:80")])
            .collect();
        let mut turned = answer.clone();
        turned.reverse();
        let taken = Answer::from(answer).settle().unwrap();
        assert_eq!(taken.endpoints.len(), MAX_NAMES + 1);
        assert!(taken.endpoints.contains(&named("first", 0)));
        assert!(taken.endpoints.contains(&at("192.0.2.1:80")));
        let told = taken.left_out.as_deref();
        assert_eq!(told, Some("8 names beyond the first 1024"));
        assert_eq!(Answer::from(turned).settle().unwrap(), taken);
    }
}
