//! A client of HTTP/3: the crates h3 and quinn.

use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use h3::client::{self, RequestStream, SendRequest};
use h3_quinn::{BidiStream, OpenStreams};
use hyper::{Method, Request, Response};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint};

use crate::support::{PATIENCE, believing};

/// Runs a client in a runtime of its own; what hangs fails.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let bounded = async { tokio::time::timeout(PATIENCE * 2, work).await };
    runtime.block_on(bounded).expect("the client gets through")
}

pub(crate) type Stream = RequestStream<BidiStream<Bytes>, Bytes>;

/// One connection.
pub(crate) struct Client {
    pub(crate) endpoint: Endpoint,
    pub(crate) quic: Connection,
    pub(crate) sender: SendRequest<OpenStreams, Bytes>,
}

/// A client's configuration; it may be used for several connections, which then resume.
pub(crate) fn config() -> ClientConfig {
    let mut tls = believing(&["h3"], None).unwrap();
    tls.enable_early_data = true;
    ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()))
}

/// An endpoint on a port of its own.
pub(crate) fn endpoint(config: ClientConfig) -> Endpoint {
    endpoint_at(Ipv4Addr::LOCALHOST.into(), config)
}

pub(crate) fn endpoint_at(address: IpAddr, config: ClientConfig) -> Endpoint {
    let mut endpoint = Endpoint::client((address, 0).into()).unwrap();
    endpoint.set_default_client_config(config);
    endpoint
}

impl Client {
    pub(crate) async fn connect(server: SocketAddr) -> Self {
        let own: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let endpoint = endpoint_at(own, config());
        let quic = endpoint.connect(server, "a.test").unwrap().await.unwrap();
        Self::over(endpoint, quic).await
    }

    pub(crate) async fn over(endpoint: Endpoint, quic: Connection) -> Self {
        let (mut driver, sender) = client::new(h3_quinn::Connection::new(quic.clone()))
            .await
            .unwrap();
        // How it ends is seen where the connection is.
        tokio::spawn(async move { drop(poll_fn(|cx| driver.poll_close(cx)).await) });
        Self {
            endpoint,
            quic,
            sender,
        }
    }

    /// Sends from another address from now on.
    pub(crate) fn move_away(&self) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        self.endpoint.rebind(socket).unwrap();
    }

    pub(crate) async fn start(&mut self, method: Method, path: &str) -> Stream {
        self.sender
            .send_request(request(method, path))
            .await
            .unwrap()
    }

    pub(crate) async fn get(&mut self, path: &str) -> (Response<()>, Vec<u8>) {
        let mut stream = self.start(Method::GET, path).await;
        stream.finish().await.unwrap();
        answer(&mut stream).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: Vec<u8>) -> (Response<()>, Vec<u8>) {
        let stream = self.start(Method::POST, path).await;
        let (mut up, mut down) = stream.split();
        let sending = async move {
            for part in body.chunks(50_000) {
                up.send_data(Bytes::copy_from_slice(part)).await.unwrap();
            }
            up.finish().await.unwrap();
        };
        let receiving = async move {
            let head = down.recv_response().await.unwrap();
            let mut whole = Vec::new();
            while let Some(mut data) = down.recv_data().await.unwrap() {
                whole.extend_from_slice(&data.copy_to_bytes(data.remaining()));
            }
            (head, whole)
        };
        let ((), answer) = tokio::join!(sending, receiving);
        answer
    }
}

pub(crate) fn request(method: Method, path: &str) -> Request<()> {
    let uri = format!("https://a.test{path}");
    Request::builder().method(method).uri(uri).body(()).unwrap()
}

/// The whole answer to a request.
pub(crate) async fn answer(stream: &mut Stream) -> (Response<()>, Vec<u8>) {
    let head = stream.recv_response().await.unwrap();
    let mut whole = Vec::new();
    while let Some(mut data) = stream.recv_data().await.unwrap() {
        whole.extend_from_slice(&data.copy_to_bytes(data.remaining()));
    }
    (head, whole)
}
