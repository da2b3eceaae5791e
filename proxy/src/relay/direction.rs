//! One direction of a forwarded connection: from one socket to the other, until its end.
//!
//! What arrives a little at a time is copied through a lent buffer, in one read and one write; bulk goes through a pipe, which takes
//! three system calls or more and moves pages instead of bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite as _;
use tokio::net::TcpStream;
use tokio_util::io::poll_read_buf;

use crate::exchange::context::Local;
use crate::net::pipes::Pipe;

/// A read that gives so much, with more to come, is of bulk.
const BULK: usize = 64 * 1024;
/// So little at a time is none any more.
const SMALL: usize = 16 * 1024;
/// After so much others have their turn.
const TURN: usize = 1 << 20;

/// See the module.
#[derive(Debug)]
pub(super) struct Direction {
    state: State,
    /// Lent while there is something in it.
    buffer: Vec<u8>,
    sent: usize,
    /// Lent while there is something in it.
    pipe: Option<Pipe>,
    is_bulk: bool,
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
            pipe: None,
            is_bulk: false,
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
        if let Some(pipe) = self.pipe.as_mut().filter(|pipe| !pipe.is_empty()) {
            return pipe.poll_drain(cx, into);
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
        if self.is_bulk && self.pipe.is_none() {
            self.pipe = local.pipes.lend();
        }
        if let Some(pipe) = self.pipe.as_mut().filter(|_| self.is_bulk) {
            let filled = ready!(pipe.poll_fill(cx, from, usize::MAX));
            match filled {
                Err(error) if local.pipes.is_refused(&error) => self.is_bulk = false,
                Ok(count) => {
                    self.is_bulk = count >= SMALL;
                    return Poll::Ready(Ok(count));
                }
                failed => return Poll::Ready(failed),
            }
        }
        ready!(from.poll_read_ready(cx))?;
        if self.buffer.capacity() == 0 {
            self.buffer = local.buffers.body();
        }
        self.buffer.clear();
        self.sent = 0;
        let count = ready!(poll_read_buf(Pin::new(from), cx, &mut self.buffer))?;
        self.is_bulk = count >= BULK;
        Poll::Ready(Ok(count))
    }

    /// Gives back what was lent.
    fn let_go(&mut self, local: &Local) {
        local.buffers.give_back(std::mem::take(&mut self.buffer));
        self.sent = 0;
        if let Some(pipe) = self.pipe.take() {
            local.pipes.give_back(pipe);
        }
    }
}
