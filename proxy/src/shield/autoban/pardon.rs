//! Peers whose bans an operator has taken back: the next one is a first one again. The running proxy tells its thread that bans, a
//! command line without a proxy writes it down itself.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use openclaw_core::autoban::Ledger;

use super::{kept, unix};

/// Peers who are waiting for the thread to hear of it.
#[derive(Debug, Default)]
pub(in super::super) struct Pardons {
    /// Spares the lock for every refusal.
    is_any: AtomicBool,
    peers: Mutex<Vec<IpAddr>>,
}

impl Pardons {
    pub(in super::super) fn add(&self, peers: impl Iterator<Item = IpAddr>) {
        let mut all = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(peers);
        self.is_any.store(!all.is_empty(), Ordering::Release);
    }

    pub(super) fn take(&self) -> Vec<IpAddr> {
        if !self.is_any.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        let mut all = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut all)
    }

    /// Writes it down where no thread does.
    pub(in super::super) fn settle(&self, state_dir: &Path) -> io::Result<()> {
        let peers = self.take();
        if peers.is_empty() {
            return Ok(());
        }
        let mut ledger = Ledger::default();
        for (peer, convict) in kept::load(state_dir) {
            ledger.convict(peer, convict);
        }
        for peer in peers {
            ledger.forgive(peer);
        }
        kept::save(state_dir, ledger.convicts(), unix())
    }
}
