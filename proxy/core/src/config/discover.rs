//! `discover`: where an upstream gets endpoints from that are not written down.

use std::net::{IpAddr, SocketAddr};

use super::endpoint::{EndpointAddress, endpoint_address};
use super::keys::{self, Key};
use super::names;
use super::problem::Complaint;
use super::reader::{Section, Unread};
use super::tree::Node;
use super::values;

/// Who is asked for endpoints. Upstreams with the same one share its answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Discover {
    /// The addresses of a name.
    Dns {
        host: String,
        port: u16,
        /// Else the system is asked, as programs on this machine are used to it.
        resolver: Option<SocketAddr>,
    },
    /// The SRV records of a name; the addresses of their targets are asked for at the same place.
    Srv {
        name: String,
        resolver: Option<SocketAddr>,
    },
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "upstream.discover",
    doc: "Where endpoints come from. Exactly one of dns and srv.",
    keys: &[
        Key::optional(
            "dns",
            "host and port",
            "\"app.internal:8080\"",
            "All addresses of this name (A and AAAA), asked for again when the time to live of the answer is over.",
        ),
        Key::optional(
            "srv",
            "name",
            "\"_http._tcp.app.internal\"",
            "The SRV records of this name give hosts, ports and weights. Records of the lowest priority that have an address are used.",
        ),
        Key::optional(
            "resolver",
            "address",
            "\"127.0.0.1:53\"",
            "The name server to ask for dns and srv. Absent: as the system does, with /etc/hosts, the servers and the search domains of /etc/resolv.conf.",
        ),
    ],
    later: &[],
};

/// The keys of which there is exactly one.
const SOURCES: [&str; 2] = ["dns", "srv"];

pub(super) fn read(section: &Section<'_>) -> Option<Discover> {
    let resolver = section.optional("resolver", resolver);
    let dns = section.optional("dns", named);
    let srv = section.optional("srv", service);
    let written: Vec<&str> = SOURCES.into_iter().filter(|key| section.has(key)).collect();
    if let [first, second, ..] = *written {
        let complaint = Complaint::new(format!("`{first}` and `{second}` exclude each other"))
            .hint("an upstream has one source of endpoints");
        section.complain(second, complaint);
        return None;
    }
    let (resolver, dns, srv) = (resolver.ok()?, dns.ok()?, srv.ok()?);
    if let Some((host, port)) = dns {
        return Some(Discover::Dns {
            host,
            port,
            resolver,
        });
    }
    if let Some(name) = srv {
        return Some(Discover::Srv { name, resolver });
    }
    let complaint = Complaint::new("nothing is said about where endpoints come from")
        .hint("write discover = { dns = \"app.internal:8080\" }");
    section
        .reader
        .report(section.place, &section.path, complaint);
    None
}

fn named(node: &Node) -> Result<(String, u16), Unread> {
    let text = values::string(node)?;
    match endpoint_address(text)? {
        EndpointAddress::Name { host, port } => Ok((host, port)),
        EndpointAddress::Ip(_) | EndpointAddress::Demo => {
            Err(Complaint::new(format!("`{text}` is no name to ask for"))
                .hint(format!("write endpoints = [\"{text}\"]"))
                .into())
        }
    }
}

fn service(node: &Node) -> Result<String, Unread> {
    let text = values::string(node)?;
    let name = text.strip_suffix('.').unwrap_or(text);
    if !names::is_host(name) {
        return Err(
            Complaint::new(format!("`{text}` is not the name of a service"))
                .hint("write \"_http._tcp.app.internal\"; the port is in its records")
                .into(),
        );
    }
    Ok(name.to_ascii_lowercase())
}

/// The port may be left out.
fn resolver(node: &Node) -> Result<SocketAddr, Unread> {
    let text = values::string(node)?;
    let address = text.parse::<SocketAddr>();
    let address = address.or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)));
    match address {
        Ok(address) if address.port() > 0 => Ok(address),
        Ok(_) | Err(_) => Err(Complaint::new(format!(
            "`{text}` is not the address of a name server"
        ))
        .hint("write \"127.0.0.1:53\"")
        .into()),
    }
}
