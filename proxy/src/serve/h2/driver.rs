//! The task of one connection: read, take in, start, poll, write once.
//!
//! All frames of a read are taken in before the first of its requests starts, so that a request which is reset in the
//! same read never reaches an endpoint.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use super::connection::{Connection, Life};
use super::face::{End, Pending, Socket, Wait};
use super::frame::{self, Code};
use super::output;
use crate::serve::multiplexed::{Exchanges, Limits, Running, spare};

/// How much one turn reads.
const READ: usize = 64 * 1024;
/// How much is read and dropped after our last frame: input that nobody reads would turn the close into a reset that
/// eats the GOAWAY.
const LINGER: usize = 2 * 1024 * 1024;
/// An idle connection gives larger buffers back.
const KEPT: usize = 1024;

#[derive(Debug)]
enum Phase {
    Open,
    /// Our last frames are under way.
    Flushing(End),
    /// Our direction is closed; so much is still read and dropped.
    Lingering(End, usize),
}

/// One connection; a future that ends with it.
#[derive(Debug)]
pub struct Driver<S, X: Exchanges> {
    socket: S,
    connection: Rc<RefCell<Connection>>,
    running: Running<Connection, X>,
    /// The beginning of a frame.
    rest: Vec<u8>,
    phase: Phase,
    /// The socket takes no more for now.
    blocked: bool,
    expired: Option<Pending>,
    /// The client has sent something since it was looked at last.
    heard: bool,
    /// It has not since it was sent a PING.
    pinged: bool,
    /// There is no point in waiting for the client any more.
    over: bool,
    task: Option<Waker>,
}

impl<S: Socket + Unpin, X: Exchanges + Unpin> Driver<S, X> {
    /// `read`: what was read of the connection to find out that it is HTTP/2, from the preface on.
    pub fn new(socket: S, exchanges: X, limits: Limits, read: &[u8]) -> Self {
        let mut connection = Connection::new(limits);
        let used = connection.receive(read);
        let connection = Rc::new(RefCell::new(connection));
        Self {
            socket,
            running: Running::new(Rc::clone(&connection), exchanges),
            connection,
            rest: read.get(used..).unwrap_or_default().to_vec(),
            phase: Phase::Open,
            blocked: false,
            expired: None,
            heard: false,
            pinged: false,
            over: false,
            task: None,
        }
    }

    /// Asks the client to go elsewhere; the future ends when the last exchange has.
    pub fn drain(&mut self) {
        self.connection.borrow_mut().drain();
        self.wake();
    }

    /// Whether no exchange runs and nothing waits to be sent.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.connection.borrow().output.waiting().is_empty()
    }

    /// How the connection ends, as soon as that is settled and while the client still has to close.
    pub fn ending(&self) -> Option<&End> {
        match &self.phase {
            Phase::Open => None,
            Phase::Flushing(end) | Phase::Lingering(end, _) => Some(end),
        }
    }

    /// What the worker's clock should time.
    pub fn pending_since(&self) -> Wait {
        let connection = self.connection.borrow();
        let (pending, mark) = if matches!(self.phase, Phase::Lingering(..)) {
            (Pending::Closing, 0)
        } else if self.blocked {
            (Pending::Stalled, connection.output.total())
        } else if connection.is_starting() {
            (Pending::Preface, 0)
        } else if connection.open_block.is_some() || frame::begins_block(&self.rest) {
            (Pending::HeaderBlock, connection.blocks)
        } else if self.running.is_empty() {
            (Pending::Idle, connection.requests)
        } else if self.pinged {
            (Pending::Pong, 0)
        } else {
            (Pending::None, 0)
        };
        Wait { pending, mark }
    }

    /// The wait that `pending_since` names has taken too long. The future ends soon, or at once if the client does not
    /// read.
    pub fn expire(&mut self) {
        let pending = self.pending_since().pending;
        match pending {
            Pending::None => return self.look_for_life(),
            Pending::HeaderBlock => self
                .connection
                .borrow_mut()
                .end(Code::EnhanceYourCalm, None),
            Pending::Preface | Pending::Idle => {
                self.connection.borrow_mut().end(Code::NoError, None);
            }
            Pending::Stalled | Pending::Pong | Pending::Closing => self.over = true,
        }
        self.expired.get_or_insert(pending);
        self.wake();
    }

    /// A client whose requests run and that says nothing may be gone without a word.
    fn look_for_life(&mut self) {
        if !std::mem::take(&mut self.heard) {
            self.pinged = true;
            self.connection.borrow_mut().ping();
            self.wake();
        }
    }

    /// Makes good the useless frames so far. To be called now and then, at most once in ten seconds.
    pub fn forgive(&mut self) {
        self.connection.borrow_mut().budget.forgive();
    }

    /// Octets of memory in use, but for small change.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let connection = self.connection.borrow();
        size_of::<Self>()
            + size_of::<Connection>()
            + self.rest.capacity()
            + connection.output.held()
    }

    fn wake(&self) {
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }

    /// One turn of an open connection.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let reads = self.connection.borrow().output.waiting().len() < output::CAP;
        let read = if reads {
            self.poll_input(cx)
        } else {
            Poll::Pending
        };
        match read {
            // What was read last has ended the connection: that is the news.
            Poll::Ready(Err(_)) if self.connection.borrow().is_ended() => {}
            Poll::Ready(Err(end)) => return Poll::Ready(self.cut(cx, end)),
            // More may be there: come again after the others had their turn.
            Poll::Ready(Ok(())) => cx.waker().wake_by_ref(),
            Poll::Pending => {}
        }
        self.running.turn(cx);
        while self.connection.borrow_mut().next_turn() {
            self.running.go_on(cx);
        }
        if let Poll::Ready(Err(error)) = self.poll_output(cx) {
            return Poll::Ready(self.cut(cx, End::Socket(error)));
        }
        let mut connection = self.connection.borrow_mut();
        let may_read = !reads && connection.output.waiting().len() < output::CAP;
        if may_read || connection.wants_turn() {
            cx.waker().wake_by_ref();
        }
        let end = match connection.life {
            Life::Ended(violation) => match (violation, self.expired) {
                (Some(violation), _) => End::Violation(violation),
                (None, Some(pending)) => End::Expired(pending),
                (None, None) => End::Closed,
            },
            Life::Leaving if self.running.is_empty() => End::Closed,
            Life::Serving | Life::Draining | Life::Leaving => {
                if self.running.is_empty() {
                    connection.shrink();
                    if self.rest.is_empty() && self.rest.capacity() > KEPT {
                        self.rest = Vec::new();
                    }
                }
                return Poll::Pending;
            }
        };
        drop(connection);
        self.running.end(cx);
        self.phase = Phase::Flushing(end);
        self.poll_close(cx)
    }

    /// Ready if there may be more to read.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let mut input = spare::scratch();
        input.reserve(READ);
        input.append(&mut self.rest);
        let poll = loop {
            if input.len() >= READ {
                break Poll::Ready(Ok(()));
            }
            match self.socket.poll_read(cx, &mut input) {
                Poll::Ready(Ok(0)) => break Poll::Ready(Err(End::Gone)),
                Poll::Ready(Ok(_)) => {
                    self.heard = true;
                    self.pinged = false;
                }
                Poll::Ready(Err(error)) => break Poll::Ready(Err(End::Socket(error))),
                Poll::Pending => break Poll::Pending,
            }
        };
        let used = self.connection.borrow_mut().receive(&input);
        self.rest
            .extend_from_slice(input.get(used..).unwrap_or_default());
        spare::give_scratch(input);
        poll
    }

    /// Ready when nothing is left to write.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.blocked = true;
        let mut connection = self.connection.borrow_mut();
        while !connection.output.waiting().is_empty() {
            let count = ready!(self.socket.poll_write(cx, connection.output.waiting()))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            connection.wrote(count);
        }
        ready!(self.socket.poll_flush(cx))?;
        self.blocked = false;
        Poll::Ready(Ok(()))
    }

    /// The socket is of no more use: exchanges learn of it and are dropped.
    fn cut(&mut self, cx: &mut Context<'_>, end: End) -> End {
        self.connection.borrow_mut().cut_all();
        self.running.end(cx);
        end
    }

    /// Last frames, our end, and a bounded wait for the client's.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if matches!(self.phase, Phase::Flushing(_)) {
            let flushed = ready!(self.poll_output(cx));
            self.blocked = true;
            let shut = flushed.and(ready!(self.socket.poll_shutdown(cx)));
            self.blocked = false;
            let end = self.take_end().unwrap_or(End::Closed);
            if shut.is_err() {
                return Poll::Ready(end);
            }
            self.phase = Phase::Lingering(end, LINGER);
        }
        let Phase::Lingering(_, left) = &mut self.phase else {
            return Poll::Ready(End::Closed);
        };
        let mut input = spare::scratch();
        let over = loop {
            input.clear();
            input.reserve(READ);
            match self.socket.poll_read(cx, &mut input) {
                Poll::Ready(Ok(count)) if count > 0 && count < *left => *left -= count,
                Poll::Ready(_) => break true,
                Poll::Pending => break false,
            }
        };
        spare::give_scratch(input);
        if !over {
            return Poll::Pending;
        }
        Poll::Ready(self.take_end().unwrap_or(End::Closed))
    }

    fn take_end(&mut self) -> Option<End> {
        match std::mem::replace(&mut self.phase, Phase::Open) {
            Phase::Open => None,
            Phase::Flushing(end) | Phase::Lingering(end, _) => Some(end),
        }
    }
}

impl<S: Socket + Unpin, X: Exchanges + Unpin> Future for Driver<S, X> {
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        let me = &mut *self;
        match &mut me.task {
            Some(task) => task.clone_from(cx.waker()),
            None => me.task = Some(cx.waker().clone()),
        }
        if me.over {
            let waited = me.expired.unwrap_or(Pending::Stalled);
            let end = me.take_end().unwrap_or(End::Expired(waited));
            return Poll::Ready(me.cut(cx, end));
        }
        match me.phase {
            Phase::Open => me.poll_turn(cx),
            Phase::Flushing(_) | Phase::Lingering(..) => me.poll_close(cx),
        }
    }
}
