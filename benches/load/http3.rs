//! HTTP/3 by quinn and h3: streams on connections kept alive, or a new connection for each request, never resumed.
//!
//! Each connection has a socket of its own, as clients do.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use bytes::{Buf as _, Bytes};
use h3::client::{self, SendRequest};
use h3_quinn::OpenStreams;
use hyper::{Request, StatusCode};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint};

use crate::tally::{self, Tally};
use crate::{Load, files, handshake};

/// What HTTP/3 says where nothing is wrong (RFC 9114 §8.1).
const NO_ERROR: u32 = 0x100;

type Sender = SendRequest<OpenStreams, Bytes>;

/// One request after the other on each of so many streams of each connection.
pub(crate) async fn run(load: &Load, streams: usize) -> Result<()> {
    let (config, wanted) = (config()?, Wanted::of(load)?);
    let mut senders = Vec::new();
    for _ in 0..load.connections {
        let (endpoint, quic, sender) = connect(&endpoint(&config)?, load.port).await?;
        senders.push((endpoint, quic, sender));
    }
    let start = Instant::now();
    let until = start + load.period();
    let mut lanes = Vec::new();
    for (_, _, sender) in &senders {
        for _ in 0..streams {
            let (mut sender, wanted) = (sender.clone(), wanted.clone());
            lanes.push(tokio::spawn(async move {
                let mut tally = Tally::default();
                while Instant::now() < until {
                    if !tally.count(fetch(&mut sender, &wanted)).await {
                        break;
                    }
                }
                tally
            }));
        }
    }
    tally::report(start, lanes).await
}

/// A connection for each request.
pub(crate) async fn handshakes(load: &Load) -> Result<()> {
    let (config, wanted) = (config()?, Wanted::of(load)?);
    let start = Instant::now();
    let until = start + load.period();
    let mut lanes = Vec::new();
    for _ in 0..load.connections {
        let (endpoint, port, wanted) = (endpoint(&config)?, load.port, wanted.clone());
        lanes.push(tokio::spawn(async move {
            let mut tally = Tally::default();
            while Instant::now() < until {
                let fetched = async {
                    let (_, quic, mut sender) = connect(&endpoint, port).await?;
                    fetch(&mut sender, &wanted).await?;
                    quic.close(NO_ERROR.into(), b"");
                    Ok(())
                };
                if !tally.count(fetched).await {
                    break;
                }
            }
            tally
        }));
    }
    tally::report(start, lanes).await
}

/// A request, and how long its answer is.
#[derive(Clone)]
struct Wanted {
    uri: String,
    length: usize,
}

impl Wanted {
    fn of(load: &Load) -> Result<Self> {
        let mut pages = files::PAGES.into_iter();
        let page = pages.find(|page| page.0 == load.path);
        let (path, length) = page.context("the origin has no such page")?;
        let uri = format!("https://localhost:{}{path}", load.port);
        Ok(Self { uri, length })
    }
}

fn config() -> Result<ClientConfig> {
    let tls = QuicClientConfig::try_from(handshake::client(b"h3")?)?;
    Ok(ClientConfig::new(Arc::new(tls)))
}

fn endpoint(config: &ClientConfig) -> Result<Endpoint> {
    let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?;
    endpoint.set_default_client_config(config.clone());
    Ok(endpoint)
}

async fn connect(endpoint: &Endpoint, port: u16) -> io::Result<(Endpoint, Connection, Sender)> {
    let server = (Ipv4Addr::LOCALHOST, port).into();
    let connecting = endpoint.connect(server, "localhost");
    let quic = connecting.map_err(io::Error::other)?.await?;
    let connection = h3_quinn::Connection::new(quic.clone());
    // nginx answers 400 to a request with a frame of grease behind it.
    let mut client = client::builder();
    let built = client.send_grease(false).build(connection).await;
    let (mut driver, sender) = built.map_err(io::Error::other)?;
    tokio::spawn(async move {
        // How it ends is seen by the requests.
        drop(std::future::poll_fn(|cx| driver.poll_close(cx)).await);
    });
    Ok((endpoint.clone(), quic, sender))
}

async fn fetch(sender: &mut Sender, wanted: &Wanted) -> io::Result<()> {
    let request = Request::get(&wanted.uri)
        .body(())
        .map_err(io::Error::other)?;
    let mut stream = sender
        .send_request(request)
        .await
        .map_err(io::Error::other)?;
    stream.finish().await.map_err(io::Error::other)?;
    let head = stream.recv_response().await.map_err(io::Error::other)?;
    let mut received = 0;
    while let Some(data) = stream.recv_data().await.map_err(io::Error::other)? {
        received += data.remaining();
    }
    if head.status() == StatusCode::OK && received == wanted.length {
        return Ok(());
    }
    Err(io::ErrorKind::InvalidData.into())
}
