//! A QUIC client over a socket that the test may exchange.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig,
    Event, StreamId,
};
use rustls::version::TLS13;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::tls::tests::believer::Believer;

const PATIENCE: Duration = Duration::from_secs(15);

/// One connection.
pub(super) struct Client {
    endpoint: Endpoint,
    handle: ConnectionHandle,
    pub(super) quic: Connection,
    pub(super) socket: UdpSocket,
    pub(super) events: Vec<Event>,
    /// The first byte of each datagram that came.
    pub(super) heads: Vec<u8>,
}

pub(super) fn config() -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let believer = Arc::new(Believer::new(&provider, None));
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(believer)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    tls.enable_early_data = true;
    ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()))
}

pub(super) async fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

impl Client {
    /// One that has sent nothing yet.
    pub(super) async fn new(server: SocketAddr, config: ClientConfig) -> Self {
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, true, None);
        let now = Instant::now();
        let (handle, quic) = endpoint.connect(now, config, server, "localhost").unwrap();
        Self {
            endpoint,
            handle,
            quic,
            socket: socket().await,
            events: Vec::new(),
            heads: Vec::new(),
        }
    }

    pub(super) async fn connect(server: SocketAddr) -> Self {
        let mut client = Self::new(server, config()).await;
        client.until(|client| !client.quic.is_handshaking()).await;
        client
    }

    /// Sends what there is to send.
    pub(super) async fn flush(&mut self) {
        let mut out = Vec::new();
        loop {
            out.clear();
            let transmit = self.quic.poll_transmit(Instant::now(), 1, &mut out);
            let Some(transmit) = transmit else { return };
            let to = transmit.destination;
            self.socket
                .send_to(&out[..transmit.size], to)
                .await
                .unwrap();
        }
    }

    /// Goes on until something is so.
    pub(super) async fn until(&mut self, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.flush().await;
            if is_so(self) {
                return;
            }
            assert!(Instant::now() < deadline, "not in time: {:?}", self.events);
            self.turn().await;
        }
    }

    async fn turn(&mut self) {
        let now = Instant::now();
        let due = self.quic.poll_timeout().unwrap_or(now + PATIENCE);
        let wait = due.saturating_duration_since(now);
        let mut buffer = vec![0; 65_535];
        match timeout(wait, self.socket.recv_from(&mut buffer)).await {
            Ok(received) => {
                let (length, from) = received.unwrap();
                self.take(&buffer[..length], from);
            }
            Err(_) => self.quic.handle_timeout(Instant::now()),
        }
        while let Some(event) = self.quic.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(self.handle, event) {
                self.quic.handle_event(event);
            }
        }
        while let Some(event) = self.quic.poll() {
            self.events.push(event);
        }
    }

    fn take(&mut self, datagram: &[u8], from: SocketAddr) {
        self.heads.extend(datagram.first());
        let (now, bytes) = (Instant::now(), BytesMut::from(datagram));
        let mut answer = Vec::new();
        let event = self
            .endpoint
            .handle(now, from, None, None, bytes, &mut answer);
        if let Some(DatagramEvent::ConnectionEvent(_, event)) = event {
            self.quic.handle_event(event);
        }
    }

    pub(super) fn open(&mut self) -> StreamId {
        self.quic.streams().open(Dir::Bi).unwrap()
    }

    /// Sends on a stream of its own and gives what comes back.
    pub(super) async fn echo(&mut self, payload: &[u8]) -> Vec<u8> {
        let id = self.open();
        let mut left = payload;
        let mut received = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        let mut is_sent = false;
        loop {
            let mut output = self.quic.send_stream(id);
            if let Ok(count) = output.write(left) {
                left = &left[count..];
            }
            if left.is_empty() && !is_sent {
                output.finish().unwrap();
                is_sent = true;
            }
            let mut input = self.quic.recv_stream(id);
            if let Ok(mut chunks) = input.read(true) {
                loop {
                    match chunks.next(usize::MAX) {
                        Ok(Some(chunk)) => received.extend_from_slice(&chunk.bytes),
                        Ok(None) => return received,
                        Err(_) => break,
                    }
                }
                let _ = chunks.finalize();
            }
            self.flush().await;
            assert!(Instant::now() < deadline, "not in time: {:?}", self.events);
            self.turn().await;
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        let mut events = self.events.iter();
        events.any(|event| matches!(event, Event::ConnectionLost { .. }))
    }
}
