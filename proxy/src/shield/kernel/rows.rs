//! Rows of the tables of buckets: [`openclaw_common::ban`] and [`openclaw_common::words`] as user space writes them, which sees the
//! slots of all alike.

use std::sync::atomic::{
    AtomicU16, AtomicU32, AtomicU64,
    Ordering::{Relaxed, Release},
};

use openclaw_common::{
    ban::{Bucket, Bucket4, Bucket6, GIVEN_UP, Keys, SLOTS4, SLOTS6, Slot4},
    words::{self, BucketOfWords},
};

/// What is kept of a source, or room for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// [`openclaw_common::ban::FREE`], [`GIVEN_UP`], or what is kept: the end of a ban, or a [`words::value`].
    pub value: u64,
    /// See [`Bucket::find`].
    pub source: u64,
    /// Packets that it decided, where they are counted.
    pub hits: u32,
}

impl Slot {
    /// Whether something is kept in it.
    pub const fn is_taken(&self) -> bool {
        self.value > GIVEN_UP
    }
}

/// A bucket of atomics. A slot that there is not takes nothing and holds nothing.
pub trait Row: Sized {
    /// What it is at a moment.
    type Bucket: Bucket;
    /// A source in network byte order.
    type Key: Copy;
    const SLOTS: usize;

    fn source(key: Self::Key) -> u64;
    fn key(source: u64) -> Self::Key;
    fn load(&self, slot: usize) -> Slot;
    /// Source first, see [`openclaw_common::ban`].
    fn store(&self, slot: usize, kept: Slot);
    fn set(&self, slot: usize, value: u64);
    fn bucket(&self) -> Self::Bucket;

    /// Makes this, the row behind the last one, hold what [`Bucket::keys`] reads.
    fn set_keys(&self, keys: Keys) {
        self.set(0, keys.first);
        self.set(1, keys.second);
    }
}

/// The place of a slot.
#[derive(Debug)]
pub(in crate::shield) struct Cell<'a, R> {
    pub(super) row: &'a R,
    pub(super) slot: usize,
}

impl<'a, R: Row> Cell<'a, R> {
    pub(in crate::shield) fn all(row: &'a R) -> impl Iterator<Item = Self> {
        (0..R::SLOTS).map(move |slot| Cell { row, slot })
    }

    pub(in crate::shield) fn load(&self) -> Slot {
        self.row.load(self.slot)
    }

    pub(in crate::shield) fn store(&self, kept: Slot) {
        self.row.store(self.slot, kept);
    }

    pub(super) fn set(&self, value: u64) {
        self.row.set(self.slot, value);
    }
}

#[repr(C)]
#[derive(Debug, Default)]
struct Cell4 {
    until_ns: AtomicU64,
    /// The address below the hits: the kernel program is a little-endian one.
    tag: AtomicU64,
}

/// [`Bucket4`].
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Row4([Cell4; SLOTS4]);

impl Row for Row4 {
    type Bucket = Bucket4;
    type Key = [u8; 4];
    const SLOTS: usize = SLOTS4;

    fn source(key: [u8; 4]) -> u64 {
        u32::from_be_bytes(key).into()
    }

    fn key(source: u64) -> [u8; 4] {
        (source as u32).to_be_bytes()
    }

    fn load(&self, slot: usize) -> Slot {
        self.0.get(slot).map_or_else(Slot::default, |cell| {
            let value = cell.until_ns.load(Relaxed);
            let tag = cell.tag.load(Relaxed);
            Slot {
                value,
                source: tag & u64::from(u32::MAX),
                hits: (tag >> 32) as u32,
            }
        })
    }

    fn store(&self, slot: usize, kept: Slot) {
        if let Some(cell) = self.0.get(slot) {
            let tag = u64::from(kept.hits) << 32 | kept.source & u64::from(u32::MAX);
            cell.tag.store(tag, Release);
            cell.until_ns.store(kept.value, Release);
        }
    }

    fn set(&self, slot: usize, value: u64) {
        if let Some(cell) = self.0.get(slot) {
            cell.until_ns.store(value, Release);
        }
    }

    fn bucket(&self) -> Bucket4 {
        let mut slots = [Slot4::default(); SLOTS4];
        for (slot, into) in slots.iter_mut().enumerate() {
            let kept = self.load(slot);
            *into = Slot4 {
                until_ns: kept.value,
                address: kept.source as u32,
                hits: kept.hits,
            };
        }
        Bucket4(slots)
    }
}

/// [`Bucket6`].
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Row6 {
    until_ns: [AtomicU64; SLOTS6],
    subnet: [AtomicU64; SLOTS6],
    hits: [AtomicU32; SLOTS6],
    reserved: AtomicU32,
}

impl Row6 {
    fn slot(&self, slot: usize) -> Option<(&AtomicU64, &AtomicU64, &AtomicU32)> {
        let until_ns = self.until_ns.get(slot)?;
        Some((until_ns, self.subnet.get(slot)?, self.hits.get(slot)?))
    }
}

impl Row for Row6 {
    type Bucket = Bucket6;
    type Key = [u8; 8];
    const SLOTS: usize = SLOTS6;

    fn source(key: [u8; 8]) -> u64 {
        u64::from_be_bytes(key)
    }

    fn key(source: u64) -> [u8; 8] {
        source.to_be_bytes()
    }

    fn load(&self, slot: usize) -> Slot {
        let slot = self.slot(slot);
        slot.map_or_else(Slot::default, |(until_ns, subnet, hits)| Slot {
            value: until_ns.load(Relaxed),
            source: subnet.load(Relaxed),
            hits: hits.load(Relaxed),
        })
    }

    fn store(&self, slot: usize, kept: Slot) {
        if let Some((until_ns, subnet, hits)) = self.slot(slot) {
            subnet.store(kept.source, Release);
            hits.store(kept.hits, Release);
            until_ns.store(kept.value, Release);
        }
    }

    fn set(&self, slot: usize, value: u64) {
        if let Some((until_ns, ..)) = self.slot(slot) {
            until_ns.store(value, Release);
        }
    }

    fn bucket(&self) -> Bucket6 {
        let mut bucket = Bucket6 {
            reserved: self.reserved.load(Relaxed),
            ..Bucket6::default()
        };
        let slots = bucket.until_ns.iter_mut().zip(&mut bucket.subnet);
        for (slot, ((until_ns, subnet), hits)) in slots.zip(&mut bucket.hits).enumerate() {
            let kept = self.load(slot);
            (*until_ns, *subnet, *hits) = (kept.value, kept.source, kept.hits);
        }
        bucket
    }
}

/// [`BucketOfWords`].
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct RowOfWords {
    key: [AtomicU32; words::SLOTS],
    word: [AtomicU16; words::SLOTS],
    reserved: AtomicU32,
}

impl RowOfWords {
    fn slot(&self, slot: usize) -> Option<(&AtomicU32, &AtomicU16)> {
        Some((self.key.get(slot)?, self.word.get(slot)?))
    }
}

impl Row for RowOfWords {
    type Bucket = BucketOfWords;
    /// See [`openclaw_common::abi::class::key6`].
    type Key = [u8; 4];
    const SLOTS: usize = words::SLOTS;

    fn source(key: [u8; 4]) -> u64 {
        u32::from_be_bytes(key).into()
    }

    fn key(source: u64) -> [u8; 4] {
        (source as u32).to_be_bytes()
    }

    fn load(&self, slot: usize) -> Slot {
        let slot = self.slot(slot);
        slot.map_or_else(Slot::default, |(key, word)| Slot {
            value: words::value(word.load(Relaxed)),
            source: key.load(Relaxed).into(),
            hits: 0,
        })
    }

    fn store(&self, slot: usize, kept: Slot) {
        if let Some((key, word)) = self.slot(slot) {
            key.store(kept.source as u32, Release);
            word.store(words::word(kept.value), Release);
        }
    }

    fn set(&self, slot: usize, value: u64) {
        if let Some((_, word)) = self.slot(slot) {
            word.store(words::word(value), Release);
        }
    }

    fn bucket(&self) -> BucketOfWords {
        BucketOfWords {
            key: self.key.each_ref().map(|key| key.load(Relaxed)),
            word: self.word.each_ref().map(|word| word.load(Relaxed)),
            reserved: self.reserved.load(Relaxed),
        }
    }

    fn set_keys(&self, keys: Keys) {
        let halves = [keys.first, keys.first >> 32, keys.second, keys.second >> 32];
        for (key, half) in self.key.iter().zip(halves) {
            key.store(half as u32, Release);
        }
    }
}
