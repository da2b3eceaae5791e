//! The origin behind every proxy: one thread, two ports, bodies ready in memory, connections kept alive.

use std::io::{self, IoSlice, Read as _};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::SystemTime;

use anyhow::Result;
use bytes::{Buf as _, BytesMut};
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::files;

/// A request head longer than this ends its connection.
const MOST_HEAD: usize = 16 * 1024;

/// Counts answers: a proxy that shows the same number twice has answered from a cache.
static SERIAL: AtomicU64 = AtomicU64::new(0);

struct Page {
    path: &'static str,
    head: String,
    body: Vec<u8>,
}

pub(crate) async fn serve() -> Result<()> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let second = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let ports = [first.local_addr()?.port(), second.local_addr()?.port()];
    for (listener, port) in [first, second].into_iter().zip(ports) {
        tokio::spawn(accept(listener, Arc::new(pages(port))));
    }
    let [first, second] = ports;
    println!("ports {first} {second}");
    let (sender, end) = oneshot::channel();
    thread::spawn(move || {
        // However it ended, and even if nobody waits any more.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        let _ = sender.send(());
    });
    Ok(end.await?)
}

fn pages(port: u16) -> Vec<Page> {
    let date = httpdate::fmt_http_date(SystemTime::now());
    files::PAGES
        .map(|(path, length)| {
            let (kind, body) = files::page(path, length);
            let head = format!(
                "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: {date}\r\nContent-Type: {kind}\r\n\
                 Cache-Control: max-age=3600\r\nContent-Length: {length}\r\nX-Origin: {port}\r\nX-Serial: "
            );
            Page { path, head, body }
        })
        .into()
}

async fn accept(listener: TcpListener, pages: Arc<Vec<Page>>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(connection(stream, Arc::clone(&pages)));
    }
}

async fn connection(mut stream: TcpStream, pages: Arc<Vec<Page>>) -> io::Result<()> {
    let mut received = BytesMut::new();
    let mut head = Vec::new();
    loop {
        received.reserve(4096);
        if stream.read_buf(&mut received).await? == 0 || received.len() > MOST_HEAD {
            return Ok(());
        }
        while let Some(end) = memmem::find(&received, b"\r\n\r\n") {
            let path = received.as_ref().split(|byte: &u8| *byte == b' ').nth(1);
            let page = pages
                .iter()
                .find(|page| path == Some(page.path.as_bytes()))
                .ok_or(io::ErrorKind::NotFound)?;
            head.clear();
            head.extend_from_slice(page.head.as_bytes());
            let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
            head.extend_from_slice(itoa::Buffer::new().format(serial).as_bytes());
            head.extend_from_slice(b"\r\n\r\n");
            received.advance(end + 4);
            send(&mut stream, &head, &page.body).await?;
        }
    }
}

/// Head and body in one system call, unless the socket takes less.
async fn send(stream: &mut TcpStream, head: &[u8], body: &[u8]) -> io::Result<()> {
    let both = [IoSlice::new(head), IoSlice::new(body)];
    let sent = stream.write_vectored(&both).await?;
    if let Some(rest) = head.get(sent..) {
        stream.write_all(rest).await?;
    }
    let rest = body.get(sent.saturating_sub(head.len())..);
    stream.write_all(rest.unwrap_or_default()).await
}
