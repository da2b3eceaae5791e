//! The pieces of a payload: those of one that comes, and those of one that is whole.

use std::collections::VecDeque;
use std::ops::Range;
use std::task::{Context, Waker};

use bytes::Bytes;

use super::body::Broken;
use super::disk::Source;

/// Pieces are gathered up to this.
const PIECE: usize = 64 * 1024;
/// Where memory is short, those that are written are no smaller than this.
pub(super) const SHORT_PIECE: usize = 4 * 1024;

/// A piece and where it begins.
pub(super) type Piece = (u64, Bytes);

#[derive(Debug)]
pub(super) struct Whole {
    pub(super) pieces: Box<[Piece]>,
    pub(super) length: u64,
}

/// A payload that is not whole, or not all here.
#[derive(Debug, Default)]
pub(super) struct Coming {
    pub(super) pieces: VecDeque<Piece>,
    /// What has come behind the last of them.
    pub(super) tail: Vec<u8>,
    /// Bytes that have come.
    pub(super) end: u64,
    /// Once it is not stored any more: what is behind by more than this has lost.
    pub(super) window: Option<u64>,
    /// Where the one is who reads it, if it may not be further ahead of that one than the window.
    pub(super) paced: Option<u64>,
    /// Where the beginning lies as well, and how much of it.
    pub(super) source: Option<Source>,
    pub(super) lying: u64,
    /// What lies there need not be here.
    pub(super) is_spilt: bool,
    /// How it ended, if it has.
    pub(super) over: Option<Result<(), Broken>>,
    pub(super) readers: usize,
    pub(super) waiting: Vec<Waker>,
}

impl Coming {
    /// Where what is still here begins.
    pub(super) fn start(&self) -> u64 {
        let first = self.pieces.front().map(|(start, _)| *start);
        first.unwrap_or_else(|| self.tail_start())
    }

    pub(super) fn tail_start(&self) -> u64 {
        self.end - self.tail.len() as u64
    }

    pub(super) fn wake_later(&mut self, cx: &Context<'_>) {
        let mut waiting = self.waiting.iter();
        if !waiting.any(|known| known.will_wake(cx.waker())) {
            self.waiting.push(cx.waker().clone());
        }
    }

    /// Whether what is there can still be had.
    pub(super) fn reaches(&self, at: u64) -> bool {
        at >= self.start() || at < self.lying
    }

    /// Lets go of what lies on the disk.
    pub(super) fn spill(&mut self) {
        if self.is_spilt {
            let lies = |piece: &Piece| end_of(piece) <= self.lying;
            let count = self.pieces.iter().take_while(|piece| lies(piece)).count();
            self.pieces.drain(..count);
        }
    }

    /// Takes what has come; gives the piece that is whole with it.
    pub(super) fn push(&mut self, payload: &[u8]) -> Option<Bytes> {
        self.tail.extend_from_slice(payload);
        self.end += payload.len() as u64;
        let piece = (self.tail.len() >= PIECE).then(|| self.seal()).flatten();
        if let Some(window) = self.window {
            let lost = |piece: &Piece| match self.paced {
                Some(read) => end_of(piece) <= read,
                None => end_of(piece) + window < self.end,
            };
            let count = self.pieces.iter().take_while(|piece| lost(piece)).count();
            self.pieces.drain(..count);
        }
        piece
    }

    /// Makes a piece of what has come since the last.
    pub(super) fn seal(&mut self) -> Option<Bytes> {
        if self.tail.is_empty() {
            return None;
        }
        let start = self.tail_start();
        let piece = Bytes::from(std::mem::take(&mut self.tail).into_boxed_slice());
        self.pieces.push_back((start, piece.clone()));
        Some(piece)
    }

    /// What is there from `range.start` on.
    pub(super) fn get(&self, range: &Range<u64>) -> Option<Bytes> {
        let tail = self.tail_start();
        if range.start >= tail {
            let from = usize::try_from(range.start - tail).ok()?;
            let to = usize::try_from(range.end.min(self.end) - tail).ok()?;
            let part = self.tail.get(from..to).filter(|part| !part.is_empty())?;
            return Some(Bytes::copy_from_slice(part));
        }
        let index = self
            .pieces
            .partition_point(|piece| end_of(piece) <= range.start);
        part(self.pieces.get(index)?, range)
    }
}

impl Whole {
    /// What is there from `range.start` on.
    pub(super) fn get(&self, range: &Range<u64>) -> Option<Bytes> {
        let index = self
            .pieces
            .partition_point(|piece| end_of(piece) <= range.start);
        part(self.pieces.get(index)?, range)
    }
}

pub(super) fn end_of((start, bytes): &Piece) -> u64 {
    start + bytes.len() as u64
}

/// Where a range lies in a piece.
fn within(piece: &Piece, range: &Range<u64>) -> Option<Range<usize>> {
    let from = range.start.max(piece.0) - piece.0;
    let to = range.end.min(end_of(piece)).saturating_sub(piece.0);
    Some(usize::try_from(from).ok()?..usize::try_from(to).ok()?).filter(|part| !part.is_empty())
}

pub(super) fn cut<'a>(piece: &'a Piece, range: &Range<u64>) -> Option<&'a [u8]> {
    piece.1.get(within(piece, range)?)
}

fn part(piece: &Piece, range: &Range<u64>) -> Option<Bytes> {
    within(piece, range).map(|within| piece.1.slice(within))
}
