//! Bytes in and out of a connection, plain or TLS, and the buffers they pass through.

pub mod datagrams;
pub mod descriptors;
pub mod passing;
pub mod pipes;
mod sealed;
mod socket;
mod stream;

use std::cell::{Cell, RefCell};
use std::io::{self, BufRead, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use openclaw_core::reason::Reason;
use rustls::ServerConnection;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

pub use self::stream::{Alert, Stream};

/// Room for body bytes. Measured against nginx in the same rounds, a 100 KiB response costs 1.04 of its CPU time with
/// 64 KiB, in two reads and two writes, and 0.85 with 128 KiB, in one of each.
pub const BODY_BUFFER: usize = 128 * 1024;
const KEPT_BUFFERS: usize = 64;
const HEAD_BUFFER: usize = 4096;

/// A worker's free lists. Last in, first out, so that the buffer in use is the one that is warm in the cache.
#[derive(Debug, Default)]
pub struct Buffers {
    bodies: RefCell<Vec<Vec<u8>>>,
    heads: RefCell<Vec<Vec<u8>>>,
}

impl Buffers {
    /// An empty buffer of `BODY_BUFFER` bytes.
    pub fn body(&self) -> Vec<u8> {
        self.bodies
            .borrow_mut()
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(BODY_BUFFER))
    }

    /// A small empty buffer for a head.
    pub fn head(&self) -> Vec<u8> {
        self.heads
            .borrow_mut()
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(HEAD_BUFFER))
    }

    /// Takes a buffer of either kind back; one that grew far beyond its kind is freed.
    pub fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let list = match buffer.capacity() {
            0..HEAD_BUFFER => return,
            HEAD_BUFFER..BODY_BUFFER => &self.heads,
            BODY_BUFFER..=0x4_0000 => &self.bodies,
            _ => return,
        };
        let mut list = list.borrow_mut();
        if list.len() < KEPT_BUFFERS {
            list.push(buffer);
        }
    }
}

/// A client's connection after the handshake, if there was one.
#[derive(Debug)]
pub struct Io {
    tcp: TcpStream,
    tls: Option<Box<ServerConnection>>,
    /// Set when the connection is closed from outside: its end is a reset then.
    cut: Rc<Cell<Option<Reason>>>,
}

impl Io {
    pub fn plain(tcp: TcpStream, cut: Rc<Cell<Option<Reason>>>) -> Self {
        let tls = None;
        Self { tcp, tls, cut }
    }

    pub fn tls(
        tcp: TcpStream,
        connection: ServerConnection,
        cut: Rc<Cell<Option<Reason>>>,
    ) -> Self {
        Self {
            tcp,
            tls: Some(Box::new(connection)),
            cut,
        }
    }

    /// The socket, where nothing stands between its bytes and the client's.
    pub fn bare_socket(&self) -> Option<&TcpStream> {
        self.tls.is_none().then_some(&self.tcp)
    }

    /// The socket below, whatever goes over it.
    pub fn socket(&self) -> &TcpStream {
        &self.tcp
    }

    /// Waits until a read may give something, so that an idle connection holds no buffer.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(tls) = &mut self.tls {
            // The end may have come with what was read last, and the socket never says more.
            let opened = tls.reader().fill_buf().map(<[u8]>::len);
            if !opened.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                return Poll::Ready(Ok(()));
            }
        }
        self.tcp.poll_read_ready(cx)
    }

    /// Appends to `buffer`, which grows if it is full: how far is for the caller to bound. 0 is the end.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        let read = ready!(self.poll_read_whole(cx, buffer));
        // A close without close_notify: whoever reads knows whether the message was whole.
        Poll::Ready(match read {
            Err(error) if self.tls.is_some() && error.kind() == io::ErrorKind::UnexpectedEof => {
                Ok(0)
            }
            read => read,
        })
    }

    /// The same for whoever does not know that: such a close is an error, `UnexpectedEof`.
    pub fn poll_read_whole(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        match &mut self.tls {
            None => socket::poll_append(&self.tcp, cx, buffer),
            Some(tls) => sealed::poll_read(&mut self.tcp, tls, cx, buffer),
        }
    }

    /// Writes or, with TLS, seals what fits; see `poll_flush`.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.tls {
            None => socket::poll_send(&mut self.tcp, cx, slices),
            Some(tls) => sealed::poll_write(&mut self.tcp, tls, cx, slices),
        }
    }

    /// The same where more follows at once, which a plain socket may wait for.
    pub fn poll_write_part(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.tls {
            None => socket::poll_send_part(&self.tcp, cx, slices),
            Some(_) => self.poll_write(cx, slices),
        }
    }

    /// Pushes sealed records out; a plain socket holds nothing back but parts.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.tls {
            None => Poll::Ready(Ok(())),
            Some(tls) => sealed::poll_flush(&mut self.tcp, tls, cx),
        }
    }

    /// Makes the coming close a reset, which no client takes for the end of a message.
    pub fn reset_on_close(&self) {
        // Fails only for a socket that is gone already.
        let _ = socket2::SockRef::from(&self.tcp).set_linger(Some(std::time::Duration::ZERO));
    }

    /// Ends our direction: `close_notify` where there is TLS, then FIN.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            ready!(sealed::poll_flush(&mut self.tcp, tls, cx))?;
        }
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        if self.cut.get().is_some() {
            self.reset_on_close();
        }
    }
}
