//! Whom an upstream's `tls` believes: authorities, certificates that stand in its file, or anybody.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::certificate::{self, Validity};

/// Whoever it believes, it wants to see that he has the key.
#[derive(Debug)]
pub(super) struct Verifier {
    pub provider: Arc<CryptoProvider>,
    pub belief: Belief,
}

#[derive(Debug)]
pub(super) enum Belief {
    /// Whatever is shown: for `insecure` alone.
    Anybody,
    /// Those whom authorities vouch for, and certificates that stand in the file itself: those that sign themselves are
    /// often authorities as well, which RFC 5280 does not have at the end of a chain.
    Known {
        authorities: Arc<WebPkiServerVerifier>,
        known: Vec<CertificateDer<'static>>,
    },
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.belief {
            Belief::Anybody => Ok(ServerCertVerified::assertion()),
            Belief::Known { known, .. } if known.contains(shown) => {
                verify_server_name(&ParsedCertificate::try_from(shown)?, server_name)?;
                within_its_time(shown, now).map(|()| ServerCertVerified::assertion())
            }
            Belief::Known { authorities, .. } => authorities.verify_server_cert(
                shown,
                intermediates,
                server_name,
                ocsp_response,
                now,
            ),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, shown, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, shown, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = &self.provider.signature_verification_algorithms;
        known.supported_schemes()
    }
}

fn within_its_time(shown: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let facts = certificate::facts(Path::new(""), std::slice::from_ref(shown));
    // One that cannot be read did not get this far.
    let facts = facts.map_err(|error| Error::General(error.to_string()))?;
    let now = UNIX_EPOCH + Duration::from_secs(now.as_secs());
    match facts.validity(now) {
        Validity::Valid => Ok(()),
        Validity::NotYet => Err(CertificateError::NotValidYet.into()),
        Validity::Expired => Err(CertificateError::Expired.into()),
    }
}
