//! A payload in its file: parts of one length, each with its checksum behind it. What is read is checked before anybody gets it, so
//! that a disk that has lost or mixed something up costs a response, and never sends a wrong one.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use crc32fast::Hasher;

/// Bytes of payload that have one checksum; so much is read at once, also where less is wanted.
const PART: u64 = 128 * 1024;
const SUM: usize = size_of::<u32>();

/// The bytes that a payload takes with its checksums.
pub(super) const fn stored(length: u64) -> u64 {
    length + length.div_ceil(PART) * SUM as u64
}

/// Where the parts of a payload are.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    file: Arc<File>,
    /// Of the file.
    id: u64,
    /// Where the first begins.
    room: u64,
    /// Touched by the thread of the key alone.
    extent: Arc<Mutex<Extent>>,
}

#[derive(Debug)]
struct Extent {
    /// Bytes of the payload.
    length: u64,
    /// While it is written: of the last part, which has no checksum in the file yet.
    open: Option<Hasher>,
}

impl Parts {
    /// Of a payload that is whole.
    pub(super) fn of(file: File, id: u64, room: u64, length: u64) -> Self {
        let extent = Extent { length, open: None };
        Self {
            file: Arc::new(file),
            id,
            room,
            extent: Arc::new(Mutex::new(extent)),
        }
    }

    /// Of one that is to be written.
    pub(super) fn begin(file: File, id: u64, room: u64) -> Self {
        let parts = Self::of(file, id, room, 0);
        parts.extent().open = Some(parts.sum(0));
        parts
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn length(&self) -> u64 {
        self.extent().length
    }

    /// What is at the beginning of a range of the payload, up to the end of its part.
    ///
    /// # Errors
    /// It cannot be read, or is not what was written.
    pub(super) fn read(&self, range: &Range<u64>) -> io::Result<Bytes> {
        let (part, from) = (range.start / PART, range.start % PART);
        let begin = part * PART;
        let extent = self.extent();
        let length = PART.min(extent.length.saturating_sub(begin));
        let open = extent.open.as_ref().filter(|_| length < PART);
        let open = open.map(|sum| sum.clone().finalize());
        drop(extent);
        let to = length.min(range.end.saturating_sub(begin));
        if from >= to {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // No more than PART.
        let (length, from, to) = (length as usize, from as usize, to as usize);
        let behind = if open.is_some() { 0 } else { SUM };
        let mut bytes = vec![0; length + behind];
        self.file.read_exact_at(&mut bytes, self.place(part))?;
        let stored = bytes.split_off(length);
        let mut found = self.sum(part);
        found.update(&bytes);
        let found = found.finalize();
        if open.map_or(stored != found.to_le_bytes(), |open| open != found) {
            let damaged = format!("part {part} is not what was written");
            return Err(io::Error::new(io::ErrorKind::InvalidData, damaged));
        }
        Ok(Bytes::from(bytes).slice(from..to))
    }

    /// All of it.
    ///
    /// # Errors
    /// As of [`Parts::read`].
    pub(super) fn all(&self) -> io::Result<Bytes> {
        let length = self.length();
        if length <= PART {
            return match length {
                0 => Ok(Bytes::new()),
                _ => self.read(&(0..length)),
            };
        }
        let mut whole = Vec::new();
        while (whole.len() as u64) < length {
            let next = whole.len() as u64..length;
            whole.extend_from_slice(&self.read(&next)?);
        }
        Ok(whole.into())
    }

    /// Writes what comes next.
    pub(super) fn write(&self, mut piece: &[u8]) -> io::Result<()> {
        let mut extent = self.extent();
        while !piece.is_empty() {
            let (part, within) = (extent.length / PART, extent.length % PART);
            let room = piece.len().min((PART - within) as usize);
            let (now, later) = piece.split_at_checked(room).unwrap_or_default();
            self.file.write_all_at(now, self.place(part) + within)?;
            let open = extent.open.get_or_insert_with(|| self.sum(part));
            open.update(now);
            extent.length += now.len() as u64;
            if extent.length.is_multiple_of(PART) {
                self.close(&mut extent)?;
                extent.open = Some(self.sum(part + 1));
            }
            piece = later;
        }
        Ok(())
    }

    /// That was all of it. How much it was.
    pub(super) fn finish(&self) -> io::Result<u64> {
        let mut extent = self.extent();
        if !extent.length.is_multiple_of(PART) {
            self.close(&mut extent)?;
        }
        extent.open = None;
        Ok(extent.length)
    }

    /// Writes the checksum of the last part behind it.
    fn close(&self, extent: &mut Extent) -> io::Result<()> {
        let Some(sum) = extent.open.take() else {
            return Ok(());
        };
        let place = self.room + stored(extent.length) - SUM as u64;
        self.file.write_all_at(&sum.finalize().to_le_bytes(), place)
    }

    const fn place(&self, part: u64) -> u64 {
        self.room + part * (PART + SUM as u64)
    }

    /// A checksum in which nothing is yet: the same bytes have another one in another file, and elsewhere in this.
    fn sum(&self, part: u64) -> Hasher {
        let mut sum = Hasher::new();
        sum.update(&self.id.to_le_bytes());
        sum.update(&part.to_le_bytes());
        sum
    }

    fn extent(&self) -> MutexGuard<'_, Extent> {
        self.extent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
