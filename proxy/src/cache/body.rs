//! A payload from its first byte to its last: one brings it, and whoever wants it reads what is there, each at a pace of its own.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::Reader;
use super::coming::{Coming, Piece, SHORT_PIECE, Whole, cut, end_of};
use super::disk::Source;

/// A payload. Shared by what is stored before and after its origin has confirmed it.
#[derive(Debug)]
pub struct Body {
    /// All of it, once it is here; read without a lock.
    pub(super) whole: OnceLock<Whole>,
    /// Nothing once it is whole.
    coming: Mutex<Option<Box<Coming>>>,
    declared: Option<u64>,
    /// The file on the disk that has it, or will have it.
    file: OnceLock<u64>,
}

/// The payload came to no end, or its beginning is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// What became of payload that has come.
#[derive(Debug, Default)]
pub struct Pushed {
    /// It is stored, or somebody reads it.
    pub is_wanted: bool,
    /// A piece that is whole now.
    pub(super) piece: Option<Bytes>,
    /// Bytes that are here.
    pub(super) held: u64,
}

impl Body {
    /// One that is to come, as long as its head says.
    pub fn coming(declared: Option<u64>) -> Self {
        Self {
            whole: OnceLock::new(),
            coming: Mutex::new(Some(Box::default())),
            declared,
            file: OnceLock::new(),
        }
    }

    /// One that is stored nowhere, for a single reader, of whom it is not further ahead than that.
    pub fn paced(declared: u64, window: u64) -> Self {
        let coming = Coming {
            window: Some(window),
            paced: Some(0),
            ..Coming::default()
        };
        Self {
            whole: OnceLock::new(),
            coming: Mutex::new(Some(Box::new(coming))),
            declared: Some(declared),
            file: OnceLock::new(),
        }
    }

    /// One that is here, out of that file.
    pub(super) fn here(bytes: Bytes, file: u64) -> Self {
        let length = bytes.len() as u64;
        let pieces = (length > 0).then_some((0, bytes));
        Self {
            whole: OnceLock::from(Whole {
                pieces: pieces.into_iter().collect(),
                length,
            }),
            coming: Mutex::default(),
            declared: Some(length),
            file: OnceLock::from(file),
        }
    }

    /// One that lies on the disk, all of it.
    pub(super) fn lying(source: Source, length: u64) -> Self {
        let file = OnceLock::from(source.file());
        let coming = Coming {
            end: length,
            source: Some(source),
            lying: length,
            is_spilt: true,
            over: Some(Ok(())),
            ..Coming::default()
        };
        Self {
            whole: OnceLock::new(),
            coming: Mutex::new(Some(Box::new(coming))),
            declared: Some(length),
            file,
        }
    }

    /// How long it is, as far as that is known.
    pub fn length(&self) -> Option<u64> {
        let whole = self.whole.get().map(|whole| whole.length);
        whole.or(self.declared)
    }

    /// The file on the disk that has it, or will have it.
    pub(super) fn file(&self) -> Option<u64> {
        self.file.get().copied()
    }

    /// Whether another one is the same, be it that both were read from one file.
    pub(super) fn is(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        Arc::ptr_eq(self, other) || (self.file().is_some() && self.file() == other.file())
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
            if !coming.reaches(from) {
                return None;
            }
            coming.readers += 1;
        }
        Some(Reader::new(Arc::clone(self)))
    }

    /// Whether somebody reads it while it comes.
    pub fn is_read(&self) -> bool {
        let state = self.state();
        state.as_ref().is_some_and(|coming| coming.readers > 0)
    }

    /// Takes what has come.
    pub fn push(&self, payload: &[u8]) -> Pushed {
        let mut pushed = Pushed::default();
        self.change(|coming| {
            pushed.is_wanted = coming.window.is_none() || coming.readers > 0;
            if pushed.is_wanted {
                pushed.piece = coming.push(payload);
                pushed.held = coming.end - coming.start();
            }
        });
        pushed
    }

    /// What has come since the last whole piece is one, too.
    pub(super) fn seal(&self) -> Option<Bytes> {
        let mut piece = None;
        self.change(|coming| piece = coming.seal());
        piece
    }

    /// Bytes that are here; the task is woken when that changes.
    pub(super) fn poll_held(&self, cx: &mut Context<'_>) -> u64 {
        let mut state = self.state();
        let Some(coming) = &mut *state else { return 0 };
        coming.wake_later(cx);
        coming.end - coming.start()
    }

    /// The same as [`Body::seal`], unless that is too little to be written by itself.
    pub(super) fn seal_short(&self) -> Option<Bytes> {
        let mut state = self.state();
        let coming = state.as_mut()?;
        (coming.tail.len() >= SHORT_PIECE)
            .then(|| coming.seal())
            .flatten()
    }

    /// Ready once the one who reads is near enough for more to come; `Err` if there is nobody.
    pub fn poll_pace(&self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let mut state = self.state();
        let Some(coming) = state.as_mut().filter(|coming| coming.readers > 0) else {
            return Poll::Ready(Err(Broken));
        };
        let ahead = coming.paced.map_or(0, |read| coming.end - read);
        if coming.window.is_none_or(|window| ahead < window) {
            return Poll::Ready(Ok(()));
        }
        coming.wake_later(cx);
        Poll::Pending
    }

    /// Who reads it is there now, and wants what is behind.
    pub(super) fn read_until(&self, at: u64) {
        let is_news = |coming: &&mut Coming| coming.paced.is_some_and(|read| read != at);
        if self.state().as_deref_mut().as_ref().is_some_and(is_news) {
            self.change(|coming| coming.paced = Some(at));
        }
    }

    /// One fewer reads it.
    pub(super) fn leave(&self) {
        self.change(|coming| coming.readers = coming.readers.saturating_sub(1));
    }

    /// It is written to the disk as well.
    pub(super) fn lie_in(&self, source: Source) {
        // It is written once.
        let _ = self.file.set(source.file());
        self.change(|coming| coming.source = Some(source));
    }

    /// So much of it lies there now.
    pub(super) fn lies_until(&self, end: u64) {
        self.change(|coming| {
            coming.lying = end;
            coming.spill();
        });
    }

    /// It is too large to be here as well as on the disk.
    pub(super) fn spill(&self) {
        self.change(|coming| {
            coming.is_spilt = true;
            coming.spill();
        });
    }

    /// It is not stored any more: of what has come so much is kept for those who are slower.
    pub(super) fn let_go(&self, window: u64) {
        self.change(|coming| coming.window = Some(window));
    }

    /// That was all; false if it is not as much as its head has said, or is not stored.
    pub fn finish(&self) -> bool {
        let mut whole = None;
        let mut is_stored = false;
        self.change(|coming| {
            coming.seal();
            let is_all = self.declared.is_none_or(|declared| declared == coming.end);
            coming.over = Some(if is_all { Ok(()) } else { Err(Broken) });
            is_stored = is_all && coming.window.is_none();
            if is_stored && !coming.is_spilt {
                whole = Some(Whole {
                    // Shared with the readers that are under way.
                    pieces: coming.pieces.iter().cloned().collect(),
                    length: coming.end,
                });
            }
        });
        if let Some(whole) = whole {
            // It comes to its end once.
            let _ = self.whole.set(whole);
            *self.state() = None;
        }
        is_stored
    }

    /// Whether all of it is here.
    pub(super) fn is_whole(&self) -> bool {
        self.whole.get().is_some()
    }

    /// It comes to no end, unless it has.
    pub fn break_off(&self) {
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

    pub(super) fn state(&self) -> MutexGuard<'_, Option<Box<Coming>>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
