//! Clients of HTTP/2: several streams at once, some of them reset, some connections dropped with all that is under way.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use hyper::{Method, Request};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::ledger::{Act, Asked, Fate};
use super::{Rng, Scene};
use crate::support::{PATIENCE, believing};

pub(super) fn visit(scene: &Scene, rng: &mut Rng) {
    run(async {
        if let Ok(tcp) = TcpStream::connect(scene.web).await {
            converse(scene, rng, tcp).await;
        }
    });
}

pub(super) fn visit_with_tls(scene: &Scene, rng: &mut Rng) {
    run(async {
        if let Ok(tls) = secure(scene).await {
            converse(scene, rng, tls).await;
        }
    });
}

async fn secure(scene: &Scene) -> io::Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static> {
    let tcp = TcpStream::connect(scene.webs).await?;
    let connector = TlsConnector::from(Arc::new(believing(&["h2"], None)?));
    let name = ServerName::try_from("a.test").map_err(io::Error::other)?;
    connector.connect(name, tcp).await
}

fn run(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let bounded = async { tokio::time::timeout(2 * PATIENCE, work).await };
    runtime.block_on(bounded).expect("a client gets through");
}

/// What one stream does.
struct Plan {
    asked: Asked,
    method: Method,
    /// Resets the stream after this time.
    leaves: Option<Duration>,
}

async fn converse<S>(scene: &Scene, rng: &mut Rng, io: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Ok((sender, connection)) = client::handshake(io).await else {
        return;
    };
    let connection = tokio::spawn(connection);
    for _ in 0..rng.u32(1..4) {
        let plans: Vec<Plan> = (0..rng.u32(1..8)).map(|_| plan(scene, rng)).collect();
        let streams = plans.iter().map(|plan| stream(scene, sender.clone(), plan));
        let all = futures_util::future::join_all(streams);
        if rng.u8(0..10) == 0 {
            // The whole connection goes, and with it all that is under way.
            let moment = Duration::from_millis(rng.u64(0..20));
            let _ = tokio::time::timeout(moment, all).await;
            connection.abort();
            return;
        }
        all.await;
    }
}

fn plan(scene: &Scene, rng: &mut Rng) -> Plan {
    let (method, act) = match rng.u8(0..10) {
        0..2 => (Method::POST, Act::Echo),
        _ => (Method::GET, super::any_act(rng)),
    };
    let leaves = (rng.u8(0..12) == 0).then(|| Duration::from_millis(rng.u64(0..10)));
    Plan {
        asked: scene.ledger.ask(act, super::any_size(rng)),
        method,
        leaves,
    }
}

async fn stream(scene: &Scene, sender: SendRequest<Bytes>, plan: &Plan) {
    let asked = plan.asked;
    let exchange = exchange(sender, plan);
    let result = match plan.leaves {
        // Dropping the stream resets it.
        Some(moment) => match tokio::time::timeout(moment, exchange).await {
            Ok(result) => result,
            Err(_) => return,
        },
        None => exchange.await,
    };
    let expected = asked.body();
    match result {
        Ok((status, body)) => scene.ledger.answered(asked, status, &body, &expected),
        Err(_) => scene.ledger.settle(asked, Fate::Broken),
    }
}

async fn exchange(sender: SendRequest<Bytes>, plan: &Plan) -> Result<(u16, Vec<u8>), h2::Error> {
    let mut sender = sender.ready().await?;
    let uri = format!("https://a.test{}", plan.asked.path());
    let request = Request::builder().method(&plan.method).uri(uri);
    let request = request.body(()).expect("it is a request");
    let has_body = plan.method == Method::POST;
    let (response, sending) = sender.send_request(request, !has_body)?;
    let sent = async {
        if has_body {
            send(sending, &plan.asked.body()).await
        } else {
            Ok(())
        }
    };
    let received = async {
        let (head, mut body) = response.await?.into_parts();
        let mut whole = Vec::new();
        while let Some(data) = body.data().await {
            let data = data?;
            whole.extend_from_slice(&data);
            body.flow_control().release_capacity(data.len())?;
        }
        Ok((head.status.as_u16(), whole))
    };
    // The answer may be whole before the request is.
    let (_, received) = futures_util::future::join(sent, received).await;
    received
}

async fn send(mut stream: h2::SendStream<Bytes>, body: &[u8]) -> Result<(), h2::Error> {
    let mut rest = body;
    while !rest.is_empty() {
        stream.reserve_capacity(rest.len().min(16_384));
        let Some(room) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else {
            return Ok(());
        };
        let (piece, more) = rest.split_at(room?.min(rest.len()));
        stream.send_data(Bytes::copy_from_slice(piece), false)?;
        rest = more;
    }
    stream.send_data(Bytes::new(), true)
}
