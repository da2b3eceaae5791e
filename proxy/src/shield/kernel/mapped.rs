//! The tables of buckets: bans of IPv4 addresses and of IPv6 /64s, and class words of IPv6 /32s. They are mapped into memory, so that a
//! change is two stores and no system call.

use std::{
    collections::HashSet,
    collections::hash_map::RandomState,
    hash::BuildHasher as _,
    os::fd::OwnedFd,
    sync::{Mutex, MutexGuard, PoisonError},
};

use openclaw_common::{
    ban::{self, Bucket as _, FOREVER, FREE, GIVEN_UP, Keys},
    words,
};

use super::{
    KernelError,
    buckets::{self, Ledger},
    memory::{Memory, Shared},
    rows::{Row, Row4, Row6, RowOfWords, Slot},
};

/// A table. Threads take turns; of processes, one at a time may write.
#[derive(Debug)]
pub struct Mapped<R> {
    memory: Memory<R>,
    map: Named,
    ledger: Mutex<Ledger>,
}

/// Bans of IPv4 addresses.
pub type Ban4 = Mapped<Row4>;
/// Bans of IPv6 /64s.
pub type Ban6 = Mapped<Row6>;
/// Class words of IPv6 /32s.
pub type Class6 = Mapped<RowOfWords>;

/// A map as [`openclaw_common::maps`] describes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    pub(super) name: &'static str,
    pub(super) buckets: u32,
    pub(super) entries: u32,
}

/// A ban, read out of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban {
    until_ns: u64,
    /// Packets that it decided.
    pub hits: u32,
}

impl Ban {
    /// Its end on the monotonic clock in nanoseconds, 0 for none.
    pub const fn end(&self) -> u64 {
        ban::end(self.until_ns)
    }
}

impl From<Slot> for Ban {
    fn from(slot: Slot) -> Self {
        Self {
            until_ns: slot.value,
            hits: slot.hits,
        }
    }
}

/// Rows of bans.
pub trait Bans: Row {}

impl Bans for Row4 {}
impl Bans for Row6 {}

impl<R: Bans> Mapped<R> {
    /// The ban of a source.
    pub fn get(&self, key: R::Key) -> Option<Ban> {
        self.slot(key).map(Ban::from)
    }

    /// Bans a source until a moment on the monotonic clock, 0 for good, or changes that moment; the hits of a ban go on.
    ///
    /// # Errors
    ///
    /// [`KernelError::Full`].
    pub fn insert(&self, key: R::Key, until_ns: u64) -> Result<(), KernelError> {
        let until_ns = match until_ns {
            0 => FOREVER,
            until_ns => until_ns.max(GIVEN_UP + 1),
        };
        self.put(key, until_ns)
    }

    /// Every ban.
    pub fn entries(&self) -> Vec<(R::Key, Ban)> {
        let all = self.taken().into_iter();
        all.map(|(key, slot)| (key, slot.into())).collect()
    }
}

impl Class6 {
    /// The word of a /32, 0 where none is kept.
    pub fn load(&self, key: [u8; 4]) -> u16 {
        self.slot(key).map_or(0, |slot| words::word(slot.value))
    }

    /// Sets the word of a /32; 0 takes no room.
    ///
    /// # Errors
    ///
    /// [`KernelError::Full`].
    pub fn store(&self, key: [u8; 4], word: u16) -> Result<(), KernelError> {
        match words::value(word) {
            FREE => {
                self.remove(key);
                Ok(())
            }
            value => self.put(key, value),
        }
    }

    /// Adds bits to the word of a /32, whoever else writes to it.
    ///
    /// # Errors
    ///
    /// [`KernelError::Full`].
    pub fn mark(&self, key: [u8; 4], bits: u16) -> Result<(), KernelError> {
        let source = RowOfWords::source(key);
        let mut ledger = self.ledger();
        let before = ledger.get(self.rows(), source);
        let before = before.map_or(0, |slot| words::word(slot.value));
        let is_put = ledger.put(self.rows(), source, words::value(before | bits));
        drop(ledger);
        if is_put { Ok(()) } else { Err(self.full()) }
    }

    /// Makes the table hold exactly these. New ones come before old ones go, so that what is in both is never missing.
    ///
    /// # Errors
    ///
    /// [`KernelError::Full`].
    pub fn replace(&self, entries: &[([u8; 4], u16)]) -> Result<(), KernelError> {
        for (key, word) in entries {
            self.store(*key, *word)?;
        }
        let kept: HashSet<[u8; 4]> = entries.iter().map(|(key, _)| *key).collect();
        for (key, _) in self.taken() {
            if !kept.contains(&key) {
                self.remove(key);
            }
        }
        Ok(())
    }
}

impl<R: Row> Mapped<R> {
    pub(super) fn new(fd: OwnedFd, map: Named) -> Result<Self, KernelError>
    where
        R: Shared,
    {
        let memory = Memory::new(fd, map.name, map.buckets as usize + 1)?;
        let (rows, header) = split(&memory, map);
        let keys = keys(header);
        let ledger = Mutex::new(Ledger::read(rows, keys, map.entries));
        Ok(Self {
            memory,
            map,
            ledger,
        })
    }

    /// Whether anything was kept of a source, which is forgotten.
    pub fn remove(&self, key: R::Key) -> bool {
        self.ledger().remove(self.rows(), R::source(key))
    }

    fn slot(&self, key: R::Key) -> Option<Slot> {
        self.ledger().get(self.rows(), R::source(key))
    }

    fn put(&self, key: R::Key, value: u64) -> Result<(), KernelError> {
        if self.ledger().put(self.rows(), R::source(key), value) {
            Ok(())
        } else {
            Err(self.full())
        }
    }

    fn full(&self) -> KernelError {
        KernelError::Full {
            map: self.map.name,
            capacity: self.map.entries,
        }
    }

    fn taken(&self) -> Vec<(R::Key, Slot)> {
        let _still = self.ledger();
        buckets::taken(self.rows())
            .map(|slot| (R::key(slot.source), slot))
            .collect()
    }

    fn rows(&self) -> &[R] {
        split(&self.memory, self.map).0
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The buckets, and what stands behind them.
fn split<R>(memory: &Memory<R>, map: Named) -> (&[R], &[R]) {
    memory
        .values()
        .split_at_checked(map.buckets as usize)
        .unwrap_or_default()
}

/// The keys of a table; a new one is given some.
fn keys<R: Row>(header: &[R]) -> Keys {
    let Some(header) = header.first() else {
        return Keys {
            first: 1,
            second: 1,
        };
    };
    let random = RandomState::new();
    let there = header.bucket().keys();
    let key = |number: u32, there| match there {
        0 => random.hash_one(number) | 1,
        there => there,
    };
    let keys = Keys {
        first: key(0, there.first),
        second: key(1, there.second),
    };
    if keys != there {
        header.set_keys(keys);
    }
    keys
}
