//! `[upstream.NAME]`: the origins behind the proxy.

use std::sync::Arc;
use std::time::Duration;

use super::endpoint::{self, Endpoint};
use super::health::{self, Health};
use super::keys::{self, Key};
use super::reader::Section;
use super::values;
use crate::health::Rules;

#[derive(Clone, Debug)]
pub struct Upstream {
    pub name: Arc<str>,
    pub endpoints: Vec<Endpoint>,
    pub balance: Balance,
    pub protocol: UpstreamProtocol,
    pub connect_timeout: Duration,
    /// From the request being sent to the response head, and between two reads of its body.
    pub response_timeout: Duration,
    /// How long an upgraded connection (WebSocket), or a gRPC call that has begun to be answered, may be silent.
    pub tunnel_timeout: Duration,
    pub retries: u32,
    /// Idle connections kept per worker.
    pub keepalive: usize,
    /// How many exchanges an endpoint has at once, over all workers.
    pub max_connections: Option<u32>,
    /// How many exchanges wait for a place, over all workers, and how long.
    pub queue: usize,
    pub queue_timeout: Duration,
    pub health: Option<Health>,
    pub breaker: Option<Rules>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    RoundRobin,
    LeastConnections,
    LeastTime,
    Random,
    IpHash,
    UrlHash,
    Maglev,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamProtocol {
    H1,
    H2,
}

const BALANCES: [(&str, Balance); 7] = [
    ("round_robin", Balance::RoundRobin),
    ("least_connections", Balance::LeastConnections),
    ("least_time", Balance::LeastTime),
    ("random", Balance::Random),
    ("ip_hash", Balance::IpHash),
    ("url_hash", Balance::UrlHash),
    ("maglev", Balance::Maglev),
];

pub(super) static KEYS: keys::Section = keys::Section {
    name: "upstream",
    doc: "A group of endpoints that serve the same. Routes name it.",
    keys: &[
        Key::required(
            "endpoints",
            "list of endpoints",
            "[\"127.0.0.1:9001\", { address = \"127.0.0.1:9002\", weight = 3 }, \"http://app.internal:8080\"]",
            "Addresses, host names, http:// URLs, or \"builtin:demo\". A table gives an endpoint a weight.",
        )
        .fields(&endpoint::KEYS),
        Key::default(
            "balance",
            "word",
            "\"round_robin\"",
            "How an endpoint is picked: round_robin, in turn; least_connections, whoever has the fewest exchanges under way; least_time, whoever is expected to answer first; random, the less busy of two drawn at random; ip_hash and maglev, by the client's address; url_hash, by path and query. All go by weights; those by a hash move about one key in n when one of n endpoints goes, and maglev takes the same time for any number of them.",
        ),
        Key::default(
            "protocol",
            "word",
            "\"h1\"",
            "What the endpoints speak: h1, or h2 (in the clear, with prior knowledge), which gRPC needs.",
        ),
        Key::default(
            "connect_timeout",
            "duration",
            "\"1s\"",
            "How long a connection may take to be made.",
        ),
        Key::default(
            "response_timeout",
            "duration",
            "\"30s\"",
            "The longest wait for the response head, and between two reads of its body.",
        ),
        Key::default(
            "tunnel_timeout",
            "duration",
            "\"1h\"",
            "How long an upgraded connection (WebSocket), or a gRPC call that has begun to be answered, may be silent.",
        ),
        Key::default(
            "retries",
            "number",
            "1",
            "How often a request is tried again when that is safe.",
        ),
        Key::default(
            "keepalive",
            "number",
            "128",
            "Idle connections kept per worker.",
        ),
        Key::optional(
            "max_connections",
            "number",
            "1000",
            "How many requests an endpoint is given at once, over all workers: with h1 so many connections at work, with h2 so many streams. Idle connections are not counted. When all endpoints have as many, requests wait. Absent: as many as come.",
        ),
        Key::default(
            "queue",
            "number",
            "1024",
            "So many requests may wait for an endpoint, over all workers; the next one is refused at once with 503, upstream.saturated.",
        ),
        Key::default(
            "queue_timeout",
            "duration",
            "\"1s\"",
            "How long a request waits for an endpoint before it is refused with 503, upstream.saturated.",
        ),
        Key::optional(
            "health",
            "table",
            "{ path = \"/health\", every = \"5s\", timeout = \"1s\", fall = 3, rise = 2 }",
            "Asks endpoints whether they are well. Absent: nobody is asked.",
        )
        .fields(&health::KEYS),
        Key::optional(
            "breaker",
            "table",
            "{ failures = 5, window = \"10s\", open = \"5s\" }",
            "Leaves endpoints alone that fail. Absent: after a connection that could not be made, for 2 s.",
        )
        .fields(&health::BREAKER),
    ],
    later: &[
        ("tls", "TLS to endpoints (`tls`)"),
        ("sticky", "sticky sessions (`sticky`)"),
        ("send_proxy_protocol", "the PROXY protocol to endpoints (`send_proxy_protocol`)"),
    ],
};

pub(super) fn read(name: String, section: &Section<'_>) -> Option<Upstream> {
    let endpoints = endpoint::read_all(section);
    let balance = section.value("balance", values::choice(&BALANCES));
    let protocol = section.value(
        "protocol",
        values::choice(&[("h1", UpstreamProtocol::H1), ("h2", UpstreamProtocol::H2)]),
    );
    let connect_timeout = section.value("connect_timeout", values::duration);
    let response_timeout = section.value("response_timeout", values::duration);
    let tunnel_timeout = section.value("tunnel_timeout", values::duration);
    let retries = section.value("retries", values::count(0, 10));
    let keepalive = section.value("keepalive", values::count(0, 65_536));
    let max_connections = section.optional("max_connections", values::count(1, 1_000_000));
    let queue = section.value("queue", values::count(0, 1_000_000));
    let queue_timeout = section.value("queue_timeout", values::duration);
    let health = section
        .section("health")
        .map(|section| health::read(&section));
    let breaker = section
        .section("breaker")
        .map(|section| health::read_breaker(&section));
    Some(Upstream {
        name: Arc::from(name),
        endpoints: endpoints?,
        balance: balance?,
        protocol: protocol?,
        connect_timeout: connect_timeout?,
        response_timeout: response_timeout?,
        tunnel_timeout: tunnel_timeout?,
        retries: retries?,
        keepalive: keepalive? as usize,
        max_connections: max_connections.ok()?,
        queue: queue? as usize,
        queue_timeout: queue_timeout?,
        health: match health {
            Some(read) => Some(read?),
            None => None,
        },
        breaker: match breaker {
            Some(read) => Some(read?),
            None => None,
        },
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::{BALANCES, KEYS};

    #[test]
    fn every_way_to_balance_is_told() {
        let key = KEYS.keys.iter().find(|key| key.name == "balance").unwrap();
        for (word, _) in BALANCES {
            assert!(key.doc.contains(word), "{word}");
        }
    }
}
