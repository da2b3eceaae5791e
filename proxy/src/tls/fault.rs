//! Why there is no TLS with an endpoint, in words that lead an operator to the key that is wrong.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// Why an endpoint and the proxy did not come to TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// Nobody whom we believe has signed its certificate.
    Authority,
    Name,
    Expired,
    NotYet,
    /// Its certificate is wrong otherwise.
    Certificate,
    /// It wants a certificate that it believes.
    Ours,
    /// It knows none of the protocols that we offer.
    Protocol,
    /// It broke off with another alert.
    Alert,
    /// What it said is not TLS, or not in a version or with ciphers that we speak.
    Strange,
    /// It closed the connection in the handshake.
    Closed,
    /// Nothing that a certificate bears is its host.
    NoName,
}

impl TlsFault {
    /// What is behind a handshake that failed.
    pub fn of_handshake(error: &io::Error) -> Self {
        match cause(error) {
            Some(error) => Self::of(error),
            None => Self::Closed,
        }
    }

    /// What the endpoint has against our certificate, which in TLS 1.3 it says only after the handshake is over for us
    /// (RFC 8446 §4.4.2.4): no request has been looked at.
    pub fn after_handshake(error: &io::Error) -> Option<Self> {
        cause(error).and_then(Self::of_refusal)
    }

    /// The same where no more than the alert is known.
    pub fn of_alert(alert: AlertDescription) -> Option<Self> {
        Self::of_refusal(&Error::AlertReceived(alert))
    }

    fn of_refusal(error: &Error) -> Option<Self> {
        let fault = Self::of(error);
        (fault == Self::Ours).then_some(fault)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is not told apart here is the library's to extend"
    )]
    fn of(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(wrong) => match wrong {
                CertificateError::UnknownIssuer => Self::Authority,
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => Self::Name,
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    Self::Expired
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Self::NotYet
                }
                _ => Self::Certificate,
            },
            Error::AlertReceived(
                AlertDescription::CertificateRequired
                | AlertDescription::NoCertificate
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied,
            ) => Self::Ours,
            Error::AlertReceived(AlertDescription::NoApplicationProtocol)
            | Error::NoApplicationProtocol => Self::Protocol,
            Error::AlertReceived(
                AlertDescription::ProtocolVersion
                | AlertDescription::HandshakeFailure
                | AlertDescription::InsufficientSecurity,
            ) => Self::Strange,
            Error::AlertReceived(_) => Self::Alert,
            _ => Self::Strange,
        }
    }

    /// For the log.
    pub fn detail(self) -> &'static str {
        match self {
            Self::Authority => {
                "the endpoint's certificate is not signed by an authority that is believed (`ca`)"
            }
            Self::Name => "the endpoint's certificate bears another name (`server_name`)",
            Self::Expired => "the endpoint's certificate has expired",
            Self::NotYet => "the endpoint's certificate is not valid yet",
            Self::Certificate => "the endpoint's certificate cannot be believed",
            Self::Ours => {
                "the endpoint refuses the proxy's certificate, or wants one (`certificate`)"
            }
            Self::Protocol => "the endpoint does not speak the upstream's `protocol` over TLS",
            Self::Alert => "the endpoint broke the TLS handshake off",
            Self::Strange => {
                "the endpoint does not speak TLS, or no version or cipher of it that the proxy speaks"
            }
            Self::Closed => "the endpoint closed the connection in the TLS handshake",
            Self::NoName => {
                "the endpoint's host is no name that a certificate could bear (`server_name`)"
            }
        }
    }
}

/// What rustls has against the other side, if that is what it was.
fn cause(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}
