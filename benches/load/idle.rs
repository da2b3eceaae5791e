//! Many connections that made one request each and then say nothing.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use memchr::memmem;
use socket2::{Domain, Socket, Type};

use crate::files;

pub(crate) fn run(port: u16, path: &str, count: usize) -> Result<()> {
    let (_, length) = files::PAGES
        .into_iter()
        .find(|page| page.0 == path)
        .context("the origin has no such page")?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut connections = Vec::new();
    for number in 0..count {
        let mut stream = connect(number, port)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(request.as_bytes())?;
        read_answer(&mut stream, length)?;
        connections.push(stream);
    }
    println!("opened {}", connections.len());
    io::stdin().read_to_end(&mut Vec::new())?;
    let alive = connections.iter().filter(|stream| is_open(stream)).count();
    println!("alive {alive}");
    Ok(())
}

/// From one of four addresses in turn: a single one has a share of the proxy's open files, not half of them.
fn connect(number: usize, port: u16) -> io::Result<TcpStream> {
    let from = Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + (number % 4) as u32);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    Ok(socket.into())
}

fn read_answer(stream: &mut TcpStream, length: usize) -> Result<()> {
    let mut received = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let count = stream.read(&mut piece)?;
        ensure!(count > 0, "the connection was closed within the answer");
        received.extend_from_slice(piece.get(..count).unwrap_or_default());
        if memmem::find(&received, b"\r\n\r\n")
            .is_some_and(|end| received.len() == end + 4 + length)
        {
            return Ok(());
        }
    }
}

/// A connection at rest has nothing to read, not even its end.
fn is_open(stream: &TcpStream) -> bool {
    let quiet = stream.set_nonblocking(true);
    let read = (&*stream).read(&mut [0]);
    quiet.is_ok() && read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}
