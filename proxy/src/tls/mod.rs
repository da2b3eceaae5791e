//! From the `tls` section of a listener to what rustls serves with: certificates, the choice between them, ALPN and
//! session tickets. Files are read here, by the control plane; a handshake touches none.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use openclaw_core::certificates::ByName;
use openclaw_core::config::{Certificate, Listener, Protocols, Tls, TlsVersion};
use quinn_proto::crypto::rustls::QuicServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::pki_types::pem;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    NoServerSessionStorage, ProducesTickets, ServerSessionMemoryCache, StoresServerSessions,
    WebPkiClientVerifier,
};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

use self::certificate::Loaded;
pub use self::certificate::{CertificateFacts, Validity};
pub use self::client::{ClientKeeper, ClientPart};
pub use self::fault::TlsFault;
use self::resolver::Resolver;

mod certificate;
mod client;
mod fault;
mod resolver;
#[cfg(test)]
pub(crate) mod tests;
mod verifier;

/// Sessions that QUIC clients of one listener may come back to; the oldest go first.
const QUIC_SESSIONS: usize = 8192;

/// What is wrong with a certificate or key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not a PEM file of certificates", path.display())]
    CertificatePem { path: PathBuf, source: pem::Error },
    #[error("{} holds no certificate", path.display())]
    NoCertificate { path: PathBuf },
    #[error("{} holds no private key that can be used (PKCS#8, PKCS#1 or SEC1, not encrypted)", path.display())]
    KeyPem { path: PathBuf, source: pem::Error },
    #[error("the certificate in {} cannot be parsed", path.display())]
    CertificateSyntax {
        path: PathBuf,
        source: x509_parser::asn1_rs::Err<x509_parser::error::X509Error>,
    },
    #[error("the key in {} does not belong to the certificate in {}", key.display(), cert.display())]
    Mismatch { cert: PathBuf, key: PathBuf },
    #[error("the key in {} cannot be used", path.display())]
    Key {
        path: PathBuf,
        source: rustls::Error,
    },
    #[error("cannot make a self-signed certificate for {names}")]
    SelfSigned { names: String, source: rcgen::Error },
    #[error("{} holds no certificate that clients' could be checked against", path.display())]
    ClientCa {
        path: PathBuf,
        source: rustls::Error,
    },
    #[error("{} holds no certificate that endpoints' could be checked against", path.display())]
    Authority {
        path: PathBuf,
        source: rustls::Error,
    },
    #[error(
        "this system trusts no authority that an endpoint's certificate could be checked against; name one: `ca`"
    )]
    NoAuthorities,
    #[error("cannot set TLS up")]
    Setup { source: rustls::Error },
}

/// What of a listener's `tls` is wrong; a number is that of the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsPart {
    All,
    SelfSigned,
    ClientCa,
    Cert(usize),
    Key(usize),
}

impl TlsError {
    /// Which of the two files of a certificate is to blame.
    fn part(&self, index: usize, files: &Certificate) -> TlsPart {
        match self {
            _ if self.is_of_key(files) => TlsPart::Key(index),
            Self::Read { .. }
            | Self::KeyPem { .. }
            | Self::Mismatch { .. }
            | Self::Key { .. }
            | Self::CertificatePem { .. }
            | Self::NoCertificate { .. }
            | Self::CertificateSyntax { .. } => TlsPart::Cert(index),
            Self::ClientCa { .. } => TlsPart::ClientCa,
            Self::SelfSigned { .. } => TlsPart::SelfSigned,
            Self::Authority { .. } | Self::NoAuthorities | Self::Setup { .. } => TlsPart::All,
        }
    }

    /// Whether it is the key's file that is wrong, and not the certificate's.
    fn is_of_key(&self, files: &Certificate) -> bool {
        match self {
            Self::Read { path, .. } => *path != files.cert,
            Self::KeyPem { .. } | Self::Mismatch { .. } | Self::Key { .. } => true,
            Self::CertificatePem { .. }
            | Self::NoCertificate { .. }
            | Self::CertificateSyntax { .. }
            | Self::SelfSigned { .. }
            | Self::ClientCa { .. }
            | Self::Authority { .. }
            | Self::NoAuthorities
            | Self::Setup { .. } => false,
        }
    }
}

/// A listener's TLS, ready to serve.
pub struct Ready {
    pub config: Arc<ServerConfig>,
    /// Where HTTP/3 is spoken.
    pub quic: Option<Arc<QuicServerConfig>>,
    pub names: Arc<ByName>,
    /// In the order of the configuration; the first serves clients that name no host or an unknown one.
    pub certificates: Vec<CertificateFacts>,
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Ready")
            .field("config", &self.config)
            .field("names", &self.names)
            .field("certificates", &self.certificates)
            .finish_non_exhaustive()
    }
}

/// What outlives a reload: ticket keys, so that clients go on resuming, and self-signed certificates, so that a client
/// that was told to trust one need not be told again.
#[derive(Debug)]
pub struct Keeper {
    provider: Arc<CryptoProvider>,
    tickets: HashMap<Arc<str>, Arc<dyn ProducesTickets>>,
    sessions: HashMap<Arc<str>, Arc<dyn StoresServerSessions>>,
    self_signed: HashMap<Vec<String>, Arc<Loaded>>,
}

impl Default for Keeper {
    fn default() -> Self {
        Self {
            provider: Arc::new(aws_lc_rs::default_provider()),
            tickets: HashMap::new(),
            sessions: HashMap::new(),
            self_signed: HashMap::new(),
        }
    }
}

impl Keeper {
    /// Loads what the listener's `tls` names.
    ///
    /// # Errors
    /// Everything that is wrong with its files at once.
    pub fn prepare(
        &mut self,
        listener: &Listener,
        tls: &Tls,
    ) -> Result<Ready, Vec<(TlsPart, TlsError)>> {
        let mut errors = Vec::new();
        let mut loaded = Vec::new();
        for (index, files) in tls.certificates.iter().enumerate() {
            match Loaded::from_files(files, &self.provider) {
                Ok(certificate) => loaded.push(Arc::new(certificate)),
                Err(error) => errors.push((error.part(index, files), error)),
            }
        }
        if !tls.self_signed.is_empty() {
            match self.self_signed(&tls.self_signed) {
                Ok(certificate) => loaded.push(certificate),
                Err(error) => errors.push((TlsPart::SelfSigned, error)),
            }
        }
        let clients = tls.client_ca.as_deref();
        let clients = match clients.map(|path| self.client_roots(path)).transpose() {
            Ok(roots) => roots,
            Err(error) => {
                errors.push((TlsPart::ClientCa, error));
                None
            }
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        let names = loaded.iter().map(|one| one.facts.names.as_slice());
        let names = Arc::new(ByName::new(names));
        let resolver = Arc::new(Resolver {
            names: Arc::clone(&names),
            keys: loaded.iter().map(|one| Arc::clone(&one.key)).collect(),
        });
        let certificates = loaded.iter().map(|one| one.facts.clone()).collect();
        let setup = |source| vec![(TlsPart::All, TlsError::Setup { source })];
        let quic = listener.protocols.h3.then(|| {
            let (resolver, clients) = (Arc::clone(&resolver), clients.clone());
            self.quic(listener, resolver, clients)
        });
        let quic = quic.transpose().map_err(setup)?;
        let config = self
            .config(listener, tls.min, resolver, clients)
            .map_err(setup)?;
        Ok(Ready {
            config: Arc::new(config),
            quic,
            names,
            certificates,
        })
    }

    fn config(
        &mut self,
        listener: &Listener,
        min: TlsVersion,
        resolver: Arc<Resolver>,
        clients: Option<Arc<dyn ClientCertVerifier>>,
    ) -> Result<ServerConfig, rustls::Error> {
        let versions: &[_] = match min {
            TlsVersion::V1_2 => &[&TLS13, &TLS12],
            TlsVersion::V1_3 => &[&TLS13],
        };
        let resumes = clients.is_none();
        let mut config = self.basis(versions, resolver, clients)?;
        if resumes {
            config.ticketer = self.ticketer(&listener.name)?;
            // More than one ticket costs bytes in every handshake and helps nobody who keeps connections.
            config.send_tls13_tickets = 1;
        }
        config.alpn_protocols = alpn(listener.protocols);
        Ok(config)
    }

    /// For QUIC, which is TLS 1.3 (RFC 9001 §4.2). A session is kept here and taken out when a client comes back to it: only so is
    /// early data of one client not taken twice (RFC 8446 §8.1).
    fn quic(
        &mut self,
        listener: &Listener,
        resolver: Arc<Resolver>,
        clients: Option<Arc<dyn ClientCertVerifier>>,
    ) -> Result<Arc<QuicServerConfig>, rustls::Error> {
        let resumes = clients.is_none();
        let mut config = self.basis(&[&TLS13], resolver, clients)?;
        if resumes {
            let sessions = self.sessions.entry(Arc::clone(&listener.name));
            let sessions = sessions.or_insert_with(|| ServerSessionMemoryCache::new(QUIC_SESSIONS));
            config.session_storage = Arc::clone(sessions);
            // Each is good for one connection; browsers open two at a time.
            config.send_tls13_tickets = 2;
            // All or nothing (RFC 9001 §4.6.1).
            config.max_early_data_size = u32::MAX;
        }
        config.alpn_protocols = vec![b"h3".to_vec()];
        let config = QuicServerConfig::try_from(config);
        let config = config.map_err(|error| rustls::Error::General(error.to_string()))?;
        Ok(Arc::new(config))
    }

    /// Certificates and their choice; nothing that is resumed.
    fn basis(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        resolver: Arc<Resolver>,
        clients: Option<Arc<dyn ClientCertVerifier>>,
    ) -> Result<ServerConfig, rustls::Error> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions)?;
        let builder = match clients {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(resolver);
        // A ticket would let a client in on a certificate that was checked long ago, or never: where certificates of clients are
        // asked for, each connection proves its own.
        config.send_tls13_tickets = 0;
        // A cache of sessions would be one lock for all workers; tickets keep the state at the client.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(config)
    }

    /// What clients' certificates are checked with; one is required.
    fn client_roots(&self, path: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let wrong = |source| TlsError::ClientCa {
            path: path.to_owned(),
            source,
        };
        let mut roots = RootCertStore::empty();
        for authority in certificate::chain(path)? {
            roots.add(authority).map_err(wrong)?;
        }
        let provider = Arc::clone(&self.provider);
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| wrong(rustls::Error::General(error.to_string())))
    }

    fn ticketer(&mut self, listener: &Arc<str>) -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
        if let Some(ticketer) = self.tickets.get(listener) {
            return Ok(Arc::clone(ticketer));
        }
        let ticketer = Ticketer::new()?;
        self.tickets
            .insert(Arc::clone(listener), Arc::clone(&ticketer));
        Ok(ticketer)
    }

    fn self_signed(&mut self, names: &[String]) -> Result<Arc<Loaded>, TlsError> {
        if let Some(certificate) = self.self_signed.get(names) {
            return Ok(Arc::clone(certificate));
        }
        let certificate = Arc::new(Loaded::self_signed(names, &self.provider)?);
        self.self_signed
            .insert(names.to_vec(), Arc::clone(&certificate));
        Ok(certificate)
    }
}

/// The protocols offered, best first. A client that offers others only is refused with `no_application_protocol`
/// (RFC 7301 §3.2); one without the extension gets HTTP/1.
fn alpn(protocols: Protocols) -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    if protocols.h2 {
        names.push(b"h2".to_vec());
    }
    if protocols.h1 {
        names.push(b"http/1.1".to_vec());
    }
    names
}
