//! One end of a forwarded connection: a bare socket, or TLS that is ended or begun here.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::AsyncWrite as _;
use tokio::net::TcpStream;
use tokio_util::io::poll_read_buf;

use crate::net::{Io, Stream};

/// See the module.
#[derive(Debug)]
pub(super) enum End {
    Bare(TcpStream),
    /// The client's.
    Client(Io),
    /// The endpoint's.
    Endpoint(Stream),
}

/// What a read came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Some(usize),
    /// Nothing more will come.
    End,
    /// The same, but of TLS without a word about it (`close_notify`): what came may not be all.
    Torn,
}

impl End {
    /// The socket, where nothing stands between its bytes and the peer's.
    pub(super) fn bare(&self) -> Option<&TcpStream> {
        match self {
            Self::Bare(tcp) => Some(tcp),
            Self::Client(io) => io.bare_socket(),
            Self::Endpoint(stream) => stream.bare_socket(),
        }
    }

    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        // Where it cannot be told the socket is gone.
        self.socket().local_addr().ok()
    }

    /// The socket below, whatever goes over it.
    pub(super) fn socket(&self) -> &TcpStream {
        match self {
            Self::Bare(tcp) => tcp,
            Self::Client(io) => io.socket(),
            Self::Endpoint(stream) => stream.socket(),
        }
    }

    /// Waits until a read may give something, so that nobody holds a buffer meanwhile.
    pub(super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Bare(tcp) => tcp.poll_read_ready(cx),
            Self::Client(io) => io.poll_readable(cx),
            Self::Endpoint(stream) => stream.poll_readable(cx),
        }
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<io::Result<Read>> {
        let read = match self {
            Self::Bare(tcp) => poll_read_buf(Pin::new(tcp), cx, buffer),
            Self::Client(io) => io.poll_read_whole(cx, buffer),
            Self::Endpoint(stream) => stream.poll_read_vec(cx, buffer),
        };
        Poll::Ready(match ready!(read) {
            Ok(0) => Ok(Read::End),
            Ok(count) => Ok(Read::Some(count)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Read::Torn),
            Err(error) => Err(error),
        })
    }

    /// Writes or, with TLS, seals what fits; see [`Self::poll_flush`].
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Bare(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Client(io) => io.poll_write(cx, &[IoSlice::new(bytes)]),
            Self::Endpoint(stream) => stream.poll_send(cx, &[IoSlice::new(bytes)]),
        }
    }

    /// Pushes sealed records out; a bare socket holds nothing back.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Bare(_) => Poll::Ready(Ok(())),
            Self::Client(io) => io.poll_flush(cx),
            Self::Endpoint(stream) => stream.poll_push(cx),
        }
    }

    /// Ends our direction. Of bytes that were torn off the peer is not told that they were all.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>, is_torn: bool) -> Poll<io::Result<()>> {
        match self {
            Self::Client(io) if !is_torn => io.poll_shutdown(cx),
            Self::Endpoint(stream) if !is_torn => stream.poll_end(cx),
            Self::Client(_) | Self::Endpoint(_) => {
                ready!(self.poll_flush(cx))?;
                Poll::Ready(SockRef::from(self.socket()).shutdown(Shutdown::Write))
            }
            Self::Bare(tcp) => Pin::new(tcp).poll_shutdown(cx),
        }
    }
}

impl From<Stream> for End {
    fn from(stream: Stream) -> Self {
        match stream {
            Stream::Plain(tcp) => Self::Bare(tcp),
            sealed @ Stream::Tls(_) => Self::Endpoint(sealed),
        }
    }
}
