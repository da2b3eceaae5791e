//! From the `tls` section of an upstream to what rustls connects with: whom to believe, what to show, ALPN, and sessions to
//! come back to. Files are read here, by the control plane; a handshake touches none.

use std::collections::HashMap;
use std::sync::Arc;

use openclaw_core::config::{TlsVersion, Upstream, UpstreamProtocol, UpstreamTls};
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, Error, RootCertStore};

use super::TlsError;
use super::certificate::{self, Loaded};
use super::verifier::{Belief, Verifier};
use crate::snapshot::ClientTls;

/// Sessions kept for an upstream, all workers and endpoints together. An endpoint gives out a few at a time.
const SESSIONS: usize = 1024;

/// What of an upstream's `tls` is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientPart {
    All,
    Ca,
    Cert,
    Key,
}

/// What outlives a reload: where nothing has changed, not in the files either, sessions and kept connections go on.
#[derive(Debug)]
pub struct ClientKeeper {
    provider: Arc<CryptoProvider>,
    known: HashMap<Arc<str>, (Material, ClientTls)>,
}

/// All that a `ClientTls` is made of.
#[derive(Debug, PartialEq, Eq)]
struct Material {
    tls: UpstreamTls,
    protocol: UpstreamProtocol,
    authorities: Vec<CertificateDer<'static>>,
    own: Option<(Vec<CertificateDer<'static>>, Vec<u8>)>,
}

impl Default for ClientKeeper {
    fn default() -> Self {
        Self {
            provider: Arc::new(aws_lc_rs::default_provider()),
            known: HashMap::new(),
        }
    }
}

impl ClientKeeper {
    /// Loads what the upstream's `tls` names.
    ///
    /// # Errors
    /// Everything that is wrong with its files at once.
    pub fn prepare(
        &mut self,
        upstream: &Upstream,
        tls: &UpstreamTls,
    ) -> Result<ClientTls, Vec<(ClientPart, TlsError)>> {
        let mut errors = Vec::new();
        let authorities = match &tls.ca {
            _ if tls.insecure => Ok(Vec::new()),
            Some(path) => certificate::chain(path).map_err(|error| (ClientPart::Ca, error)),
            None => of_system().map_err(|error| (ClientPart::All, error)),
        };
        let authorities = authorities.unwrap_or_else(|error| {
            errors.push(error);
            Vec::new()
        });
        let own = tls.certificate.as_ref().map(|files| {
            let loaded = Loaded::from_files(files, &self.provider)?;
            Ok((loaded, certificate::read(&files.key)?))
        });
        let own = own.transpose().unwrap_or_else(|error: TlsError| {
            let is_of_key = tls
                .certificate
                .as_ref()
                .is_some_and(|files| error.is_of_key(files));
            let part = if is_of_key {
                ClientPart::Key
            } else {
                ClientPart::Cert
            };
            errors.push((part, error));
            None
        });
        if !errors.is_empty() {
            return Err(errors);
        }
        let key = own.as_ref().map(|(loaded, _)| Arc::clone(&loaded.key));
        let material = Material {
            tls: tls.clone(),
            protocol: upstream.protocol,
            authorities,
            own: own.map(|(loaded, bytes)| (loaded.key.cert.clone(), bytes)),
        };
        if let Some((known, ready)) = self.known.get(&upstream.name)
            && *known == material
        {
            return Ok(ready.clone());
        }
        let config = self.config(&material, key).map_err(|error| vec![error])?;
        let mut unread = config.clone();
        unread.alpn_protocols.clear();
        let ready = ClientTls {
            config: Arc::new(config),
            unread: Arc::new(unread),
            server_name: tls.server_name.as_deref().and_then(ClientTls::name),
        };
        self.known
            .insert(Arc::clone(&upstream.name), (material, ready.clone()));
        Ok(ready)
    }

    fn config(
        &self,
        material: &Material,
        key: Option<Arc<CertifiedKey>>,
    ) -> Result<ClientConfig, (ClientPart, TlsError)> {
        let setup = |source| (ClientPart::All, TlsError::Setup { source });
        let versions: &[_] = match material.tls.min {
            TlsVersion::V1_2 => &[&TLS13, &TLS12],
            TlsVersion::V1_3 => &[&TLS13],
        };
        let verifier = self.verifier(material)?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions)
            .map_err(setup)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match key {
            Some(key) => {
                let key = CertifiedKey::new(key.cert.clone(), Arc::clone(&key.key));
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
            }
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        config.alpn_protocols = match material.protocol {
            UpstreamProtocol::H1 => vec![b"http/1.1".to_vec()],
            UpstreamProtocol::H2 => vec![b"h2".to_vec()],
        };
        Ok(config)
    }

    fn verifier(
        &self,
        material: &Material,
    ) -> Result<Arc<dyn ServerCertVerifier>, (ClientPart, TlsError)> {
        let believing = |belief| {
            let provider = Arc::clone(&self.provider);
            Arc::new(Verifier { provider, belief })
        };
        if material.tls.insecure {
            return Ok(believing(Belief::Anybody));
        }
        let mut roots = RootCertStore::empty();
        if let Some(path) = &material.tls.ca {
            for authority in &material.authorities {
                roots.add(authority.clone()).map_err(|source| {
                    let path = path.clone();
                    (ClientPart::Ca, TlsError::Authority { path, source })
                })?;
            }
        } else {
            // A system may have some that are of no use; that is none of the operator's mistakes.
            roots.add_parsable_certificates(material.authorities.iter().cloned());
        }
        let provider = Arc::clone(&self.provider);
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let authorities = authorities.build().map_err(|error| {
            let source = Error::General(error.to_string());
            (ClientPart::All, TlsError::Setup { source })
        })?;
        if material.tls.ca.is_none() {
            return Ok(authorities);
        }
        Ok(believing(Belief::Known {
            authorities,
            known: material.authorities.clone(),
        }))
    }
}

/// The authorities that this system trusts: whoever administers it decides, and keeps them up to date.
fn of_system() -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "some authorities of the system cannot be read");
    }
    if found.certs.is_empty() {
        return Err(TlsError::NoAuthorities);
    }
    Ok(found.certs)
}
