//! A client of TLS that believes any certificate. Taken by its path from where no crate is shared: the tests of the library and the
//! load of the benches.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each of its users takes one of the two constructors"
)]

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

/// See the module.
#[derive(Debug)]
pub struct Believer {
    schemes: Vec<SignatureScheme>,
    /// Nothing: signatures are believed, too.
    algorithms: Option<WebPkiSupportedAlgorithms>,
}

impl Believer {
    /// Believes any certificate that signs, with one of these schemes, what it has to.
    pub fn new(provider: &CryptoProvider, schemes: Option<&[SignatureScheme]>) -> Self {
        let algorithms = provider.signature_verification_algorithms;
        Self {
            schemes: schemes.map_or_else(|| algorithms.supported_schemes(), <[_]>::to_vec),
            algorithms: Some(algorithms),
        }
    }

    /// Believes everything, at no cost.
    pub fn blind(provider: &CryptoProvider) -> Self {
        let algorithms = provider.signature_verification_algorithms;
        Self {
            schemes: algorithms.supported_schemes(),
            algorithms: None,
        }
    }

    fn believed(&self, verify: impl FnOnce(&WebPkiSupportedAlgorithms) -> Verified) -> Verified {
        let all = || Ok(HandshakeSignatureValid::assertion());
        self.algorithms.as_ref().map_or_else(all, verify)
    }
}

type Verified = Result<HandshakeSignatureValid, Error>;

impl ServerCertVerifier for Believer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Verified {
        self.believed(|algorithms| verify_tls12_signature(message, cert, signed, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Verified {
        self.believed(|algorithms| verify_tls13_signature(message, cert, signed, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
