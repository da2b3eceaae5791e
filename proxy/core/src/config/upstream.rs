//! `[upstream.NAME]`: the origins behind the proxy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::health::{self, Health};
use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Item, Section, Unread};
use super::tree::{Node, Value};
use super::{names, values};
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
    /// How long an upgraded connection (WebSocket) may be silent.
    pub tunnel_timeout: Duration,
    pub retries: u32,
    /// Idle connections kept per worker.
    pub keepalive: usize,
    pub health: Option<Health>,
    pub breaker: Option<Rules>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    pub address: EndpointAddress,
    pub weight: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EndpointAddress {
    Ip(SocketAddr),
    /// Resolved when the configuration is loaded.
    Name {
        host: String,
        port: u16,
    },
    /// `builtin:demo`: the demo origin inside the program.
    Demo,
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
        .fields(&ENDPOINT),
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
            "What the endpoints speak: h1, or h2, which this version refuses to forward to.",
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
            "How long an upgraded connection (WebSocket) may be silent.",
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
        ("max_connections", "a limit of connections per endpoint (`max_connections`)"),
        ("queue_timeout", "waiting for a free connection (`queue_timeout`)"),
        ("sticky", "sticky sessions (`sticky`)"),
        ("send_proxy_protocol", "the PROXY protocol to endpoints (`send_proxy_protocol`)"),
    ],
};

static ENDPOINT: keys::Section = keys::Section {
    name: "upstream.endpoints",
    doc: "An endpoint with a weight.",
    keys: &[
        Key::required(
            "address",
            "endpoint",
            "\"127.0.0.1:9002\"",
            "As in the short form.",
        ),
        Key::default(
            "weight",
            "number",
            "1",
            "Its share, relative to the others; 0 takes it out.",
        ),
    ],
    later: &[],
};

pub(super) fn read(name: String, section: &Section<'_>) -> Option<Upstream> {
    let endpoints = read_endpoints(section);
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

fn read_endpoints(section: &Section<'_>) -> Option<Vec<Endpoint>> {
    let items = section.items("endpoints")?;
    if items.is_empty() {
        let hint = "write endpoints = [\"127.0.0.1:3000\"]";
        let complaint = Complaint::new("an upstream needs at least one endpoint").hint(hint);
        section.complain("endpoints", complaint);
        return None;
    }
    let read: Vec<Option<Endpoint>> = items
        .into_iter()
        .map(|item| read_endpoint(section, item))
        .collect();
    let endpoints: Vec<Endpoint> = read.into_iter().collect::<Option<_>>()?;
    if endpoints.iter().all(|endpoint| endpoint.weight == 0) {
        let complaint = Complaint::new("the weights of all endpoints are 0: none would be picked");
        section.complain("endpoints", complaint);
    }
    Some(endpoints)
}

fn read_endpoint(section: &Section<'_>, item: Item) -> Option<Endpoint> {
    if !matches!(item.node.value, Value::Table(_)) {
        let address = section.parse(&item.path, &item.node, endpoint)?;
        return Some(Endpoint { address, weight: 1 });
    }
    let section = section.item_section("endpoints", item)?;
    let address = section.value("address", endpoint);
    let weight = section.value("weight", values::count(0, 65_535));
    Some(Endpoint {
        address: address?,
        weight: weight?,
    })
}

fn endpoint(node: &Node) -> Result<EndpointAddress, Unread> {
    Ok(endpoint_address(values::string(node)?)?)
}

/// Reads `127.0.0.1:9001`, `[::1]:9001`, `app.internal:8080`, `http://app.internal` or `builtin:demo`.
pub fn endpoint_address(text: &str) -> Result<EndpointAddress, Complaint> {
    let wrong = |why: &str| {
        Complaint::new(format!("`{text}` is not an endpoint: {why}"))
            .hint("write \"127.0.0.1:9001\", \"app.internal:8080\" or \"http://app.internal\"")
    };
    if let Some(builtin) = text.strip_prefix("builtin:") {
        return match builtin {
            "demo" => Ok(EndpointAddress::Demo),
            _ => Err(wrong("no such builtin").hint("did you mean \"builtin:demo\"?")),
        };
    }
    if text.starts_with("https://") {
        return Err(Complaint::new(
            "this version does not support TLS to endpoints (`https://`)",
        ));
    }
    let (authority, default_port) = match text.strip_prefix("http://") {
        Some(rest) => (rest.strip_suffix('/').unwrap_or(rest), Some(80)),
        None => (text, None),
    };
    if authority.contains(['/', '?', '#', '@']) {
        return Err(wrong("it may have a scheme, a host and a port only"));
    }
    if let Ok(address) = authority.parse::<SocketAddr>() {
        return match address.port() {
            0 => Err(wrong("port 0 cannot be connected to")),
            _ => Ok(EndpointAddress::Ip(address)),
        };
    }
    let (host, port) = match (authority.rsplit_once(':'), default_port) {
        _ if authority.ends_with(']') => (authority, default_port),
        (Some((host, port)), _) => match port.parse::<u16>() {
            Ok(port) if port > 0 => (host, Some(port)),
            Ok(_) | Err(_) => return Err(wrong("its port is not a number from 1 to 65535")),
        },
        (None, default_port) => (authority, default_port),
    };
    let port = port.ok_or_else(|| wrong("it has no port"))?;
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    if let Ok(ip) = bare.unwrap_or(host).parse() {
        return Ok(EndpointAddress::Ip(SocketAddr::new(ip, port)));
    }
    if !names::is_host(host) {
        return Err(wrong("its host is not a name"));
    }
    Ok(EndpointAddress::Name {
        host: host.to_ascii_lowercase(),
        port,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::{BALANCES, EndpointAddress, KEYS, endpoint_address};

    #[test]
    fn every_way_to_balance_is_told() {
        let key = KEYS.keys.iter().find(|key| key.name == "balance").unwrap();
        for (word, _) in BALANCES {
            assert!(key.doc.contains(word), "{word}");
        }
    }

    fn check(input: &str, expected: Option<&str>) {
        let got = endpoint_address(input).ok().map(|address| match address {
            EndpointAddress::Ip(address) => address.to_string(),
            EndpointAddress::Name { host, port } => format!("{host}:{port} by name"),
            EndpointAddress::Demo => "demo".to_owned(),
        });
        assert_eq!(got.as_deref(), expected, "{input}");
    }

    #[test]
    fn endpoints_are_addresses_names_or_urls() {
        check("127.0.0.1:9001", Some("127.0.0.1:9001"));
        check("[::1]:9001", Some("[::1]:9001"));
        check("http://127.0.0.1", Some("127.0.0.1:80"));
        check("http://127.0.0.1/", Some("127.0.0.1:80"));
        check("http://127.0.0.1:3000", Some("127.0.0.1:3000"));
        check("http://[::1]", Some("[::1]:80"));
        check("App.internal:8080", Some("app.internal:8080 by name"));
        check("http://app.internal", Some("app.internal:80 by name"));
        check("localhost:3000", Some("localhost:3000 by name"));
        check("builtin:demo", Some("demo"));
        for wrong in [
            "",
            ":80",
            "127.0.0.1",
            "app",
            "127.0.0.1:0",
            "app:0",
            "app:99999",
            "app:x",
            "http://",
            "http://app/path",
            "https://app",
            "http://user@app",
            "ftp://app:80",
            "builtin:other",
            "[::1]",
            "[::1:80",
            "a b:80",
            "unix:/run/app.sock",
        ] {
            check(wrong, None);
        }
    }
}
