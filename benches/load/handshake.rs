//! A new TLS 1.3 connection for each request: X25519, AES-128-GCM, never resumed.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{CipherSuite, ClientConfig, NamedGroup};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Load;
use crate::believer::Believer;
use crate::tally::{self, Tally};

pub(crate) async fn run(load: &Load) -> Result<()> {
    let connector = TlsConnector::from(Arc::new(client(b"http/1.1")?));
    let start = Instant::now();
    let until = start + load.period();
    let mut connections = Vec::new();
    for _ in 0..load.connections {
        let connector = connector.clone();
        let request = load.request("close");
        let port = load.port;
        connections.push(tokio::spawn(async move {
            let mut tally = Tally::default();
            let mut answer = Vec::new();
            while Instant::now() < until {
                answer.clear();
                let fetched = fetch(&connector, port, request.as_bytes(), &mut answer);
                if !tally.count(fetched).await {
                    break;
                }
            }
            tally
        }));
    }
    tally::report(start, connections).await
}

async fn fetch(
    connector: &TlsConnector,
    port: u16,
    request: &[u8],
    answer: &mut Vec<u8>,
) -> io::Result<()> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let mut stream = connector.connect(name, stream).await?;
    stream.write_all(request).await?;
    // To the end, so that the proxy closes first and the client's ports are free again at once.
    stream.read_to_end(answer).await?;
    if answer.len() > 1024 && answer.starts_with(b"HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// A client of TLS 1.3 with one protocol.
pub(crate) fn client(protocol: &[u8]) -> Result<ClientConfig> {
    let mut provider = aws_lc_rs::default_provider();
    provider
        .kx_groups
        .retain(|group| group.name() == NamedGroup::X25519);
    provider
        .cipher_suites
        .retain(|suite| suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256);
    let provider = Arc::new(provider);
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        // curl has verified the certificate before the measurement; here it would only take the time of the load's own core.
        .with_custom_certificate_verifier(Arc::new(Believer::blind(&provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}
