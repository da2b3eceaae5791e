//! The TLS handshake, and what is said of one that came to nothing.

use std::io;
use std::sync::Arc;

use openclaw_core::reason::Reason;
use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::curt::Told;

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    #[error("not complete within header_timeout")]
    Late,
    #[error("HTTP without TLS")]
    Cleartext(Told),
    #[error("no protocol in common")]
    NoProtocol,
    #[error("the handshake broke off")]
    Io(#[source] io::Error),
}

impl HandshakeError {
    /// What rustls has against the client, if that is what it was.
    fn tls(&self) -> Option<&rustls::Error> {
        let Self::Io(error) = self else { return None };
        error.get_ref()?.downcast_ref()
    }

    pub(super) fn reason(&self) -> Reason {
        match self.tls() {
            Some(rustls::Error::NoCertificatesPresented) => Reason::TlsNoCertificate,
            Some(_) | None => Reason::TlsHandshake,
        }
    }

    /// For the log.
    pub(super) fn detail(&self) -> &'static str {
        match self {
            Self::Late => "the handshake was not complete within header_timeout",
            Self::Cleartext(_) => "the client speaks HTTP without TLS",
            Self::NoProtocol => "the client speaks none of the listener's `protocols`",
            Self::Io(_) => match self.tls() {
                None => "the client went away in the handshake",
                Some(rustls::Error::NoCertificatesPresented) => {
                    "the client showed no certificate, and `client_ca` asks for one"
                }
                Some(rustls::Error::InvalidCertificate(_)) => {
                    "the client's certificate is not one of `client_ca`, or not valid now"
                }
                Some(rustls::Error::AlertReceived(_)) => {
                    "the client broke the handshake off: perhaps it does not trust the certificate"
                }
                Some(_) => "the client's handshake cannot be agreed to",
            },
        }
    }
}

/// A listener that speaks none of its own takes whatever a client offers. A client that offers only protocols which the listener does not speak is refused before anything is agreed upon;
/// rustls alone would do so in the middle of the handshake (RFC 7301 §3.2).
pub(super) async fn handshake(
    tcp: TcpStream,
    config: Arc<ServerConfig>,
) -> Result<TlsStream<TcpStream>, HandshakeError> {
    /// A fatal alert, `no_application_protocol`, in a record of its own (RFC 8446 §5.1, §6).
    const NO_APPLICATION_PROTOCOL: [u8; 7] = [21, 3, 3, 0, 2, 2, 120];
    let mut start = LazyConfigAcceptor::new(Acceptor::default(), tcp)
        .await
        .map_err(HandshakeError::Io)?;
    let spoken = &config.alpn_protocols;
    let hello = start.client_hello();
    let offered = hello.alpn().filter(|_| !spoken.is_empty());
    let stranger = offered
        .is_some_and(|mut offered| !offered.any(|name| spoken.iter().any(|known| known == name)));
    if stranger {
        // The client is refused, whether it takes the alert or not: what is told and counted is the refusal, not how it was taken.
        let _ = start.io.write_all(&NO_APPLICATION_PROTOCOL).await;
        let _ = start.io.shutdown().await;
        return Err(HandshakeError::NoProtocol);
    }
    start.into_stream(config).await.map_err(HandshakeError::Io)
}
