//! How much memory stored responses take: those that are whole, and those that come.

use std::sync::atomic::{AtomicU64, Ordering};

use openclaw_core::caching::Refusal;

use super::Store;

/// The part of the memory that responses may take while they come. What is whole has the rest.
const FILLING_SHARE: u64 = 5;
/// A shard has to have room for a large object.
pub(super) const SHARDS: u64 = 4;
/// The part of the memory that one response may take where there is a disk for larger ones.
const BESIDE_A_DISK: u64 = 32;

/// The memory that there is.
#[derive(Debug)]
pub(super) struct Room {
    /// Bytes in all.
    memory: AtomicU64,
    /// Bytes of responses that are coming.
    filling: AtomicU64,
}

/// How full the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fullness {
    pub uris: usize,
    pub bytes: u64,
    pub capacity: u64,
    pub evicted: u64,
}

/// What those take that are whole.
pub(super) const fn of_stored(memory: u64) -> u64 {
    memory - of_filling(memory)
}

const fn of_filling(memory: u64) -> u64 {
    memory / FILLING_SHARE
}

impl Room {
    pub(super) const fn new(memory: u64) -> Self {
        Self {
            memory: AtomicU64::new(memory),
            filling: AtomicU64::new(0),
        }
    }

    fn memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }
}

impl Store {
    /// Makes room, or gives it back.
    pub fn resize(&self, memory: u64) {
        if self.room.memory.swap(memory, Ordering::Relaxed) != memory {
            self.pages.set_capacity(of_stored(memory));
        }
    }

    pub fn fullness(&self) -> Fullness {
        Fullness {
            uris: self.pages.len(),
            bytes: self.pages.weight(),
            capacity: self.room.memory(),
            evicted: self.evicted.load(Ordering::Relaxed),
        }
    }

    /// The largest payload that memory has.
    pub(super) fn most_in_memory(&self) -> u64 {
        if self.disk().is_some() {
            self.room.memory() / BESIDE_A_DISK
        } else {
            of_stored(self.room.memory()) / SHARDS
        }
    }

    /// Why a payload of that length cannot be stored now.
    pub fn refuses(&self, length: u64) -> Option<Refusal> {
        let disk = self.disk();
        if disk.as_ref().is_some_and(|disk| length > disk.most()) {
            return Some(Refusal::TooLarge);
        }
        if length <= self.most_in_memory() {
            return None;
        }
        match disk {
            Some(disk) if disk.takes() => None,
            Some(_) => Some(Refusal::Disk),
            None => Some(Refusal::TooLarge),
        }
    }

    /// Whether what is coming takes more than half of its room: what may wait for its end elsewhere does so now, as others can no
    /// longer take theirs from one that waits for its origin.
    pub(super) fn is_crowded(&self) -> bool {
        let taken = self.room.filling.load(Ordering::Relaxed);
        taken > of_filling(self.room.memory()) / 2
    }

    /// Takes room for bytes of a response that is coming; false if too much is on its way.
    pub(super) fn reserve(&self, bytes: u64) -> bool {
        let before = self.room.filling.fetch_add(bytes, Ordering::Relaxed);
        let fits = before + bytes <= of_filling(self.room.memory());
        if !fits {
            self.release(bytes);
        }
        fits
    }

    /// Gives room back that was taken.
    pub(super) fn release(&self, bytes: u64) {
        self.room.filling.fetch_sub(bytes, Ordering::Relaxed);
    }
}
