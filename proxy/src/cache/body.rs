//! A payload from its first byte to its last: one brings it, and whoever wants it reads what is there, each at a pace of its own.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

/// Pieces are gathered up to this.
const PIECE: usize = 64 * 1024;

/// A payload. Shared by what is stored before and after its origin has confirmed it.
#[derive(Debug)]
pub struct Body {
    /// All of it, once it is here; read without a lock.
    whole: OnceLock<Whole>,
    /// Nothing once it is whole.
    coming: Mutex<Option<Box<Coming>>>,
    declared: Option<u64>,
}

/// A piece and where it begins.
type Piece = (u64, Bytes);

#[derive(Debug)]
struct Whole {
    pieces: Box<[Piece]>,
    length: u64,
}

/// A payload that is not whole, or not all here.
#[derive(Debug, Default)]
struct Coming {
    pieces: VecDeque<Piece>,
    /// What has come behind the last of them.
    tail: Vec<u8>,
    /// Bytes that have come.
    end: u64,
    /// Once it is not stored any more: what is behind by more than this has lost.
    window: Option<u64>,
    /// How it ended, if it has.
    over: Option<Result<(), Broken>>,
    readers: usize,
    waiting: Vec<Waker>,
}

/// The payload came to no end, or its beginning is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// Somebody who reads a payload as it comes. As long as there is one, it comes although it is not stored any more.
#[derive(Debug)]
pub struct Reader {
    body: Arc<Body>,
}

impl Body {
    /// One that is to come, as long as its head says.
    pub fn coming(declared: Option<u64>) -> Self {
        Self {
            whole: OnceLock::new(),
            coming: Mutex::new(Some(Box::default())),
            declared,
        }
    }

    /// How long it is, as far as that is known.
    pub fn length(&self) -> Option<u64> {
        let whole = self.whole.get().map(|whole| whole.length);
        whole.or(self.declared)
    }

    /// The bytes of a range, piece by piece; `None` while it is not whole.
    pub fn part(&self, range: Range<u64>) -> Option<impl Iterator<Item = &[u8]>> {
        let whole = self.whole.get()?;
        let first = whole
            .pieces
            .partition_point(|piece| end_of(piece) <= range.start);
        let pieces = whole.pieces.get(first..).unwrap_or_default().iter();
        let pieces = pieces.take_while(move |(start, _)| *start < range.end);
        Some(pieces.filter_map(move |piece| cut(piece, &range)))
    }

    /// Somebody who reads from there on; `None` if that has gone already.
    pub fn read(self: &Arc<Self>, from: u64) -> Option<Reader> {
        if let Some(coming) = &mut *self.state() {
            if coming.start() > from {
                return None;
            }
            coming.readers += 1;
        }
        Some(Reader {
            body: Arc::clone(self),
        })
    }

    /// Whether somebody reads it while it comes.
    pub fn is_read(&self) -> bool {
        let state = self.state();
        state.as_ref().is_some_and(|coming| coming.readers > 0)
    }

    /// Takes what has come; false if it is not stored, and nobody reads it.
    pub(super) fn push(&self, payload: &[u8]) -> bool {
        let mut is_wanted = true;
        self.change(|coming| {
            is_wanted = coming.window.is_none() || coming.readers > 0;
            if is_wanted {
                coming.push(payload);
            }
        });
        is_wanted
    }

    /// It is not stored any more: of what has come so much is kept for those who are slower.
    pub(super) fn let_go(&self, window: u64) {
        self.change(|coming| coming.window = Some(window));
    }

    /// That was all. Whether all of it is here, and as much as its head has said.
    pub(super) fn finish(&self) -> bool {
        let mut whole = None;
        self.change(|coming| {
            coming.seal();
            let is_all = self.declared.is_none_or(|declared| declared == coming.end);
            coming.over = Some(if is_all { Ok(()) } else { Err(Broken) });
            if is_all && coming.window.is_none() {
                whole = Some(Whole {
                    // Shared with the readers that are under way.
                    pieces: coming.pieces.iter().cloned().collect(),
                    length: coming.end,
                });
            }
        });
        let Some(whole) = whole else { return false };
        // It comes to its end once.
        let _ = self.whole.set(whole);
        *self.state() = None;
        true
    }

    /// It comes to no end, unless it has.
    pub(super) fn break_off(&self) {
        self.change(|coming| {
            coming.over.get_or_insert(Err(Broken));
        });
    }

    /// Bytes that it takes.
    pub(super) fn size(&self) -> usize {
        let whole = self.whole.get().map_or(0, |whole| {
            let pieces = whole.pieces.len() * (size_of::<Piece>() + 48);
            pieces + usize::try_from(whole.length).unwrap_or(usize::MAX)
        });
        size_of::<Self>() + whole
    }

    /// Changes what has come, and wakes who waits for that.
    fn change(&self, change: impl FnOnce(&mut Coming)) {
        let mut state = self.state();
        let Some(coming) = &mut *state else { return };
        change(coming);
        let waiting = std::mem::take(&mut coming.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, Option<Box<Coming>>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Coming {
    /// Where what is still here begins.
    fn start(&self) -> u64 {
        let first = self.pieces.front().map(|(start, _)| *start);
        first.unwrap_or_else(|| self.tail_start())
    }

    fn tail_start(&self) -> u64 {
        self.end - self.tail.len() as u64
    }

    fn push(&mut self, payload: &[u8]) {
        self.tail.extend_from_slice(payload);
        self.end += payload.len() as u64;
        if self.tail.len() >= PIECE {
            self.seal();
        }
        if let Some(window) = self.window {
            let lost = |piece: &Piece| end_of(piece) + window < self.end;
            let count = self.pieces.iter().take_while(|piece| lost(piece)).count();
            self.pieces.drain(..count);
        }
    }

    /// Makes a piece of what has come since the last.
    fn seal(&mut self) {
        if !self.tail.is_empty() {
            let start = self.tail_start();
            let tail = std::mem::take(&mut self.tail).into_boxed_slice();
            self.pieces.push_back((start, tail.into()));
        }
    }

    /// What is there from `range.start` on.
    fn get(&self, range: &Range<u64>) -> Option<Bytes> {
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

impl Reader {
    /// What is at the beginning of a range; `None` where nothing comes any more.
    pub fn poll(
        &self,
        range: &Range<u64>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Broken>> {
        match self.body.whole.get() {
            Some(whole) => Poll::Ready(Ok(whole.get(range))),
            None => self.poll_coming(range, cx),
        }
    }

    fn poll_coming(
        &self,
        range: &Range<u64>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Broken>> {
        let mut state = self.body.state();
        let Some(coming) = &mut *state else {
            // It has become whole meanwhile.
            let whole = self.body.whole.get();
            return Poll::Ready(Ok(whole.and_then(|whole| whole.get(range))));
        };
        if coming.start() > range.start {
            return Poll::Ready(Err(Broken));
        }
        match (coming.get(range), coming.over) {
            (Some(bytes), _) => Poll::Ready(Ok(Some(bytes))),
            (None, Some(over)) => Poll::Ready(over.map(|()| None)),
            (None, None) => {
                if !coming
                    .waiting
                    .iter()
                    .any(|known| known.will_wake(cx.waker()))
                {
                    coming.waiting.push(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(coming) = &mut *self.body.state() {
            coming.readers = coming.readers.saturating_sub(1);
        }
    }
}

impl Whole {
    /// What is there from `range.start` on.
    fn get(&self, range: &Range<u64>) -> Option<Bytes> {
        let index = self
            .pieces
            .partition_point(|piece| end_of(piece) <= range.start);
        part(self.pieces.get(index)?, range)
    }
}

fn end_of((start, bytes): &Piece) -> u64 {
    start + bytes.len() as u64
}

/// Where a range lies in a piece.
fn within(piece: &Piece, range: &Range<u64>) -> Option<Range<usize>> {
    let from = range.start.max(piece.0) - piece.0;
    let to = range.end.min(end_of(piece)).saturating_sub(piece.0);
    Some(usize::try_from(from).ok()?..usize::try_from(to).ok()?).filter(|part| !part.is_empty())
}

fn cut<'a>(piece: &'a Piece, range: &Range<u64>) -> Option<&'a [u8]> {
    piece.1.get(within(piece, range)?)
}

fn part(piece: &Piece, range: &Range<u64>) -> Option<Bytes> {
    within(piece, range).map(|within| piece.1.slice(within))
}
