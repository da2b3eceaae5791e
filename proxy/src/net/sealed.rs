//! TLS over a socket, for either side of it: sealed bytes in and out, within polls.

use std::io::{self, BufRead, IoSlice, Read, Write};
use std::task::{Context, Poll, ready};

use rustls::ConnectionCommon;
use tokio::net::TcpStream;

use super::socket;

/// Waits for opened bytes and tells whether there are any: none is the end. An end without `close_notify`, which anybody
/// on the way can make, is `UnexpectedEof`.
pub(super) fn poll_opened<Side>(
    tcp: &mut TcpStream,
    tls: &mut ConnectionCommon<Side>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<bool>> {
    loop {
        match tls.reader().fill_buf() {
            Ok(opened) => return Poll::Ready(Ok(!opened.is_empty())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
        match tls.read_tls(&mut Blocking { tcp, cx }) {
            Ok(_) => {
                tls.process_new_packets().map_err(io::Error::other)?;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
}

/// Hands up to `room` opened bytes to `take`, and tells how many.
pub(super) fn take_opened<Side>(
    tls: &mut ConnectionCommon<Side>,
    room: usize,
    take: impl FnOnce(&[u8]),
) -> io::Result<usize> {
    let mut reader = tls.reader();
    let opened = reader.fill_buf()?;
    let part = opened.get(..room).unwrap_or(opened);
    take(part);
    let taken = part.len();
    reader.consume(taken);
    Ok(taken)
}

/// Appends opened bytes to `buffer`, which grows if it is full. 0 is the end.
pub(super) fn poll_read<Side>(
    tcp: &mut TcpStream,
    tls: &mut ConnectionCommon<Side>,
    cx: &mut Context<'_>,
    buffer: &mut Vec<u8>,
) -> Poll<io::Result<usize>> {
    if buffer.len() == buffer.capacity() {
        buffer.reserve(1);
    }
    let room = buffer.capacity() - buffer.len();
    match ready!(poll_opened(tcp, tls, cx)) {
        Ok(true) => Poll::Ready(take_opened(tls, room, |part| {
            buffer.extend_from_slice(part);
        })),
        Ok(false) => Poll::Ready(Ok(0)),
        Err(error) => Poll::Ready(Err(error)),
    }
}

/// Seals what fits; see [`poll_flush`].
pub(super) fn poll_write<Side>(
    tcp: &mut TcpStream,
    tls: &mut ConnectionCommon<Side>,
    cx: &mut Context<'_>,
    slices: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    let is_empty = slices.iter().all(|slice| slice.is_empty());
    loop {
        let taken = tls.writer().write_vectored(slices)?;
        if taken > 0 || is_empty {
            return Poll::Ready(Ok(taken));
        }
        ready!(poll_flush(tcp, tls, cx))?;
    }
}

/// Pushes sealed records out.
pub(super) fn poll_flush<Side>(
    tcp: &mut TcpStream,
    tls: &mut ConnectionCommon<Side>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while tls.wants_write() {
        match tls.write_tls(&mut Blocking { tcp, cx }) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
    Poll::Ready(Ok(()))
}

/// The socket as rustls wants it: `Pending` becomes `WouldBlock`, with the waker registered.
struct Blocking<'a, 'b> {
    tcp: &'a mut TcpStream,
    cx: &'a mut Context<'b>,
}

fn or_would_block<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl Read for Blocking<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        or_would_block(socket::poll_fill(self.tcp, self.cx, buffer))
    }
}

impl Write for Blocking<'_, '_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buffer)])
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        or_would_block(socket::poll_send(self.tcp, self.cx, buffers))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
