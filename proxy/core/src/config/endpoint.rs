//! The endpoints of an upstream: an address, a name or a URL, and what a table says of it beside that.

use std::net::SocketAddr;
use std::sync::Arc;

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Item, Section, Unread};
use super::tree::{Node, Value};
use super::{names, values};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    pub address: EndpointAddress,
    pub weight: u32,
    /// Where it stands, in the words of whoever names it.
    pub zone: Option<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EndpointAddress {
    Ip(SocketAddr),
    /// Resolved when the configuration is loaded, and again when the answer has grown old.
    Name {
        host: String,
        port: u16,
    },
    /// `builtin:demo`: the demo origin inside the program.
    Demo,
}

pub(super) static KEYS: keys::Section = keys::Section {
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
        Key::optional(
            "zone",
            "name",
            "\"eu-1a\"",
            "Where it stands. Where `[server]` has a `zone`, requests stay with the endpoints of that one while enough of them are well, see `spill_below`. One without counts as far away.",
        ),
    ],
    later: &[],
};

pub(super) fn read_all(section: &Section<'_>) -> Option<Vec<Endpoint>> {
    // Beside a source of endpoints there need be none here.
    let items = if section.has("discover") {
        section.items_if_present("endpoints")
    } else {
        section.items("endpoints")?
    };
    if items.is_empty() && section.has("discover") {
        return Some(Vec::new());
    }
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
        let complaint = Complaint::new("the weights of all endpoints are 0: none would be picked")
            .hint("give one a weight of 1 or more");
        section.complain("endpoints", complaint);
    }
    Some(endpoints)
}

fn read_endpoint(section: &Section<'_>, item: Item) -> Option<Endpoint> {
    if !matches!(item.node.value, Value::Table(_)) {
        let address = section.parse(&item.path, &item.node, endpoint)?;
        return Some(Endpoint {
            address,
            weight: 1,
            zone: None,
        });
    }
    let section = section.item_section("endpoints", item)?;
    let address = section.value("address", endpoint);
    let weight = section.value("weight", values::count(0, 65_535));
    let zone = section.optional("zone", values::label);
    Some(Endpoint {
        address: address?,
        weight: weight?,
        zone: zone.ok()?,
    })
}

fn endpoint(node: &Node) -> Result<EndpointAddress, Unread> {
    Ok(endpoint_address(values::string(node)?)?)
}

/// Reads the name of a zone.
///
/// # Errors
/// It is no name.
pub fn zone_name(text: &str) -> Result<Arc<str>, Complaint> {
    Ok(values::name(text)?.into())
}

/// Reads `127.0.0.1:9001`, `[::1]:9001`, `app.internal:8080`, `http://app.internal`, `https://app.internal` or `builtin:demo`.
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
    let url = text.strip_prefix("http://").map(|rest| (rest, 80));
    let url = url.or_else(|| text.strip_prefix("https://").map(|rest| (rest, 443)));
    let (authority, default_port) = match url {
        Some((rest, port)) => (rest.strip_suffix('/').unwrap_or(rest), Some(port)),
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
    use super::{EndpointAddress, endpoint_address};

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
        check("https://127.0.0.1", Some("127.0.0.1:443"));
        check("https://App.internal/", Some("app.internal:443 by name"));
        check(
            "https://app.internal:8443",
            Some("app.internal:8443 by name"),
        );
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
            "https://app/path",
            "https://",
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
