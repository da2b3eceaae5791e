//! A client that sends exactly the bytes it is given, in the clear or through TLS.

use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::PATIENCE;
use super::believer::Believer;
use super::wire::{Message, Wire};

pub struct RawClient {
    wire: Wire,
    alpn: Option<Vec<u8>>,
    certificate: Option<Vec<u8>>,
}

impl RawClient {
    pub fn connect(address: impl Into<SocketAddr>) -> Self {
        let address = address.into();
        Self::try_connect(address)
            .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
    }

    pub fn try_connect(address: SocketAddr) -> io::Result<Self> {
        TcpStream::connect_timeout(&address, PATIENCE).map(Self::over)
    }

    /// Connects from a chosen address of this machine, such as 127.0.0.2.
    pub fn try_connect_from(local: IpAddr, address: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(address),
            socket2::Type::STREAM,
            None,
        )?;
        socket.bind(&SocketAddr::new(local, 0).into())?;
        socket.connect_timeout(&address.into(), Duration::from_secs(2))?;
        Ok(Self::over(socket.into()))
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a TCP socket");
        let socket = stream.try_clone().expect("a descriptor is free");
        Self {
            wire: Wire::new(Box::new(stream), socket),
            alpn: None,
            certificate: None,
        }
    }

    /// Connects with TLS and believes any certificate.
    pub fn connect_tls(address: impl Into<SocketAddr>, name: &str, alpn: &[&str]) -> Self {
        let address = address.into();
        Self::try_connect_tls(address, name, alpn)
            .unwrap_or_else(|error| panic!("no TLS with {address} for {name}: {error}"))
    }

    pub fn try_connect_tls(address: SocketAddr, name: &str, alpn: &[&str]) -> io::Result<Self> {
        Self::try_connect_tls_as(address, name, believing(alpn, None)?)
    }

    /// Connects with TLS as this configuration has it.
    pub fn try_connect_tls_as(
        address: SocketAddr,
        name: &str,
        config: ClientConfig,
    ) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let mut tls = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        while tls.is_handshaking() {
            tls.complete_io(&mut stream)?;
        }
        let socket = stream.try_clone()?;
        Ok(Self {
            alpn: tls.alpn_protocol().map(<[u8]>::to_vec),
            certificate: tls
                .peer_certificates()
                .and_then(|chain| chain.first())
                .map(|leaf| leaf.to_vec()),
            wire: Wire::new(Box::new(StreamOwned::new(tls, stream)), socket),
        })
    }

    /// The protocol that the handshake agreed on.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    /// The certificate that the proxy showed, as DER.
    pub fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    pub fn local(&self) -> SocketAddr {
        self.wire.socket().local_addr().expect("it is connected")
    }

    /// From now on, each read is over after this time.
    pub fn patience(&mut self, limit: Duration) {
        self.wire.limit = limit;
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the proxy takes what we send");
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.wire.write(bytes.as_ref())
    }

    /// Sends the end of our stream, and still reads.
    pub fn finish(&self) {
        // The proxy may have closed already; what it said is still to be read.
        drop(self.wire.socket().shutdown(Shutdown::Write));
    }

    /// Closes at once with a reset, as a crashed host does.
    pub fn reset(self) {
        let socket = socket2::SockRef::from(self.wire.socket());
        // The proxy may have gone first.
        let _ = socket.set_linger(Some(Duration::ZERO));
    }

    /// A whole response to a GET or anything else with a body in its answer.
    pub fn response(&mut self) -> Message {
        self.response_to("GET")
    }

    /// A whole response to a request of this method.
    pub fn response_to(&mut self, method: &str) -> Message {
        self.try_response(method).unwrap_or_else(|error| {
            let seen = String::from_utf8_lossy(&self.wire.seen);
            panic!("no whole response ({error}); everything read so far: {seen:?}")
        })
    }

    pub fn try_response(&mut self, method: &str) -> io::Result<Message> {
        self.wire.response(method)
    }

    /// Sends a request and reads its response.
    pub fn exchange(&mut self, request: impl AsRef<[u8]>) -> Message {
        self.send(request);
        self.response()
    }

    pub fn read_until(&mut self, pattern: impl AsRef<[u8]>) -> Vec<u8> {
        let pattern = pattern.as_ref();
        self.wire.read_until(pattern).unwrap_or_else(|error| {
            let seen = String::from_utf8_lossy(&self.wire.seen);
            let pattern = String::from_utf8_lossy(pattern);
            panic!("no {pattern:?} ({error}); everything read so far: {seen:?}")
        })
    }

    pub fn read_exact(&mut self, count: usize) -> Vec<u8> {
        self.try_read_exact(count)
            .unwrap_or_else(|error| panic!("no {count} bytes: {error}"))
    }

    pub fn try_read_exact(&mut self, count: usize) -> io::Result<Vec<u8>> {
        self.wire.read_exact(count)
    }

    pub fn read_to_end(&mut self) -> Vec<u8> {
        self.try_read_to_end().expect("the stream ends")
    }

    pub fn try_read_to_end(&mut self) -> io::Result<Vec<u8>> {
        self.wire.read_to_end()
    }

    /// Waits for the proxy to break the connection off, which nobody takes for its end.
    pub fn expect_reset(&mut self) {
        let end = self.try_read_to_end().map_err(|error| error.kind());
        assert_eq!(end, Err(io::ErrorKind::ConnectionReset));
    }

    /// Waits for the proxy to close without another byte; a reset is a close as well.
    pub fn expect_closed(&mut self) {
        match self.try_read_to_end() {
            Ok(rest) => assert!(
                rest.is_empty(),
                "more came before the end: {:?}",
                String::from_utf8_lossy(&rest)
            ),
            Err(error) => assert_ne!(
                error.kind(),
                io::ErrorKind::TimedOut,
                "the connection is still open"
            ),
        }
    }
}

/// A client's certificate and its key.
pub type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// TLS that believes any certificate, offers these protocols, and shows a certificate of its own if it has one.
pub fn believing(alpn: &[&str], identity: Option<Identity>) -> io::Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Believer::new(&provider, None)));
    let mut config = match identity {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(io::Error::other)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::{Folder, Nginx, Origin, certificate};

    #[test]
    fn a_response_without_a_length_ends_with_its_stream() {
        let origin = Origin::start(|peer| {
            peer.request()?;
            peer.send("HTTP/1.1 200 OK\r\n\r\nuntil the end")
        });
        let mut client = RawClient::connect(origin.address());
        let response = client.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(response.text(), "until the end");
        client.expect_closed();
    }

    #[test]
    fn waiting_ends_with_patience() {
        let origin = Origin::start(|peer| peer.read_to_end().map(drop));
        let mut client = RawClient::connect(origin.address());
        client.patience(Duration::from_millis(50));
        let error = client.try_response("GET").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_source_address_can_be_chosen() {
        let origin = Origin::serving("");
        let local: IpAddr = [127, 0, 0, 2].into();
        let client = RawClient::try_connect_from(local, origin.address()).unwrap();
        assert_eq!(client.local().ip(), local);
    }

    #[test]
    fn tls_is_spoken_with_a_server_of_any_certificate() {
        let folder = Folder::new();
        let (cert, key) = certificate(&folder, &["a.test"]);
        folder.write("root/x.txt", "secret");
        let lines = format!(
            "ssl_certificate {}; ssl_certificate_key {};",
            cert.display(),
            key.display()
        );
        let nginx = Nginx::start_tls(&folder.path().join("root"), &lines);
        let mut client = RawClient::connect_tls(nginx.address(), "a.test", &["http/1.1"]);
        assert_eq!(client.alpn(), Some(&b"http/1.1"[..]));
        assert!(client.certificate().is_some());
        let response = client.exchange("GET /x.txt HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert_eq!(response.text(), "secret");
    }
}
