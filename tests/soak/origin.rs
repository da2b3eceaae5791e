//! An origin that behaves as the path says, and that can die and come back at the same address.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::ledger::{Act, Asked};
use crate::support::Wire;

/// After so many requests a connection is closed without a word, as origins do.
const REQUESTS: usize = 100;

pub(super) struct Origin {
    address: SocketAddr,
    life: Mutex<Arc<Life>>,
    seen: Arc<Mutex<HashMap<u64, u32>>>,
}

/// From a start to a death.
struct Life {
    is_over: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

impl Origin {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::default();
        let life = Mutex::new(live(listener, &seen));
        Self {
            address,
            life,
            seen,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often each request came.
    pub(super) fn seen(&self) -> HashMap<u64, u32> {
        self.seen.lock().unwrap().clone()
    }

    /// Resets every connection and takes no more.
    pub(super) fn die(&self) {
        let life = self.life.lock().unwrap();
        life.is_over.store(true, Ordering::Release);
        // Wakes the listener, which then sees that it is over.
        drop(TcpStream::connect(self.address));
        for connection in life.connections.lock().unwrap().drain(..) {
            // One that is closed already needs no end.
            let _ = socket2::SockRef::from(&connection).set_linger(Some(Duration::ZERO));
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Serves again where it did before.
    pub(super) fn rise(&self) {
        let listener = crate::support::eventually("the address is free again", || {
            TcpListener::bind(self.address).ok()
        });
        *self.life.lock().unwrap() = live(listener, &self.seen);
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.die();
    }
}

fn live(listener: TcpListener, seen: &Arc<Mutex<HashMap<u64, u32>>>) -> Arc<Life> {
    let life = Arc::new(Life {
        is_over: AtomicBool::new(false),
        connections: Mutex::default(),
    });
    let (own, seen) = (Arc::clone(&life), Arc::clone(seen));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if own.is_over.load(Ordering::Acquire) {
                return;
            }
            let mut connections = own.connections.lock().unwrap();
            connections.retain(|known| known.peer_addr().is_ok());
            connections.push(stream.try_clone().unwrap());
            drop(connections);
            let seen = Arc::clone(&seen);
            thread::spawn(move || {
                // The proxy, or this origin's life, may end in the middle: that is what this is about.
                drop(serve(stream, &seen));
            });
        }
    });
    life
}

fn serve(stream: TcpStream, seen: &Mutex<HashMap<u64, u32>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = stream.try_clone()?;
    let mut wire = Wire::new(Box::new(stream), socket);
    // Idle connections are the proxy's to keep.
    wire.limit = Duration::from_mins(2);
    for _ in 0..REQUESTS {
        let Some(request) = wire.request()? else {
            break;
        };
        let path = request.start.split(' ').nth(1).unwrap_or_default();
        let asked = Asked::of_path(path).ok_or(io::ErrorKind::InvalidData)?;
        *seen.lock().unwrap().entry(asked.number).or_default() += 1;
        let is_head = request.start.starts_with("HEAD ");
        if !answer(&mut wire, asked, is_head, &request.body)? {
            break;
        }
    }
    wire.socket().shutdown(Shutdown::Both)
}

/// Whether the connection goes on.
fn answer(wire: &mut Wire, asked: Asked, is_head: bool, sent: &[u8]) -> io::Result<bool> {
    let body = if is_head { Vec::new() } else { asked.body() };
    let (first, rest) = body.split_at(body.len() / 2);
    let sized = |head: &str| {
        format!(
            "{head}HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            asked.size
        )
    };
    match asked.act {
        Act::Length => wire.write(&[sized("").as_bytes(), &body].concat())?,
        Act::Hint => {
            let hint = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";
            wire.write(&[sized(hint).as_bytes(), &body].concat())?;
        }
        Act::Slow => {
            wire.write(sized("").as_bytes())?;
            for piece in [first, rest] {
                thread::sleep(Duration::from_millis(20));
                wire.write(piece)?;
            }
        }
        Act::Chunked => chunked(wire, &[first, rest])?,
        Act::Echo => chunked(wire, &[sent])?,
        Act::UntilClose => {
            wire.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            wire.write(&body)?;
            return Ok(false);
        }
        Act::Cut | Act::Reset => {
            wire.write(&[sized("").as_bytes(), first].concat())?;
            if asked.act == Act::Reset {
                socket2::SockRef::from(wire.socket()).set_linger(Some(Duration::ZERO))?;
            }
            return Ok(false);
        }
        Act::Nothing => return Ok(false),
        Act::Tunnel => {
            wire.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")?;
            while let Ok(byte) = wire.read_exact(1) {
                wire.write(&byte)?;
            }
            return Ok(false);
        }
    }
    Ok(true)
}

fn chunked(wire: &mut Wire, pieces: &[&[u8]]) -> io::Result<()> {
    wire.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        let size = format!("{:x}\r\n", piece.len());
        wire.write(&[size.as_bytes(), piece, b"\r\n"].concat())?;
    }
    wire.write(b"0\r\n\r\n")
}
