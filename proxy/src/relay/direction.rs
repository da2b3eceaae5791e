//! One direction of a forwarded connection: from one end to the other, until it is over. Small pieces are copied through a lent
//! buffer, bulk goes through a pipe where both ends are bare sockets.

use std::io;
use std::task::{Context, Poll, ready};

use super::end::{End, Read};
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
    /// No more will come; the rest is on its way. Torn: perhaps it is not all of it.
    Ending {
        is_torn: bool,
    },
    Over,
}

/// Which of the two ends failed.
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
        from: &mut End,
        into: &mut End,
    ) -> Poll<Result<(), Broken>> {
        let moved = self.poll_move(cx, local, from, into);
        if moved.is_pending()
            && let Poll::Ready(Err(_)) = into.poll_flush(cx)
        {
            return Poll::Ready(Err(Broken::Into));
        }
        moved
    }

    fn poll_move(
        &mut self,
        cx: &mut Context<'_>,
        local: &Local,
        from: &mut End,
        into: &mut End,
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
            } else if let State::Ending { is_torn } = self.state {
                // Only TLS waits here; where it fails the socket is gone, and its own direction finds that.
                let _ = ready!(into.poll_end(cx, is_torn));
                self.give_up(local);
            } else if let Poll::Ready(read) = self.poll_take(cx, local, from, into) {
                match read.map_err(|_error| Broken::From)? {
                    Read::Some(_) => {}
                    Read::End => self.state = State::Ending { is_torn: false },
                    Read::Torn => self.state = State::Ending { is_torn: true },
                }
            } else {
                self.let_go(local);
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// 0: nothing is left to be sent.
    fn poll_send(&mut self, cx: &mut Context<'_>, into: &mut End) -> Poll<io::Result<usize>> {
        if let Some(bare) = into.bare().filter(|_| self.bulk.is_holding()) {
            return self.bulk.poll_drain(cx, bare);
        }
        let rest = self.buffer.get(self.sent..).unwrap_or_default();
        if rest.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let sent = ready!(into.poll_write(cx, rest))?;
        self.sent += sent;
        Poll::Ready(Ok(sent))
    }

    /// Reads once, into the pipe or the buffer, which are empty.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        local: &Local,
        from: &mut End,
        into: &End,
    ) -> Poll<io::Result<Read>> {
        if let Some(bare) = from.bare().filter(|_| into.bare().is_some()) {
            let filled = ready!(self.bulk.poll_fill(cx, &local.pipes, bare, usize::MAX))?;
            match filled {
                Some(0) => return Poll::Ready(Ok(Read::End)),
                Some(count) => return Poll::Ready(Ok(Read::Some(count))),
                None => {}
            }
        }
        ready!(from.poll_readable(cx))?;
        if self.buffer.capacity() == 0 {
            self.buffer = local.buffers.body();
        }
        self.buffer.clear();
        self.sent = 0;
        let read = ready!(from.poll_read(cx, &mut self.buffer))?;
        if let Read::Some(count) = read {
            self.bulk.note(count);
        }
        Poll::Ready(Ok(read))
    }

    /// Gives back what was lent.
    fn let_go(&mut self, local: &Local) {
        local.buffers.give_back(std::mem::take(&mut self.buffer));
        self.sent = 0;
        self.bulk.let_go(&local.pipes);
    }
}
