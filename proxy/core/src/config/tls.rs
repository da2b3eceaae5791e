//! `tls` of a listener: certificates and versions.

use std::path::PathBuf;

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Section, Unread};
use super::tree::Node;
use super::{names, values};

#[derive(Clone, Debug)]
pub struct Tls {
    pub certificates: Vec<Certificate>,
    /// Names for a certificate made at start, for trying things out; empty: none is made.
    pub self_signed: Vec<String>,
    pub min: TlsVersion,
    /// Who signs the certificates that clients must show; absent: none is asked for.
    pub client_ca: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub cert: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    V1_2,
    V1_3,
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "listener.tls",
    doc: "TLS of a listener.",
    keys: &[
        Key::default(
            "certificates",
            "list of tables",
            "[]",
            "The certificates; the name that a client asks for picks one, else the first serves.",
        )
        .example("[{ cert = \"a.pem\", key = \"a.key\" }]")
        .fields(&CERTIFICATE),
        Key::default(
            "min",
            "word",
            "\"1.2\"",
            "The oldest version that is spoken: 1.2 or 1.3.",
        )
        .words(&["1.2", "1.3"]),
        Key::default(
            "self_signed",
            "list of names",
            "[]",
            "Names for a certificate made at start, for trying things out.",
        )
        .example("[\"localhost\", \"127.0.0.1\"]"),
        Key::optional(
            "client_ca",
            "path",
            "\"clients.pem\"",
            "Certificates of authorities, PEM. Clients must show a certificate that one of them has signed; sessions are not resumed then.",
        ),
    ],
    later: &[],
};

static CERTIFICATE: keys::Section = keys::Section {
    name: "listener.tls.certificates",
    doc: "A certificate.",
    keys: &[
        Key::required(
            "cert",
            "path",
            "\"a.pem\"",
            "The certificate and its chain, PEM.",
        ),
        Key::required("key", "path", "\"a.key\"", "The private key, PEM."),
    ],
    later: &[],
};

pub(super) fn read(section: &Section<'_>) -> Option<Tls> {
    let certificates: Option<Vec<Certificate>> = section.items("certificates").and_then(|items| {
        let read: Vec<Option<Certificate>> = items
            .into_iter()
            .map(|item| read_certificate(&section.item_section("certificates", item)?))
            .collect();
        read.into_iter().collect()
    });
    let min = section.value("min", version);
    let self_signed = section.list("self_signed", subject);
    let client_ca = section.optional("client_ca", |node| section.reader.path(node));
    let tls = Tls {
        certificates: certificates?,
        self_signed: self_signed?,
        min: min?,
        client_ca: client_ca.ok()?,
    };
    if tls.certificates.is_empty() && tls.self_signed.is_empty() {
        section.reader.report(
            section.place,
            &section.path,
            Complaint::new("TLS without a certificate").hint(
                "add certificates = [{ cert = \"a.pem\", key = \"a.key\" }], or self_signed = [\"localhost\"] to try it out",
            ),
        );
        return None;
    }
    Some(tls)
}

pub(super) fn version(node: &Node) -> Result<TlsVersion, Unread> {
    values::choice(&[("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)])(node)
}

pub(super) fn read_certificate(section: &Section<'_>) -> Option<Certificate> {
    let cert = section.value("cert", |node| section.reader.path(node));
    let key = section.value("key", |node| section.reader.path(node));
    Some(Certificate {
        cert: cert?,
        key: key?,
    })
}

fn subject(node: &Node) -> Result<String, Unread> {
    let name = values::string(node)?;
    if name.parse::<std::net::IpAddr>().is_err()
        && !names::is_host(name.strip_prefix("*.").unwrap_or(name))
    {
        return Err(
            Complaint::new(format!("`{name}` is neither a host name nor an address"))
                .hint("write one such as \"localhost\", \"*.example.com\" or \"127.0.0.1\"")
                .into(),
        );
    }
    Ok(name.to_ascii_lowercase())
}
