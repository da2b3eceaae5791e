//! One certificate with its key: read, checked against each other, and what an operator wants to know of it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openclaw_core::config::Certificate;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::TlsError;
use crate::files;

/// The largest file of certificates or of a key: more than all authorities of a system.
const MAX_FILE: u64 = 16 << 20;
/// How long a self-signed certificate is valid; longer ones are refused by some clients.
const SELF_SIGNED_FOR: Duration = Duration::from_hours(397 * 24);
/// Clocks differ.
const SELF_SIGNED_SINCE: Duration = Duration::from_hours(24);

/// What is known of a certificate apart from its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The file, or `self-signed`.
    pub label: String,
    /// DNS names, lower-case, with wildcards as written.
    pub names: Vec<String>,
    /// Who signed it.
    pub issuer: String,
    /// Unix seconds.
    pub not_before: i64,
    pub not_after: i64,
}

/// Whether a certificate can be used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    Valid,
    NotYet,
    Expired,
}

impl CertificateFacts {
    pub fn validity(&self, now: SystemTime) -> Validity {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        if now < self.not_before {
            Validity::NotYet
        } else if now > self.not_after {
            Validity::Expired
        } else {
            Validity::Valid
        }
    }
}

#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) facts: CertificateFacts,
    pub(super) key: Arc<CertifiedKey>,
}

impl Loaded {
    pub(super) fn from_files(
        files: &Certificate,
        provider: &CryptoProvider,
    ) -> Result<Self, TlsError> {
        let chain = chain(&files.cert)?;
        let facts = facts(&files.cert, &chain)?;
        let bytes = read(&files.key)?;
        let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|source| TlsError::KeyPem {
            path: files.key.clone(),
            source,
        })?;
        let key = CertifiedKey::from_der(chain, key, provider).map_err(|source| {
            let key = files.key.clone();
            if source == Error::InconsistentKeys(InconsistentKeys::KeyMismatch) {
                let cert = files.cert.clone();
                TlsError::Mismatch { cert, key }
            } else {
                TlsError::Key { path: key, source }
            }
        })?;
        Ok(Self {
            facts,
            key: Arc::new(key),
        })
    }

    /// A certificate that nobody has reason to trust, for trying things out.
    pub(super) fn self_signed(
        names: &[String],
        provider: &CryptoProvider,
    ) -> Result<Self, TlsError> {
        let failed = |source| TlsError::SelfSigned {
            names: names.join(", "),
            source,
        };
        let key = rcgen::KeyPair::generate().map_err(failed)?;
        let mut params = rcgen::CertificateParams::new(names).map_err(failed)?;
        let now = SystemTime::now();
        params.not_before = (now - SELF_SIGNED_SINCE).into();
        params.not_after = (now + SELF_SIGNED_FOR).into();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "OpenClaw self-signed");
        let certificate = params.self_signed(&key).map_err(failed)?;
        let chain = vec![certificate.der().clone()];
        let facts = facts(Path::new("self-signed"), &chain)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = CertifiedKey::from_der(chain, key, provider)
            .map_err(|source| TlsError::Setup { source })?;
        Ok(Self {
            facts,
            key: Arc::new(key),
        })
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    files::read(path, MAX_FILE).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

/// The certificates of a PEM file, at least one.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = chain.map_err(|source| TlsError::CertificatePem {
        path: path.to_owned(),
        source,
    })?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate {
            path: path.to_owned(),
        });
    }
    Ok(chain)
}

/// Reads names and dates from the first certificate of the chain.
pub(super) fn facts(
    path: &Path,
    chain: &[CertificateDer<'_>],
) -> Result<CertificateFacts, TlsError> {
    let der = chain.first().ok_or_else(|| TlsError::NoCertificate {
        path: path.to_owned(),
    })?;
    let syntax = |source| TlsError::CertificateSyntax {
        path: path.to_owned(),
        source,
    };
    let (_, leaf) = X509Certificate::from_der(der).map_err(syntax)?;
    let alternative = leaf
        .subject_alternative_name()
        .map_err(|error| syntax(x509_parser::asn1_rs::Err::Failure(error)))?;
    let names = alternative.iter().flat_map(|extension| {
        extension.value.general_names.iter().filter_map(|name| {
            if let GeneralName::DNSName(name) = name {
                Some(name.to_ascii_lowercase())
            } else {
                None
            }
        })
    });
    Ok(CertificateFacts {
        label: path.display().to_string(),
        names: names.collect(),
        issuer: leaf.issuer().to_string(),
        not_before: leaf.validity().not_before.timestamp(),
        not_after: leaf.validity().not_after.timestamp(),
    })
}
