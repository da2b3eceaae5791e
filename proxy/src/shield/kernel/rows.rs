//! Rows of the tables of bans: [`openclaw_common::ban`] as user space writes it, which sees bans of both families alike.

use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Relaxed, Release},
};

use openclaw_common::ban::{self, Bucket, Bucket4, Bucket6, GIVEN_UP, SLOTS4, SLOTS6, Slot4};

/// A ban, or room for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ban {
    /// See [`Slot4::until_ns`].
    pub until_ns: u64,
    /// See [`Bucket::find`].
    pub source: u64,
    /// Packets that it decided.
    pub hits: u32,
}

impl Ban {
    /// Whether there is a ban in it.
    pub const fn is_taken(&self) -> bool {
        self.until_ns > GIVEN_UP
    }

    /// Its end, 0 for none.
    pub const fn end(&self) -> u64 {
        ban::end(self.until_ns)
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
    fn load(&self, slot: usize) -> Ban;
    /// Source first, see [`openclaw_common::ban`].
    fn store(&self, slot: usize, ban: Ban);
    fn end(&self, slot: usize, until_ns: u64);
    fn bucket(&self) -> Self::Bucket;
}

/// A slot of a row.
#[derive(Debug)]
pub(in crate::shield) struct Cell<'a, R> {
    pub(super) row: &'a R,
    pub(super) slot: usize,
}

impl<'a, R: Row> Cell<'a, R> {
    pub(in crate::shield) fn all(row: &'a R) -> impl Iterator<Item = Self> {
        (0..R::SLOTS).map(move |slot| Cell { row, slot })
    }

    pub(in crate::shield) fn load(&self) -> Ban {
        self.row.load(self.slot)
    }

    pub(in crate::shield) fn store(&self, ban: Ban) {
        self.row.store(self.slot, ban);
    }

    pub(super) fn end(&self, until_ns: u64) {
        self.row.end(self.slot, until_ns);
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

    fn load(&self, slot: usize) -> Ban {
        self.0.get(slot).map_or_else(Ban::default, |cell| {
            let until_ns = cell.until_ns.load(Relaxed);
            let tag = cell.tag.load(Relaxed);
            Ban {
                until_ns,
                source: tag & u64::from(u32::MAX),
                hits: (tag >> 32) as u32,
            }
        })
    }

    fn store(&self, slot: usize, ban: Ban) {
        if let Some(cell) = self.0.get(slot) {
            let tag = u64::from(ban.hits) << 32 | ban.source & u64::from(u32::MAX);
            cell.tag.store(tag, Release);
            cell.until_ns.store(ban.until_ns, Release);
        }
    }

    fn end(&self, slot: usize, until_ns: u64) {
        if let Some(cell) = self.0.get(slot) {
            cell.until_ns.store(until_ns, Release);
        }
    }

    fn bucket(&self) -> Bucket4 {
        let mut slots = [Slot4::default(); SLOTS4];
        for (slot, into) in slots.iter_mut().enumerate() {
            let ban = self.load(slot);
            *into = Slot4 {
                until_ns: ban.until_ns,
                address: ban.source as u32,
                hits: ban.hits,
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

    fn load(&self, slot: usize) -> Ban {
        let slot = self.slot(slot);
        slot.map_or_else(Ban::default, |(until_ns, subnet, hits)| Ban {
            until_ns: until_ns.load(Relaxed),
            source: subnet.load(Relaxed),
            hits: hits.load(Relaxed),
        })
    }

    fn store(&self, slot: usize, ban: Ban) {
        if let Some((until_ns, subnet, hits)) = self.slot(slot) {
            subnet.store(ban.source, Release);
            hits.store(ban.hits, Release);
            until_ns.store(ban.until_ns, Release);
        }
    }

    fn end(&self, slot: usize, until_ns: u64) {
        if let Some((word, ..)) = self.slot(slot) {
            word.store(until_ns, Release);
        }
    }

    fn bucket(&self) -> Bucket6 {
        let mut bucket = Bucket6 {
            reserved: self.reserved.load(Relaxed),
            ..Bucket6::default()
        };
        let slots = bucket.until_ns.iter_mut().zip(&mut bucket.subnet);
        for (slot, ((until_ns, subnet), hits)) in slots.zip(&mut bucket.hits).enumerate() {
            let ban = self.load(slot);
            (*until_ns, *subnet, *hits) = (ban.until_ns, ban.source, ban.hits);
        }
        bucket
    }
}
