//! The bans of IPv4 addresses: buckets mapped into memory, so that a ban is two stores and no system call.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher as _,
    os::fd::OwnedFd,
    sync::{Mutex, MutexGuard, PoisonError},
};

use openclaw_common::{
    ban::{Keys, Slot},
    maps::{BAN4, BAN4_BUCKETS, BAN4_ENTRIES},
};

use super::{
    KernelError,
    buckets::{self, Ledger, Row},
    memory::Memory,
};

/// The bans. Threads take turns; of processes, one at a time may write.
#[derive(Debug)]
pub struct Ban4 {
    memory: Memory<Row>,
    ledger: Mutex<Ledger>,
}

impl Ban4 {
    pub(super) fn new(map: OwnedFd) -> Result<Self, KernelError> {
        let memory = Memory::new(map, BAN4, BAN4_BUCKETS as usize + 1)?;
        let (rows, header) = split(&memory);
        let keys = keys(header);
        let ledger = Mutex::new(Ledger::read(rows, keys, BAN4_ENTRIES));
        Ok(Self { memory, ledger })
    }

    /// The ban of an address.
    pub fn get(&self, address: [u8; 4]) -> Option<Slot> {
        self.ledger().get(self.rows(), u32::from_be_bytes(address))
    }

    /// Bans an address until a moment on the monotonic clock, 0 for good, or changes that moment; the hits of a ban go on.
    ///
    /// # Errors
    ///
    /// [`KernelError::Full`].
    pub fn insert(&self, address: [u8; 4], until_ns: u64) -> Result<(), KernelError> {
        let until_ns = match until_ns {
            0 => Slot::FOREVER,
            until_ns => until_ns.max(Slot::GIVEN_UP + 1),
        };
        let address = u32::from_be_bytes(address);
        if self.ledger().put(self.rows(), address, until_ns) {
            Ok(())
        } else {
            Err(KernelError::Full {
                map: BAN4,
                capacity: BAN4_ENTRIES,
            })
        }
    }

    /// Whether there was such a ban.
    pub fn remove(&self, address: [u8; 4]) -> bool {
        self.ledger()
            .remove(self.rows(), u32::from_be_bytes(address))
    }

    /// Every ban.
    pub fn entries(&self) -> Vec<([u8; 4], Slot)> {
        let _still = self.ledger();
        buckets::bans(self.rows())
            .map(|slot| (slot.address.to_be_bytes(), slot))
            .collect()
    }

    fn rows(&self) -> &[Row] {
        split(&self.memory).0
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The buckets, and what stands behind them.
fn split(memory: &Memory<Row>) -> (&[Row], &[Row]) {
    memory
        .values()
        .split_at_checked(BAN4_BUCKETS as usize)
        .unwrap_or_default()
}

/// The keys of a table; a new one is given some.
fn keys(header: &[Row]) -> Keys {
    let random = RandomState::new();
    let [first, second] = [0, 1].map(|number| {
        let Some(cell) = header.iter().flatten().nth(number) else {
            return 1;
        };
        cell.until_or_set(random.hash_one(number) | 1)
    });
    Keys { first, second }
}
