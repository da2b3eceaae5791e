//! One direction of a forwarded connection: from one socket to the other, until its end. Small pieces are copied through a lent
//! buffer, bulk goes through a pipe.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite as _;
use tokio::net::TcpStream;
use tokio_util::io::poll_read_buf;

use crate::exchange::context::Local;
use crate::net::pipes::Bulk;

/// After so much others have their turn.
const TURN: usize = 1 << 20;

/// See the module.
#[derive(Debug)]
pub(super) struct Direction {
    state: State,
    /// Lent while there is something in it.
    buffer: Vec<u8>,
    sent: usize,
    bulk: Bulk,
    /// What has gone through.
    pub(super) bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// No more will come; the rest is on its way.
    Ending,
    Over,
}

/// Which of the two sockets failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    From,
    Into,
}

impl Direction {
    /// `early` was read already, and goes first.
    pub(super) fn new(early: Vec<u8>) -> Self {
        Self {
            state: State::Open,
            buffer: early,
            sent: 0,
            bulk: Bulk::default(),
            bytes: 0,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Nothing can go this way any more.
    pub(super) fn give_up(&mut self, local: &Local) {
        self.state = State::Over;
        self.let_go(local);
    }

    /// Moves what can be moved; `Ready` at the end, which is passed on then.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        local: &Local,
        from: &mut TcpStream,
        into: &mut TcpStream,
    ) -> Poll<Result<(), Broken>> {
        let mut moved = 0;
        while self.state != State::Over {
            if moved >= TURN {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let sent = ready!(self.poll_send(cx, into)).map_err(|_error| Broken::Into)?;
            if sent > 0 {
                self.bytes += sent as u64;
                moved += sent;
            } else if self.state == State::Ending {
                self.give_up(local);
                // Shutting down a TCP socket never waits; where it fails the socket is gone, and its own direction finds that.
                let _ = Pin::new(&mut *into).poll_shutdown(cx);
            } else if let Poll::Ready(read) = self.poll_take(cx, local, from) {
                if read.map_err(|_error| Broken::From)? == 0 {
                    self.state = State::Ending;
                }
            } else {
                self.let_go(local);
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// 0: nothing is left to be sent.
    fn poll_send(&mut self, cx: &mut Context<'_>, into: &mut TcpStream) -> Poll<io::Result<usize>> {
        if self.bulk.is_holding() {
            return self.bulk.poll_drain(cx, into);
        }
        let rest = self.buffer.get(self.sent..).unwrap_or_default();
        if rest.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let sent = ready!(Pin::new(into).poll_write(cx, rest))?;
        self.sent += sent;
        Poll::Ready(Ok(sent))
    }

    /// Reads once, into the pipe or the buffer, which are empty; 0 is the end.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        local: &Local,
        from: &mut TcpStream,
    ) -> Poll<io::Result<usize>> {
        let filled = ready!(self.bulk.poll_fill(cx, &local.pipes, from, usize::MAX))?;
        if let Some(count) = filled {
            return Poll::Ready(Ok(count));
        }
        ready!(from.poll_read_ready(cx))?;
        if self.buffer.capacity() == 0 {
            self.buffer = local.buffers.body();
        }
        self.buffer.clear();
        self.sent = 0;
        let count = ready!(poll_read_buf(Pin::new(from), cx, &mut self.buffer))?;
        self.bulk.note(count);
        Poll::Ready(Ok(count))
    }

    /// Gives back what was lent.
    fn let_go(&mut self, local: &Local) {
        local.buffers.give_back(std::mem::take(&mut self.buffer));
        self.sent = 0;
        self.bulk.let_go(&local.pipes);
    }
}
