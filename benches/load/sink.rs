//! Large answers over connections kept alive, at the least cost for the client: bodies are dropped in the kernel.

use std::io;
use std::mem::MaybeUninit;
use std::net::Ipv4Addr;
use std::time::Instant;

use anyhow::Result;
use memchr::memmem;
use socket2::SockRef;
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;

use crate::Load;
use crate::tally::{self, Tally};

/// Read with the head, copied as usual.
const HEAD: usize = 2048;

pub(crate) async fn run(load: &Load) -> Result<()> {
    let start = Instant::now();
    let until = start + load.period();
    let mut connections = Vec::new();
    for _ in 0..load.connections {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, load.port)).await?;
        let request = load.request("keep-alive");
        connections.push(tokio::spawn(async move {
            let mut tally = Tally::default();
            let mut scrap = vec![MaybeUninit::uninit(); 256 * 1024];
            while Instant::now() < until {
                let fetched = fetch(&mut stream, request.as_bytes(), &mut scrap);
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
    stream: &mut TcpStream,
    request: &[u8],
    scrap: &mut [MaybeUninit<u8>],
) -> io::Result<()> {
    stream.write_all(request).await?;
    let mut head = [0; HEAD];
    let mut filled = 0;
    let mut left = loop {
        stream.readable().await?;
        let free = head.get_mut(filled..).unwrap_or_default();
        match stream.try_read(free) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        if let Some(left) = body_left(head.get(..filled).unwrap_or_default())? {
            break left;
        }
    };
    while left > 0 {
        let bound = left.min(scrap.len());
        let room = scrap.get_mut(..bound).unwrap_or_default();
        let dropped = stream
            .async_io(Interest::READABLE, || {
                SockRef::from(&*stream).recv_with_flags(room, libc::MSG_TRUNC)
            })
            .await?;
        if dropped == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left -= dropped;
    }
    Ok(())
}

/// How much of the body has not been read yet, once the head is whole.
fn body_left(received: &[u8]) -> io::Result<Option<usize>> {
    let Some(end) = memmem::find(received, b"\r\n\r\n") else {
        return Ok(None);
    };
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut fields);
    response.parse(received).map_err(io::Error::other)?;
    let length = response
        .headers
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case("content-length"))
        .and_then(|field| str::from_utf8(field.value).ok()?.parse::<usize>().ok())
        .ok_or(io::ErrorKind::InvalidData)?;
    if response.code != Some(200) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok((end + 4 + length).checked_sub(received.len()))
}
