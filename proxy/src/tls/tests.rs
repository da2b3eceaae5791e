//! Handshakes in memory against what `Keeper` prepares, and the words for what is wrong with files.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, SystemTime};

use openclaw_core::config::{Certificate, Mode, Protocols};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, ServerConnection, SignatureScheme};

use self::believer::Believer;
use super::*;

#[path = "../../../tests/support/believer.rs"]
pub(crate) mod believer;

fn listener(protocols: Protocols) -> Listener {
    Listener {
        name: "web".into(),
        bind: Vec::new(),
        mode: Mode::Http,
        protocols,
        tls: None,
        trusted_proxies: Vec::new(),
        cdns: Vec::new(),
        proxy_protocol: Vec::new(),
        max_connections: 1,
        max_connections_per_ip: 1,
        header_timeout: Duration::ZERO,
        idle_timeout: Duration::ZERO,
        abort_on_close: false,
        ping: None,
        error_pages: Vec::new(),
        min_body_rate: 0,
        max_header: 0,
    }
}

const BOTH: Protocols = Protocols {
    h1: true,
    h2: true,
    h3: false,
};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("openclaw-tls-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A certificate for the names, with its key.
    fn certificate(&self, stem: &str, names: &[&str], algorithm: Algorithm) -> Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let params = rcgen::CertificateParams::new(names).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Certificate {
            cert: self.write(&format!("{stem}.pem"), &certificate.pem()),
            key: self.write(&format!("{stem}.key"), &key.serialize_pem()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

type Algorithm = &'static rcgen::SignatureAlgorithm;
const P256: Algorithm = &rcgen::PKCS_ECDSA_P256_SHA256;
const P384: Algorithm = &rcgen::PKCS_ECDSA_P384_SHA384;

fn tls(certificates: &[Certificate], self_signed: &[&str]) -> Tls {
    Tls {
        certificates: certificates.to_vec(),
        self_signed: self_signed.iter().map(|name| (*name).to_owned()).collect(),
        min: TlsVersion::V1_2,
        client_ca: None,
    }
}

fn client(schemes: &[SignatureScheme]) -> ClientConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Believer::new(&provider, Some(schemes));
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth()
}

fn any_scheme() -> ClientConfig {
    client(&[
        SignatureScheme::ECDSA_NISTP256_SHA256,
        SignatureScheme::ECDSA_NISTP384_SHA384,
    ])
}

/// Runs a handshake to its end, or to the error of the server.
fn handshake(
    server: &Arc<ServerConfig>,
    client: ClientConfig,
    name: &str,
) -> Result<(ClientConnection, ServerConnection), rustls::Error> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    while client.is_handshaking() || server.is_handshaking() || server.wants_write() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
    }
    Ok((client, server))
}

fn names_served(server: &Arc<ServerConfig>, client: ClientConfig, name: &str) -> Vec<String> {
    let (client, _) = handshake(server, client, name).unwrap();
    let leaf = client.peer_certificates().unwrap()[0].clone();
    certificate::facts(Path::new("served"), &[leaf])
        .unwrap()
        .names
}

#[test]
fn the_name_decides_which_certificate_is_served() {
    let folder = Folder::new("names");
    let one = folder.certificate("one", &["one.test", "www.one.test"], P256);
    let wild = folder.certificate("wild", &["*.two.test"], P256);
    let exact = folder.certificate("exact", &["a.two.test"], P256);
    let ready = Keeper::default()
        .prepare(&listener(BOTH), &tls(&[one, wild, exact], &[]))
        .unwrap();
    let first = ["one.test", "www.one.test"].as_slice();
    for (asked, expected) in [
        ("one.test", first),
        ("WWW.One.Test", first),
        ("a.two.test", &["a.two.test"]),
        ("b.two.test", &["*.two.test"]),
        ("c.b.two.test", first),
        ("two.test", first),
        ("unknown.test", first),
        ("127.0.0.1", first),
    ] {
        let served = names_served(&ready.config, any_scheme(), asked);
        assert_eq!(served, expected, "{asked}");
    }
}

#[test]
fn of_two_algorithms_the_client_gets_the_one_it_knows() {
    let folder = Folder::new("algorithms");
    let small = folder.certificate("p256", &["a.test"], P256);
    let large = folder.certificate("p384", &["a.test"], P384);
    let ready = Keeper::default()
        .prepare(&listener(BOTH), &tls(&[small, large], &[]))
        .unwrap();
    for scheme in [
        SignatureScheme::ECDSA_NISTP256_SHA256,
        SignatureScheme::ECDSA_NISTP384_SHA384,
    ] {
        for asked in ["a.test", "unknown.test"] {
            assert_eq!(
                names_served(&ready.config, client(&[scheme]), asked),
                ["a.test"],
                "{scheme:?}"
            );
        }
    }
}

#[test]
fn alpn_follows_the_protocols_and_a_stranger_is_refused() {
    let ready = |protocols| {
        Keeper::default()
            .prepare(&listener(protocols), &tls(&[], &["localhost"]))
            .unwrap()
    };
    let negotiated = |ready: &Ready, offered: &[&str]| {
        let mut client = any_scheme();
        client.alpn_protocols = offered
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        handshake(&ready.config, client, "localhost")
            .map(|(_, server)| server.alpn_protocol().map(<[u8]>::to_vec))
    };
    let both = ready(BOTH);
    assert_eq!(
        negotiated(&both, &["http/1.1", "h2"]),
        Ok(Some(b"h2".to_vec()))
    );
    assert_eq!(negotiated(&both, &[]), Ok(None));
    let stranger = negotiated(&both, &["spdy/3"]);
    assert_eq!(stranger, Err(rustls::Error::NoApplicationProtocol));
    let h1 = ready(Protocols {
        h1: true,
        h2: false,
        h3: false,
    });
    assert_eq!(
        negotiated(&h1, &["h2", "http/1.1"]),
        Ok(Some(b"http/1.1".to_vec()))
    );
    assert_eq!(
        negotiated(&h1, &["h2"]),
        Err(rustls::Error::NoApplicationProtocol)
    );
}

#[test]
fn the_minimum_version_is_kept() {
    let mut section = tls(&[], &["localhost"]);
    let with_tls12 = || {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Believer::new(&provider, None);
        ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS12])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth()
    };
    let old = Keeper::default()
        .prepare(&listener(BOTH), &section)
        .unwrap();
    let (_, server) = handshake(&old.config, with_tls12(), "localhost").unwrap();
    assert_eq!(server.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    section.min = TlsVersion::V1_3;
    let new = Keeper::default()
        .prepare(&listener(BOTH), &section)
        .unwrap();
    assert!(handshake(&new.config, with_tls12(), "localhost").is_err());
}

#[test]
fn a_reload_keeps_the_self_signed_certificate_and_the_ticket_key() {
    let mut keeper = Keeper::default();
    let section = tls(&[], &["localhost", "127.0.0.1"]);
    let before = keeper.prepare(&listener(BOTH), &section).unwrap();
    let after = keeper.prepare(&listener(BOTH), &section).unwrap();
    let client = any_scheme();
    let (first, _) = handshake(&before.config, client.clone(), "localhost").unwrap();
    assert_eq!(first.handshake_kind(), Some(rustls::HandshakeKind::Full));
    let (second, _) = handshake(&after.config, client, "localhost").unwrap();
    assert_eq!(
        second.handshake_kind(),
        Some(rustls::HandshakeKind::Resumed)
    );
    assert_eq!(before.certificates, after.certificates);
    let facts = &after.certificates[0];
    assert_eq!(facts.names, ["localhost"]);
    let now = SystemTime::now();
    let year = Duration::from_hours(400 * 24);
    assert_eq!(facts.validity(now), Validity::Valid);
    assert_eq!(facts.validity(now - year), Validity::NotYet);
    assert_eq!(facts.validity(now + year), Validity::Expired);
}

#[test]
fn every_bad_file_is_named_with_what_is_wrong() {
    let folder = Folder::new("bad");
    let good = folder.certificate("good", &["a.test"], P256);
    let other = folder.certificate("other", &["b.test"], P256);
    let pair = |cert: &PathBuf, key: &PathBuf| Certificate {
        cert: cert.clone(),
        key: key.clone(),
    };
    let empty = folder.write("empty.pem", "");
    let torn = folder.write("torn.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n");
    let nonsense = folder.write(
        "nonsense.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let missing = folder.0.join("missing.pem");
    let section = tls(
        &[
            pair(&good.cert, &other.key),
            pair(&missing, &good.key),
            pair(&empty, &good.key),
            pair(&torn, &good.key),
            pair(&nonsense, &good.key),
            pair(&good.cert, &good.cert),
        ],
        &[],
    );
    let errors = Keeper::default()
        .prepare(&listener(BOTH), &section)
        .unwrap_err();
    let words: Vec<String> = errors
        .iter()
        .map(|(part, error)| {
            let source = error.source().map(|_| ": …").unwrap_or_default();
            let text = format!("{part:?}: {error}{source}");
            text.replace(&format!("{}/", folder.0.display()), "")
        })
        .collect();
    assert_eq!(
        words,
        [
            "Key(0): the key in other.key does not belong to the certificate in good.pem",
            "Cert(1): cannot read missing.pem: …",
            "Cert(2): empty.pem holds no certificate",
            "Cert(3): torn.pem is not a PEM file of certificates: …",
            "Cert(4): the certificate in nonsense.pem cannot be parsed: …",
            "Key(5): good.pem holds no private key that can be used (PKCS#8, PKCS#1 or SEC1, not encrypted): …",
        ]
    );
}
