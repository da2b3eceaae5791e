//! The bans of IPv4 addresses and of IPv6 /64s: buckets mapped into memory, so that a ban is two stores and no system call.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher as _,
    os::fd::OwnedFd,
    sync::{Mutex, MutexGuard, PoisonError},
};

use openclaw_common::ban::{FOREVER, FREE, GIVEN_UP, Keys};

use super::{
    KernelError,
    buckets::{self, Ledger},
    memory::{Memory, Shared},
    rows::{Ban, Cell, Row, Row4, Row6},
};

/// The bans of a family. Threads take turns; of processes, one at a time may write.
#[derive(Debug)]
pub struct Bans<R> {
    memory: Memory<R>,
    map: Named,
    ledger: Mutex<Ledger>,
}

/// Bans of IPv4 addresses.
pub type Ban4 = Bans<Row4>;
/// Bans of IPv6 /64s.
pub type Ban6 = Bans<Row6>;

/// A map as [`openclaw_common::maps`] describes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    pub(super) name: &'static str,
    pub(super) buckets: u32,
    pub(super) entries: u32,
}

impl<R: Row> Bans<R> {
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

    /// The ban of a source.
    pub fn get(&self, key: R::Key) -> Option<Ban> {
        self.ledger().get(self.rows(), R::source(key))
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
        if self.ledger().put(self.rows(), R::source(key), until_ns) {
            Ok(())
        } else {
            Err(KernelError::Full {
                map: self.map.name,
                capacity: self.map.entries,
            })
        }
    }

    /// Whether there was such a ban.
    pub fn remove(&self, key: R::Key) -> bool {
        self.ledger().remove(self.rows(), R::source(key))
    }

    /// Every ban.
    pub fn entries(&self) -> Vec<(R::Key, Ban)> {
        let _still = self.ledger();
        buckets::bans(self.rows())
            .map(|ban| (R::key(ban.source), ban))
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
    let random = RandomState::new();
    let [first, second] = [0, 1].map(|number| {
        let Some(cell) = header.iter().flat_map(Cell::all).nth(number) else {
            return 1;
        };
        match cell.load().until_ns {
            FREE => {
                let key = random.hash_one(number) | 1;
                cell.end(key);
                key
            }
            there => there,
        }
    });
    Keys { first, second }
}
