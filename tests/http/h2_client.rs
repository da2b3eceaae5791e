//! An HTTP/2 client for tests.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use h2::RecvStream;
use h2::client::{self, SendRequest};
use hyper::{HeaderMap, Method, Request, Response};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Stage;
use crate::support::{PATIENCE, believing};

/// Runs a client in a runtime of its own; what hangs fails.
pub(super) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let bounded = async { tokio::time::timeout(PATIENCE * 2, work).await };
    runtime.block_on(bounded).expect("the client gets through")
}

pub(super) type Sender = SendRequest<Bytes>;

pub(super) async fn over<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    io: S,
    builder: &client::Builder,
) -> Sender {
    let (sender, connection) = builder.handshake(io).await.unwrap();
    tokio::spawn(async move {
        // The proxy may go away in the middle: that is what some tests are about.
        drop(connection.await);
    });
    sender.ready().await.unwrap()
}

pub(super) async fn in_the_clear(stage: &Stage) -> Sender {
    over(
        TcpStream::connect(stage.web).await.unwrap(),
        &client::Builder::new(),
    )
    .await
}

pub(super) async fn with_tls(stage: &Stage) -> Sender {
    let connector = TlsConnector::from(Arc::new(believing(&["h2", "http/1.1"], None).unwrap()));
    let tcp = TcpStream::connect(stage.webs).await.unwrap();
    let name = ServerName::try_from("a.test").unwrap();
    let tls = connector.connect(name, tcp).await.unwrap();
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    over(tls, &client::Builder::new()).await
}

pub(super) fn request(method: Method, path: &str) -> Request<()> {
    let uri = format!("https://a.test{path}");
    Request::builder().method(method).uri(uri).body(()).unwrap()
}

/// Reads a body to its end and gives its room back.
pub(super) async fn read(body: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut whole = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        whole.extend_from_slice(&data);
        body.flow_control().release_capacity(data.len())?;
    }
    Ok(whole)
}

pub(super) async fn get(sender: &mut Sender, path: &str) -> (Response<()>, Vec<u8>) {
    let (response, _) = sender
        .send_request(request(Method::GET, path), true)
        .unwrap();
    let (head, mut body) = response.await.unwrap().into_parts();
    let whole = read(&mut body).await.unwrap();
    (Response::from_parts(head, ()), whole)
}

/// Sends a body in pieces as its window allows, and its end.
pub(super) async fn send(
    mut stream: h2::SendStream<Bytes>,
    body: &[u8],
    trailers: Option<HeaderMap>,
) {
    let mut rest = body;
    while !rest.is_empty() {
        stream.reserve_capacity(rest.len().min(16_384));
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx))
            .await
            .unwrap()
            .unwrap();
        let (piece, more) = rest.split_at(room.min(rest.len()));
        stream
            .send_data(Bytes::copy_from_slice(piece), false)
            .unwrap();
        rest = more;
    }
    match trailers {
        Some(trailers) => stream.send_trailers(trailers).unwrap(),
        None => stream.send_data(Bytes::new(), true).unwrap(),
    }
}
