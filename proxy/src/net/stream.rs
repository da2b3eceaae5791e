//! A connection to an endpoint, in the clear or over TLS.

use std::io::{self, BufRead, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::{AlertDescription, ClientConnection};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::{sealed, socket};

#[derive(Debug)]
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<Session>),
}

/// After the handshake.
#[derive(Debug)]
pub struct Session {
    tcp: TcpStream,
    tls: ClientConnection,
    alert: Alert,
}

/// What the endpoint broke TLS off with, for those who hand the connection to somebody that knows no TLS.
pub type Alert = Arc<OnceLock<AlertDescription>>;

impl Stream {
    pub fn plain(tcp: TcpStream) -> Self {
        Self::Plain(tcp)
    }

    pub fn tls(tcp: TcpStream, tls: ClientConnection) -> Self {
        let alert = Alert::default();
        Self::Tls(Box::new(Session { tcp, tls, alert }))
    }

    /// Where an alert will be told; nothing in the clear.
    pub fn alert(&self) -> Option<Alert> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(session) => Some(Arc::clone(&session.alert)),
        }
    }

    /// The socket, where nothing stands between its bytes and the endpoint's.
    pub fn bare_socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(tcp) => Some(tcp),
            Self::Tls(_) => None,
        }
    }

    /// The socket below, whatever goes over it.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(session) => &session.tcp,
        }
    }

    /// Waits until a read may give something, so that nobody holds a buffer meanwhile.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Self::Tls(session) = self
            && session.has_opened()
        {
            return Poll::Ready(Ok(()));
        }
        self.socket().poll_read_ready(cx)
    }

    /// Appends to `buffer`, which grows if it is full: how far is for the caller to bound. 0 is the end. One that could be
    /// anybody's, without `close_notify`, is an error (RFC 9112 §9.8).
    pub fn poll_read_vec(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(tcp) => socket::poll_append(tcp, cx, buffer),
            Self::Tls(session) => {
                let Session { tcp, tls, .. } = &mut **session;
                sealed::poll_read(tcp, tls, cx, buffer)
            }
        }
    }

    /// Writes or, with TLS, seals what fits; see `poll_push`.
    pub fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(tcp) => socket::poll_send(tcp, cx, slices),
            Self::Tls(session) => {
                let Session { tcp, tls, .. } = &mut **session;
                sealed::poll_write(tcp, tls, cx, slices)
            }
        }
    }

    /// Pushes sealed records out; a plain socket holds nothing back.
    pub fn poll_push(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(session) => {
                let Session { tcp, tls, .. } = &mut **session;
                sealed::poll_flush(tcp, tls, cx)
            }
        }
    }

    /// Ends our direction: `close_notify` where there is TLS, then FIN. A plain socket never waits.
    pub fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Self::Tls(session) = self {
            session.tls.send_close_notify();
            ready!(self.poll_push(cx))?;
        }
        let tcp = match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(session) => &mut session.tcp,
        };
        Pin::new(tcp).poll_shutdown(cx)
    }

    /// Makes the coming close a reset, which nobody takes for a clean end.
    pub fn reset_on_close(&self) {
        // Where the option cannot be set the socket is gone already.
        let _ = SockRef::from(self.socket()).set_linger(Some(Duration::ZERO));
    }

    /// Whether nothing has arrived that a request would take for its answer. Behind TLS there may be news for the session,
    /// such as tickets, which are taken in.
    pub fn is_silent(&mut self) -> bool {
        match self {
            Self::Plain(tcp) => socket::is_silent(tcp),
            Self::Tls(session) => session.is_silent(),
        }
    }
}

impl Session {
    /// Whether a read gives something without the socket: bytes, or the end.
    fn has_opened(&mut self) -> bool {
        let opened = self.tls.reader().fill_buf().map(<[u8]>::len);
        !opened.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    fn is_silent(&mut self) -> bool {
        loop {
            if self.has_opened() {
                return false;
            }
            match self.tls.read_tls(&mut &*SockRef::from(&self.tcp)) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
            if self.tls.process_new_packets().is_err() {
                return false;
            }
        }
    }
}

/// The first alert is the last.
fn note(alert: &Alert, error: &io::Error) {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    if let Some(rustls::Error::AlertReceived(received)) = cause {
        alert.get_or_init(|| *received);
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Self::Tls(session) => {
                let Session { tcp, tls, alert } = &mut **session;
                let opened = ready!(sealed::poll_opened(tcp, tls, cx));
                if opened.inspect_err(|error| note(alert, error))? {
                    let room = buffer.remaining();
                    sealed::take_opened(tls, room, |part| buffer.put_slice(part))?;
                }
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_push(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_end(cx)
    }
}
