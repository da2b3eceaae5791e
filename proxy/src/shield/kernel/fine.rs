//! The ranges that class words cannot hold. Each family has two tries, of which the kernel program reads those that the configuration
//! names. A new world of ranges is written into the others, which then take over for all packets at once; what was in use is emptied
//! when nobody reads it any more. So two worlds never have to fit into one trie.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use openclaw_common::abi::{Config, Entry, Prefix4, Prefix6, flags};

use super::{KernelError, Table};

/// Both tries of both families, those in use for the first configuration before the spare ones.
#[derive(Debug)]
pub(super) struct Fine {
    pub(super) v4: [Table<Prefix4, Entry>; 2],
    pub(super) v6: [Table<Prefix6, Entry>; 2],
    /// Whether the spare ones are in use. Another process may have changed that; whoever reads the configuration learns it.
    pub(super) is_spare: AtomicBool,
}

impl Fine {
    /// Learns from the configuration in the kernel.
    pub(super) fn follow(&self, config: &Config) {
        let is_spare = config.flags & flags::SPARE != 0;
        self.is_spare.store(is_spare, Relaxed);
    }

    pub(super) fn used4(&self) -> &Table<Prefix4, Entry> {
        pick(&self.v4, self.is_spare.load(Relaxed))
    }

    pub(super) fn used6(&self) -> &Table<Prefix6, Entry> {
        pick(&self.v6, self.is_spare.load(Relaxed))
    }

    /// Writes what is to take over.
    pub(super) fn fill(
        &self,
        v4: &[(Prefix4, Entry)],
        v6: &[(Prefix6, Entry)],
    ) -> Result<(), KernelError> {
        let is_spare = !self.is_spare.load(Relaxed);
        // A process that died over it may have left something.
        self.clear()?;
        pick(&self.v4, is_spare).insert_many(v4)?;
        pick(&self.v6, is_spare).insert_many(v6)
    }

    /// Empties what is not in use.
    pub(super) fn clear(&self) -> Result<(), KernelError> {
        let is_spare = !self.is_spare.load(Relaxed);
        pick(&self.v4, is_spare).clear()?;
        pick(&self.v6, is_spare).clear()
    }
}

fn pick<T>([usual, spare]: &[T; 2], is_spare: bool) -> &T {
    if is_spare { spare } else { usual }
}
