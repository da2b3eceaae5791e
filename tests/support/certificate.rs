//! Certificates for one test.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    IsCa, KeyPair,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;

use super::Folder;

/// Writes a self-signed certificate for these names and its key; gives the paths of both.
pub fn certificate(folder: &Folder, names: &[&str]) -> (PathBuf, PathBuf) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let file = names.first().expect("a certificate has a name");
    let file = file.replace('*', "wildcard");
    let made = rcgen::generate_simple_self_signed(names).expect("these are names");
    (
        folder.write(&format!("{file}.pem"), made.cert.pem()),
        folder.write(&format!("{file}.key"), made.signing_key.serialize_pem()),
    )
}

/// An authority that signs certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub file: PathBuf,
}

impl Authority {
    /// Its own certificate goes into a file of this name.
    pub fn new(folder: &Folder, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
        let file = folder.write(name, issuer.pem());
        Self { issuer, file }
    }

    pub fn sign(&self, names: &[&str]) -> (Certificate, KeyPair) {
        self.sign_as(names, |_| {})
    }

    /// The same with something else in it.
    pub fn sign_as(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// Writes a certificate for these names and its key; gives the paths of both.
    pub fn files(&self, folder: &Folder, names: &[&str]) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.sign(names);
        let file = names.first().expect("a certificate has a name");
        (
            folder.write(&format!("{file}.pem"), certificate.pem()),
            folder.write(&format!("{file}.key"), key.serialize_pem()),
        )
    }

    /// What a server with a certificate for these names serves with. It keeps sessions.
    pub fn serving(&self, names: &[&str]) -> ServerConfig {
        server(self.sign(names), None)
    }

    /// The same for clients alone that another authority vouches for.
    pub fn serving_members(&self, names: &[&str], of: &Self) -> ServerConfig {
        server(self.sign(names), Some(of))
    }
}

/// What a server with this certificate serves with.
pub fn server(
    (certificate, key): (Certificate, KeyPair),
    members: Option<&Authority>,
) -> ServerConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match members {
        Some(authority) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(authority.issuer.der().clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    builder
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap()
}
