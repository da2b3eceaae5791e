//! Pipes through which bytes go from one socket to another without coming into the process (splice(2)).
//!
//! A pipe is lent only while there are bytes in it, so an idle connection holds none, and there are never more of them than a worker
//! has bulk under way. Who gets none copies.

use std::cell::{Cell, RefCell};
use std::io;
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::descriptors;

/// How many a worker lends at one time: of the memory that the kernel gives the pipes of one account (`fs.pipe-user-pages-soft`) they
/// take a quarter, so that they keep their size.
const MOST: usize = 256;
/// How many wait for the next one to need them.
const KEPT: usize = 16;
/// More than a pipe holds, whatever its pages are.
const ALL: usize = 1 << 30;
/// Bodies of so many bytes go through a pipe from their first pages on. Measured by CPU time a response, from a small first read
/// on: 48 KiB costs as much as copied, 80 KiB 1.15 of that, 100 KiB 0.85, 128 KiB 0.81, 256 KiB 0.8, 512 KiB 1.05 to 1.3, and 1 MiB
/// as much as with a first read of 128 KiB.
pub const MIDDLING: RangeInclusive<u64> = 96 * 1024..=384 * 1024;
/// A read that gives so much, with more to come, is of bulk.
const BULK: usize = 64 * 1024;
/// So little at a time is none any more.
const SMALL: usize = 16 * 1024;

/// A worker's pipes.
#[derive(Debug, Default)]
pub struct Pipes {
    idle: RefCell<Vec<Pipe>>,
    lent: Cell<usize>,
    /// The kernel does not splice here.
    is_useless: Cell<bool>,
}

/// One pipe, and how many bytes are in it.
#[derive(Debug)]
struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
    held: usize,
}

impl Pipes {
    /// An empty pipe, if one may be had.
    fn lend(&self) -> Option<Pipe> {
        if self.is_useless.get() || self.lent.get() >= MOST {
            return None;
        }
        let idle = self.idle.borrow_mut().pop();
        let pipe = match idle {
            Some(pipe) => pipe,
            None => Pipe::new().ok()?,
        };
        self.lent.set(self.lent.get() + 1);
        Some(pipe)
    }

    /// Takes a pipe back; one with bytes in it is closed.
    fn give_back(&self, pipe: Pipe) {
        self.lent.set(self.lent.get() - 1);
        let mut idle = self.idle.borrow_mut();
        if pipe.held == 0 && idle.len() < KEPT {
            idle.push(pipe);
        }
    }

    /// What a splice failed with; true if bytes have to be copied from now on.
    fn is_refused(&self, error: &io::Error) -> bool {
        let refused = [Errno::INVAL, Errno::NOSYS, Errno::PERM]
            .iter()
            .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
        if refused {
            self.is_useless.set(true);
        }
        refused
    }
}

impl Pipe {
    fn new() -> io::Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Self {
            reader: descriptors::spend(reader)?,
            writer: descriptors::spend(writer)?,
            held: 0,
        })
    }

    fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Takes what has arrived into the empty pipe, at most `most` bytes; 0 is the end.
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        debug_assert!(self.is_empty(), "whether pipe or socket waits is not told");
        loop {
            ready!(from.poll_read_ready(cx))?;
            let moved = from.try_io(Interest::READABLE, || {
                through(from, &self.writer, most.min(ALL))
            });
            match moved {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                moved => {
                    self.held = *moved.as_ref().unwrap_or(&0);
                    return Poll::Ready(moved);
                }
            }
        }
    }

    /// Sends what is in the pipe, as far as the socket takes it.
    fn poll_drain(&mut self, cx: &mut Context<'_>, into: &TcpStream) -> Poll<io::Result<usize>> {
        loop {
            ready!(into.poll_write_ready(cx))?;
            let moved = into.try_io(Interest::WRITABLE, || {
                through(&self.reader, into, self.held)
            });
            match moved {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                moved => {
                    self.held -= *moved.as_ref().unwrap_or(&0);
                    return Poll::Ready(moved);
                }
            }
        }
    }
}

/// One direction's way through a pipe. What arrives a little at a time is better copied, in one read and one write; bulk takes three
/// system calls or more this way, and moves pages instead of bytes.
#[derive(Debug, Default)]
pub struct Bulk {
    /// Lent while there is something in it.
    pipe: Option<Pipe>,
    is_on: bool,
}

impl Bulk {
    /// Notes that a read into a buffer gave `count` bytes.
    pub fn note(&mut self, count: usize) {
        self.is_on = count >= BULK;
    }

    /// More is known to come.
    pub fn begin(&mut self) {
        self.is_on = true;
    }

    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether there are bytes to be drained.
    pub fn is_holding(&self) -> bool {
        self.pipe.as_ref().is_some_and(|pipe| !pipe.is_empty())
    }

    /// Takes what has arrived, at most `most` bytes, once all before it is drained; 0 is the end. `None`: it has to be copied.
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        pipes: &Pipes,
        from: &TcpStream,
        most: usize,
    ) -> Poll<io::Result<Option<usize>>> {
        if self.is_on && self.pipe.is_none() {
            self.pipe = pipes.lend();
        }
        let Some(pipe) = self.pipe.as_mut().filter(|_| self.is_on) else {
            return Poll::Ready(Ok(None));
        };
        Poll::Ready(match ready!(pipe.poll_fill(cx, from, most)) {
            Ok(count) => {
                self.is_on = count >= SMALL;
                Ok(Some(count))
            }
            Err(error) if pipes.is_refused(&error) => {
                self.is_on = false;
                Ok(None)
            }
            Err(error) => Err(error),
        })
    }

    /// Sends what is held, as far as the socket takes it; 0 where nothing is held.
    pub fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        into: &TcpStream,
    ) -> Poll<io::Result<usize>> {
        self.pipe
            .as_mut()
            .map_or(Poll::Ready(Ok(0)), |pipe| pipe.poll_drain(cx, into))
    }

    /// Gives the pipe back.
    pub fn let_go(&mut self, pipes: &Pipes) {
        if let Some(pipe) = self.pipe.take() {
            pipes.give_back(pipe);
        }
    }
}

fn through(
    from: &impl std::os::fd::AsFd,
    into: &impl std::os::fd::AsFd,
    most: usize,
) -> io::Result<usize> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    Ok(splice(from, None, into, None, most, flags)?)
}
