//! New connections: the socket, whose it is (PROXY protocol), and TLS.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openclaw_core::config::{self, UpstreamProtocol};
use openclaw_core::proxy_protocol::{self, Ends, Version};
use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use super::{Connection, Endpoint};
use crate::net::{Stream, descriptors};
use crate::snapshot::ClientTls;
use crate::telemetry::chain;
use crate::tls::TlsFault;

/// How long an endpoint that refused a connection is passed over while others are left.
const PASS_OVER: Duration = Duration::from_secs(2);
/// How often it is said that an endpoint and the proxy do not come to TLS.
const REPEAT: Duration = Duration::from_mins(1);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("no connection")]
    Connect(#[source] io::Error),
    /// The endpoint was not asked: it is neither unhealthy nor passed over for that.
    #[error("no file descriptor is left")]
    Exhausted(#[source] io::Error),
    #[error("{}", fault.detail())]
    Tls {
        fault: TlsFault,
        source: Option<io::Error>,
    },
}

impl ConnectError {
    /// Of a socket that is to be opened.
    fn of_socket(error: io::Error) -> Self {
        if descriptors::are_exhausted(&error) {
            Self::Exhausted(error)
        } else {
            Self::Connect(error)
        }
    }

    /// The endpoint let the time for it pass.
    pub fn timed_out() -> Self {
        Self::Connect(io::ErrorKind::TimedOut.into())
    }

    /// Whether the endpoint was asked.
    pub fn is_of_endpoint(&self) -> bool {
        !matches!(self, Self::Exhausted(_))
    }
}

/// What an endpoint is met with. Connections that were made in another way are no good any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    announces: Option<Version>,
    tls: Option<ClientTls>,
    is_h2: bool,
}

impl Manner {
    pub(super) fn new(config: &config::Upstream, tls: Option<&ClientTls>) -> Self {
        Self {
            announces: config.send_proxy_protocol,
            tls: tls.cloned(),
            is_h2: config.protocol == UpstreamProtocol::H2,
        }
    }

    fn unread(&self) -> Self {
        Self {
            announces: self.announces,
            tls: self.tls.as_ref().map(ClientTls::unread),
            is_h2: false,
        }
    }

    /// Goes ahead with what is agreed upon.
    async fn greet(
        &self,
        mut tcp: TcpStream,
        label: &str,
        ends: Option<Ends>,
    ) -> Result<Stream, ConnectError> {
        if let Some(version) = self.announces {
            let header = proxy_protocol::write(version, ends);
            let sent = tcp.write_all(&header).await;
            sent.map_err(ConnectError::Connect)?;
        }
        let Some(tls) = &self.tls else {
            return Ok(Stream::plain(tcp));
        };
        let no_name = || ConnectError::Tls {
            fault: TlsFault::NoName,
            source: None,
        };
        let name = tls.name_of(label).ok_or_else(no_name)?;
        self.secure(tls, name, tcp).await
    }

    async fn secure(
        &self,
        tls: &ClientTls,
        name: ServerName<'static>,
        tcp: TcpStream,
    ) -> Result<Stream, ConnectError> {
        let connector = TlsConnector::from(Arc::clone(&tls.config));
        let secured = connector.connect(name, tcp).await;
        let secured = secured.map_err(|source| ConnectError::Tls {
            fault: TlsFault::of_handshake(&source),
            source: Some(source),
        })?;
        let (tcp, session) = secured.into_inner();
        // HTTP/2 is agreed upon or not spoken (RFC 9113 §3.2); without the extension an endpoint means HTTP/1.
        if self.is_h2 && session.alpn_protocol() != Some(b"h2") {
            return Err(ConnectError::Tls {
                fault: TlsFault::Protocol,
                source: None,
            });
        }
        Ok(Stream::tls(tcp, session))
    }
}

impl Endpoint {
    /// Opens a new connection. `ends`: whose it is, where endpoints are told; without, it is the proxy's own.
    ///
    /// # Errors
    /// Of the socket or the handshake; the caller bounds the time.
    pub async fn connect(self: &Rc<Self>, ends: Option<Ends>) -> Result<Connection, ConnectError> {
        self.connect_by(&self.manner, ends).await
    }

    /// The same for bytes of which nobody here knows what they mean: TLS names no protocol.
    ///
    /// # Errors
    /// As of [`Self::connect`].
    pub async fn connect_unread(
        self: &Rc<Self>,
        ends: Option<Ends>,
    ) -> Result<Connection, ConnectError> {
        let manner = self.manner.unread();
        self.connect_by(&manner, ends).await
    }

    async fn connect_by(
        self: &Rc<Self>,
        manner: &Manner,
        ends: Option<Ends>,
    ) -> Result<Connection, ConnectError> {
        let tcp = self.open().await.map_err(ConnectError::of_socket)?;
        let greeted = manner.greet(tcp, &self.label, ends).await;
        let stream = greeted.inspect_err(|error| self.tell(error))?;
        self.takes_connections();
        Ok(Connection {
            stream,
            endpoint: self.clone(),
            reused: false,
        })
    }

    async fn open(&self) -> io::Result<TcpStream> {
        let socket = if self.address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        let socket = descriptors::spend(socket)?;
        socket.set_nodelay(true)?;
        socket.connect(self.address).await
    }

    /// Says what is wrong with TLS, once in a while: it lasts until somebody does something about it.
    fn tell(&self, error: &ConnectError) {
        if !matches!(error, ConnectError::Tls { .. }) {
            return;
        }
        let now = Instant::now();
        let told = &self.told;
        if is_due(told, now) {
            told.set(Some(now));
            let (endpoint, error) = (&*self.label, chain(error));
            tracing::warn!(endpoint, error, "no TLS with an endpoint");
        }
    }

    /// Notes that no connection could be had. That is said when it begins, and not by each worker again and again.
    pub fn failed(&self, now: Instant, why: &'static str) {
        self.passed_over_until.set(Some(now + PASS_OVER));
        self.standing.set_last_error(why);
        if self.standing.set_refusing(true) {
            let endpoint = &*self.label;
            tracing::warn!(
                endpoint,
                error = why,
                "passed over while others are left: it takes no connection"
            );
        }
    }

    /// Notes that there is a connection, or an answer where there is none.
    pub fn takes_connections(&self) {
        self.passed_over_until.set(None);
        if self.standing.set_refusing(false) {
            let endpoint = &*self.label;
            tracing::info!(endpoint, "it takes connections again");
        }
    }

    /// Whether what goes over connections is secret on the way.
    pub fn is_secured(&self) -> bool {
        self.manner.tls.is_some()
    }
}

impl Connection {
    /// What the endpoint has against the proxy's certificate, if that is why a read of the first answer failed.
    pub fn refused(&self, error: io::Error) -> Option<TlsFault> {
        let fault = TlsFault::after_handshake(&error).filter(|_| !self.reused)?;
        let source = Some(error);
        self.endpoint.tell(&ConnectError::Tls { fault, source });
        Some(fault)
    }
}

fn is_due(told: &Cell<Option<Instant>>, now: Instant) -> bool {
    told.get()
        .is_none_or(|told| now.duration_since(told) >= REPEAT)
}
