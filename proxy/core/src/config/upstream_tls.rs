//! `tls` of an upstream: whom the proxy believes to be the endpoint, and what it shows of itself.

use std::path::PathBuf;

use super::endpoint::{Endpoint, EndpointAddress};
use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Item, Section, Told, Unread};
use super::tls::{self, Certificate, TlsVersion};
use super::tree::{Node, Value};
use super::{names, values};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Who signs the endpoints' certificates; absent: the authorities of the system.
    pub ca: Option<PathBuf>,
    /// The name in their certificates; absent: each endpoint's own host.
    pub server_name: Option<String>,
    /// What the proxy shows of itself.
    pub certificate: Option<Certificate>,
    pub min: TlsVersion,
    /// Any certificate is taken.
    pub insecure: bool,
}

impl Default for UpstreamTls {
    fn default() -> Self {
        Self {
            ca: None,
            server_name: None,
            certificate: None,
            min: TlsVersion::V1_2,
            insecure: false,
        }
    }
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "upstream.tls",
    doc: "TLS to the endpoints.",
    keys: &[
        Key::optional(
            "ca",
            "path",
            "\"ca.pem\"",
            "Certificates of the authorities that sign the endpoints' certificates, PEM. Absent: those that this system trusts.",
        ),
        Key::optional(
            "server_name",
            "string",
            "\"app.internal\"",
            "The name or address that the endpoints' certificates must bear; it is sent as the server name (SNI), unless it is an address. Absent: each endpoint's own host.",
        ),
        Key::optional(
            "certificate",
            "table",
            "{ cert = \"proxy.pem\", key = \"proxy.key\" }",
            "The certificate that the proxy shows to endpoints that ask for one.",
        )
        .fields(&CERTIFICATE),
        Key::default(
            "min",
            "word",
            "\"1.2\"",
            "The oldest version that is spoken: 1.2 or 1.3.",
        )
        .words(&["1.2", "1.3"]),
        Key::default(
            "insecure",
            "boolean",
            "false",
            "Takes any certificate, so that anybody on the way can read and change everything. For trying things out.",
        ),
    ],
    later: &[],
};

static CERTIFICATE: keys::Section = keys::Section {
    name: "upstream.tls.certificate",
    doc: "A certificate.",
    keys: &[
        Key::required(
            "cert",
            "path",
            "\"proxy.pem\"",
            "The certificate and its chain, PEM.",
        ),
        Key::required("key", "path", "\"proxy.key\"", "The private key, PEM."),
    ],
    later: &[],
};

/// What `tls` and the schemes of the endpoints come to.
pub(super) fn read(
    upstream: &Section<'_>,
    endpoints: &[Endpoint],
) -> Result<Option<UpstreamTls>, Told> {
    let items = upstream.items_if_present("endpoints");
    if !upstream.has("tls") {
        return of_urls(upstream, &items);
    }
    let item = upstream.items("tls").unwrap_or_default().pop();
    let written = written(upstream, item.ok_or(Told)?)?;
    let demo = EndpointAddress::Demo;
    let demo = endpoints
        .iter()
        .position(|endpoint| endpoint.address == demo);
    if let Some(item) = demo
        .filter(|_| written.is_some())
        .and_then(|at| items.get(at))
    {
        let complaint =
            Complaint::new("the demo origin does not speak TLS").hint("leave `tls` out");
        upstream
            .reader
            .report(item.node.place, &item.path, complaint);
        return Err(Told);
    }
    let (other, told) = match written {
        Some(_) => (
            "http://",
            "`http://` says no TLS, but the upstream has `tls`: it is spoken",
        ),
        None => (
            "https://",
            "`https://` says TLS, but the upstream has `tls = false`: it is not spoken",
        ),
    };
    for item in items.iter().filter(|item| has_scheme(&item.node, other)) {
        let complaint = Complaint::new(told).hint("leave the scheme out");
        upstream.reader.warn(item.node.place, &item.path, complaint);
    }
    Ok(written)
}

/// Without the key, URLs say whether TLS is spoken.
fn of_urls(upstream: &Section<'_>, items: &[Item]) -> Result<Option<UpstreamTls>, Told> {
    let is_https = |item: &Item| has_scheme(&item.node, "https://");
    if !items.iter().any(is_https) {
        return Ok(None);
    }
    if let Some(item) = items.iter().find(|item| !is_https(item)) {
        let complaint =
            Complaint::new("an upstream speaks TLS with all of its endpoints or with none")
                .hint("write https:// before each, or make two upstreams of them");
        upstream
            .reader
            .report(item.node.place, &item.path, complaint);
        return Err(Told);
    }
    Ok(Some(UpstreamTls::default()))
}

/// Whether an endpoint, or its `address`, begins so.
fn has_scheme(node: &Node, scheme: &str) -> bool {
    match &node.value {
        Value::String(text) => text.starts_with(scheme),
        Value::Table(table) => table
            .iter()
            .any(|entry| entry.key == "address" && has_scheme(&entry.node, scheme)),
        Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime
        | Value::Array(_)
        | Value::Broken => false,
    }
}

/// A table, `true` for an empty one, or `false` for none.
fn written(upstream: &Section<'_>, mut item: Item) -> Result<Option<UpstreamTls>, Told> {
    if let Value::Boolean(is_spoken) = item.node.value {
        if !is_spoken {
            return Ok(None);
        }
        item.node.value = Value::Table(Vec::new());
    }
    let table = upstream.item_section("tls", item).ok_or(Told)?;
    read_table(&table).map(Some).ok_or(Told)
}

fn read_table(section: &Section<'_>) -> Option<UpstreamTls> {
    let ca = section.optional("ca", |node| section.reader.path(node));
    let server_name = section.optional("server_name", server_name);
    let certificate = section.section("certificate");
    let certificate = certificate.map(|section| tls::read_certificate(&section));
    let min = section.value("min", tls::version);
    let insecure = section.value("insecure", values::boolean);
    let ca = ca.ok()?;
    if insecure? && ca.is_some() {
        let complaint = Complaint::new("`insecure` takes any certificate, so `ca` does nothing");
        section.complain("insecure", complaint.hint("leave one of them out"));
        return None;
    }
    Some(UpstreamTls {
        ca,
        server_name: server_name.ok()?,
        certificate: match certificate {
            Some(read) => Some(read?),
            None if section.has("certificate") => return None,
            None => None,
        },
        min: min?,
        insecure: insecure?,
    })
}

fn server_name(node: &Node) -> Result<String, Unread> {
    let name = values::string(node)?;
    if name.parse::<std::net::IpAddr>().is_err() && !names::is_host(name) {
        let complaint = Complaint::new(format!("`{name}` is neither a host name nor an address"))
            .hint("write one such as \"app.internal\"");
        return Err(complaint.into());
    }
    Ok(name.to_ascii_lowercase())
}
