//! Bytes through a bare socket, within polls.
//!
//! The system calls are made without the C library, whose `recv` and `send` are points where a thread may be cancelled: that
//! costs two atomic exchanges a call, and so more than one per cent of a small request.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::buffer::spare_capacity;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};
use tokio::io::{AsyncWrite, Interest};
use tokio::net::TcpStream;

/// Whoever reads gets at least this much room.
const ROOM: usize = 64;

/// Appends to `buffer`, which grows if it is full. 0 is the end.
pub(super) fn poll_append(
    tcp: &TcpStream,
    cx: &mut Context<'_>,
    buffer: &mut Vec<u8>,
) -> Poll<io::Result<usize>> {
    if buffer.len() == buffer.capacity() {
        buffer.reserve(ROOM);
    }
    let room = buffer.capacity() - buffer.len();
    poll_read(tcp, cx, room, || {
        let (_, count) = recv(tcp, spare_capacity(buffer), RecvFlags::empty())?;
        Ok(count)
    })
}

/// Fills the beginning of `buffer`. 0 is the end.
pub(super) fn poll_fill(
    tcp: &TcpStream,
    cx: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    let room = buffer.len();
    poll_read(tcp, cx, room, || {
        let (count, _) = recv(tcp, &mut *buffer, RecvFlags::empty())?;
        Ok(count)
    })
}

/// One buffer goes out by `send`, which the kernel does cheaper than `writev`.
pub(super) fn poll_send(
    tcp: &mut TcpStream,
    cx: &mut Context<'_>,
    slices: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    let [only] = slices else {
        return Pin::new(tcp).poll_write_vectored(cx, slices);
    };
    loop {
        ready!(tcp.poll_write_ready(cx))?;
        let sent = tcp.try_io(Interest::WRITABLE, || {
            Ok(send(&*tcp, only, SendFlags::NOSIGNAL)?)
        });
        match sent {
            Ok(count) if count < only.len() => {
                is_exhausted(tcp, Interest::WRITABLE);
                return Poll::Ready(Ok(count));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            sent => return Poll::Ready(sent),
        }
    }
}

/// The same where more follows at once: the kernel may hold back what does not fill a segment.
pub(super) fn poll_send_part(
    tcp: &TcpStream,
    cx: &mut Context<'_>,
    slices: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    loop {
        ready!(tcp.poll_write_ready(cx))?;
        let sent = tcp.try_io(Interest::WRITABLE, || {
            let flags = SendFlags::NOSIGNAL | SendFlags::MORE;
            let mut nothing = SendAncillaryBuffer::default();
            Ok(sendmsg(tcp, slices, &mut nothing, flags)?)
        });
        match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            sent => return Poll::Ready(sent),
        }
    }
}

/// Whether nothing waits to be read, not even the end. The kernel is asked, not the runtime's readiness flag, which is as old
/// as the last turn of the event loop.
pub(super) fn is_silent(tcp: &TcpStream) -> bool {
    let peek = recv(tcp, &mut [0], RecvFlags::PEEK | RecvFlags::DONTWAIT);
    peek.is_err_and(|error| error == rustix::io::Errno::WOULDBLOCK)
}

fn poll_read(
    tcp: &TcpStream,
    cx: &mut Context<'_>,
    room: usize,
    mut receive: impl FnMut() -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(tcp.poll_read_ready(cx))?;
        match tcp.try_io(Interest::READABLE, &mut receive) {
            // There was no more: the next read need not ask in vain.
            Ok(count) if count > 0 && count < room => {
                is_exhausted(tcp, Interest::READABLE);
                return Poll::Ready(Ok(count));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return Poll::Ready(read),
        }
    }
}

/// Tells the runtime that the socket is not ready any more. It is woken by what comes from now on: the event loop has not
/// had a turn since the system call that took or gave less than there was room for.
fn is_exhausted(tcp: &TcpStream, interest: Interest) {
    // This error is how one says so; it comes back.
    let _ = tcp.try_io(interest, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
}
