//! SRV records as endpoints (RFC 2782), answers of which a part is missing, and the time an answer is good for.

use std::net::IpAddr;
use std::time::Duration;

use super::{Answer, Endpoint, Target};

/// One SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The lowest is used first.
    pub priority: u16,
    /// The share among those of one priority.
    pub weight: u16,
    /// Where it listens.
    pub port: u16,
    /// As the record has it, with or without the final dot.
    pub target: String,
}

/// The endpoints of the records. A lone record whose target is the root says that the service is not offered: the set is empty.
///
/// A weight of 0 counts as 1, beside weights that are meant a small share. A record of port 0 is left out.
pub fn services(records: Vec<Service>) -> Answer {
    let mut answer = Answer::default();
    for record in records {
        let host = record.target.trim_end_matches('.').to_ascii_lowercase();
        if host.is_empty() {
            continue;
        }
        if record.port == 0 {
            let left_out = format!("the record of `{host}` has port 0");
            answer.left_out.push(left_out);
            continue;
        }
        answer.endpoints.push(Endpoint {
            priority: record.priority,
            target: Target::Name {
                host,
                port: record.port,
            },
            weight: u32::from(record.weight.max(1)),
            zone: None,
        });
    }
    answer
}

/// Addresses of one length, which are asked for by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// A records.
    V4,
    /// AAAA records.
    V6,
}

impl Family {
    /// Whether the address is one of these.
    pub fn has(self, ip: IpAddr) -> bool {
        match self {
            Self::V4 => ip.is_ipv4(),
            Self::V6 => ip.is_ipv6(),
        }
    }
}

/// Completes the endpoints of a name of which one family could not be learnt: of that one those of `before` stay.
pub fn keep(answer: &mut Vec<Endpoint>, silent: Family, before: &[Endpoint]) {
    let kept = before.iter().filter(|endpoint| match endpoint.target {
        Target::Ip(address) => silent.has(address.ip()),
        Target::Name { .. } => false,
    });
    answer.extend(kept.cloned());
}

/// The time that all of an answer is good for, by the times to live of its records.
pub fn time_to_live(records: impl IntoIterator<Item = u32>) -> Duration {
    let shortest = records.into_iter().min().unwrap_or_default();
    Duration::from_secs(shortest.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::discovery::set;

    fn record(priority: u16, weight: u16, port: u16, target: &str) -> Service {
        Service {
            priority,
            weight,
            port,
            target: target.to_owned(),
        }
    }

    #[test]
    fn records_become_endpoints() {
        let records = vec![
            record(10, 0, 8081, "B.internal."),
            record(0, 5, 8080, "a.internal"),
        ];
        let told: Vec<String> = services(records)
            .endpoints
            .iter()
            .map(|one| format!("{} {} {}", one.priority, one.weight, one.target))
            .collect();
        assert_eq!(told, ["10 1 b.internal:8081", "0 5 a.internal:8080"]);
    }

    #[test]
    fn a_service_that_is_not_offered_has_no_endpoints() {
        let none = services(vec![record(0, 0, 0, ".")]);
        assert_eq!(none, Answer::default());
    }

    #[test]
    fn a_record_without_a_port_costs_no_other() {
        let found = services(vec![record(0, 0, 0, "a."), record(0, 0, 80, "b.")]);
        assert_eq!(found.left_out, ["the record of `a` has port 0"]);
        assert_eq!(found.endpoints.len(), 1);
    }

    #[test]
    fn the_shortest_time_to_live_counts() {
        assert_eq!(time_to_live([300, 5, 60]), Duration::from_secs(5));
        assert_eq!(time_to_live([]), Duration::ZERO);
    }

    #[test]
    fn a_family_that_is_not_known_now_keeps_its_addresses() {
        let endpoints = |addresses: &[&str]| -> Vec<Endpoint> {
            let addresses = addresses.iter();
            addresses
                .map(|one| Endpoint::at(one.parse().unwrap()))
                .collect()
        };
        let check = |silent, found: &[&str], before: &[&str], expected: &[&str]| {
            let mut answer = endpoints(found);
            keep(&mut answer, silent, &endpoints(before));
            assert_eq!(set(answer).unwrap(), set(endpoints(expected)).unwrap());
        };
        let before = ["192.0.2.1:80", "[2001:db8::1]:80", "[2001:db8::2]:80"];
        let of_six = ["192.0.2.7:80", "[2001:db8::1]:80", "[2001:db8::2]:80"];
        check(Family::V6, &["192.0.2.7:80"], &before, &of_six);
        let of_four = ["192.0.2.1:80", "[2001:db8::7]:80"];
        check(Family::V4, &["[2001:db8::7]:80"], &before, &of_four);
        check(Family::V6, &["192.0.2.7:80"], &[], &["192.0.2.7:80"]);
    }
}
