//! `[cdn.NAME]`, and the ones that are known by name: whose connections come from a content delivery network, and the field in which
//! it names its client.

use std::net::IpAddr;
use std::sync::Arc;

use super::keys::{self, Key, did_you_mean};
use super::problem::Complaint;
use super::reader::{Reader, Section, Unread};
use super::tree::{self, Node, Place};
use super::{Prefix, values};
use crate::message::field::is_token;
use crate::message::{Field, Kind, client_in};

/// A network whose edges speak for their clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cdn {
    /// The operator's, or that of a file that the program has inside.
    pub name: Arc<str>,
    /// Where its edges connect from.
    pub ranges: Vec<Prefix>,
    /// The request field that holds the client's address and nothing else. Absent: X-Forwarded-For, as of any trusted proxy.
    pub client_header: Option<Box<str>>,
}

/// The files that the program has inside, each with one network of the file's name.
const INSIDE: [(&str, &str); 2] = [
    (
        "cloudflare",
        include_str!("../../../../config/cdn/cloudflare.toml"),
    ),
    ("fastly", include_str!("../../../../config/cdn/fastly.toml")),
];

pub(super) static KEYS: keys::Section = keys::Section {
    name: "cdn",
    doc: "A content delivery network in front of listeners with its name in their `cdn`. cloudflare and fastly are known without a table; one of the same name takes their place.",
    keys: &[
        Key::required(
            "ranges",
            "list of prefixes",
            "[\"192.0.2.0/24\", \"2001:db8:cd::/48\"]",
            "The addresses that its edges connect from. They are trusted as `trusted_proxies` are, and never blocked.",
        ),
        Key::optional(
            "client_header",
            "field",
            "\"X-CDN-Client-IP\"",
            "The request field in which its edges, and they alone, name the client by its address. It has to be one that they write over. Absent, or not one address in it: X-Forwarded-For tells.",
        ),
    ],
    later: &[],
};

impl Cdn {
    /// Whether one of its edges has this address.
    pub fn has(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(address))
    }

    /// Whom a request of one of its edges is from, as the edge says; `None` where it does not, or says two things.
    pub fn client(&self, fields: &[Field<'_>]) -> Option<IpAddr> {
        client_in(fields, self.client_header.as_deref()?.as_bytes())
    }

    /// Whether this is its field for clients, as a CGI-style application reads names.
    pub fn writes(&self, name: &[u8]) -> bool {
        self.client_header.as_deref().is_some_and(|header| {
            let written = name.iter().map(|byte| match byte {
                b'_' => b'-',
                byte => byte.to_ascii_lowercase(),
            });
            header.len() == name.len() && written.eq(header.bytes())
        })
    }
}

pub(super) fn read(name: &str, section: &Section<'_>) -> Option<Cdn> {
    let ranges = section.list("ranges", values::prefix);
    if ranges.as_ref().is_some_and(Vec::is_empty) {
        section.complain(
            "ranges",
            Complaint::new("a network without addresses is nowhere")
                .hint("write its prefixes, such as ranges = [\"192.0.2.0/24\"]"),
        );
    }
    let client_header = section.optional("client_header", header);
    Some(Cdn {
        name: name.into(),
        ranges: ranges?,
        client_header: client_header.ok()?,
    })
}

/// The network that a listener names: of the configuration, or else one that the program knows.
pub(super) fn named(node: &Node, own: &[Cdn], reader: &Reader<'_>) -> Result<Arc<Cdn>, Unread> {
    let name = values::text(node)?;
    if let Some(cdn) = own.iter().find(|cdn| *cdn.name == *name) {
        return Ok(Arc::new(cdn.clone()));
    }
    if let Some((_, text)) = INSIDE.iter().find(|(known, _)| *known == name) {
        return inside(&name, text, reader).ok_or(Unread::Told);
    }
    let complaint = Complaint::new(format!("there is no network `{name}`"));
    let known = INSIDE.iter().map(|(name, _)| *name);
    let known = known.chain(own.iter().map(|cdn| &*cdn.name));
    let hint = did_you_mean(&name, known)
        .unwrap_or_else(|| format!("write [cdn.{name}] with its `ranges`"));
    Err(complaint.hint(hint).into())
}

fn inside(name: &str, text: &str, reader: &Reader<'_>) -> Option<Arc<Cdn>> {
    let file = reader.add_file(&format!("cdn/{name}.toml"), text);
    let table = tree::parse(reader, file, text)?;
    let place = Place::default();
    let root = Section::open(reader, &super::load::ROOT, String::new(), place, table);
    let networks = root.named("cdn")?;
    let (name, _, section) = networks.into_iter().next()?;
    Some(Arc::new(read(&name, &section?)?))
}

fn header(node: &Node) -> Result<Box<str>, Unread> {
    let name = values::text(node)?;
    if !is_token(name.as_bytes()) {
        return Err(Complaint::new(format!("`{name}` is no name of a field"))
            .hint(super::names::TOKEN)
            .into());
    }
    let kind = Kind::of(name.as_bytes());
    if matches!(kind, Kind::Other | Kind::XRealIp) {
        return Ok(name.to_ascii_lowercase().replace('_', "-").into_boxed_str());
    }
    if matches!(kind, Kind::XForwardedFor | Kind::Forwarded) {
        let complaint = Complaint::new(format!("`{name}` holds more than one address"));
        let hint = "leave `client_header` out: it is read anyway";
        return Err(complaint.hint(hint).into());
    }
    Err(Complaint::new(format!("`{name}` names no client"))
        .hint("write the field that the network sets, such as \"CF-Connecting-IP\"")
        .into())
}
