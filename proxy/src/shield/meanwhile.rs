//! Bans of the proxy's own while the state is held for long. They go into the kernel's tables at once, and stop connections where these
//! are accepted; on their list they are put by whoever holds the state, at the end. Nobody else knows of them until then, so what the
//! holder writes meanwhile may at worst delay them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openclaw_common::abi::{Entry, class, subnet};
use openclaw_common::verdict::Reason;
use openclaw_core::config::Prefix;
use openclaw_core::limit::network_of;

use super::Shield;
use super::ban::{AUTOBAN, Banned, end_on, host};
use super::kernel::{KernelError, Maps, monotonic_ns};
use super::state::State;
use crate::telemetry::chain;

/// Bans that wait for their list. More are refused.
const MOST: usize = 65_536;

/// A ban that is on no list yet.
#[derive(Clone, Debug)]
struct Waiting {
    peer: IpAddr,
    until_ns: u64,
    reason: String,
}

#[derive(Debug, Default)]
struct Room {
    is_open: bool,
    bans: HashMap<Prefix, Waiting>,
}

/// Where bans wait.
#[derive(Debug, Default)]
pub(super) struct Meanwhile {
    /// Spares the lock where there is none.
    is_any: AtomicBool,
    room: Mutex<Room>,
}

impl Meanwhile {
    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state is held for long from now on.
    pub(super) fn open(&self) {
        self.room().is_open = true;
    }

    /// Whether a peer is banned here.
    pub(super) fn holds(&self, peer: IpAddr) -> bool {
        if !self.is_any.load(Ordering::Acquire) {
            return false;
        }
        let network = Prefix {
            address: network_of(peer),
            length: 64,
        };
        let room = self.room();
        room.bans.contains_key(&host(peer)) || room.bans.contains_key(&network)
    }
}

impl Shield {
    /// Bans a peer while the state is held; nothing if it is not.
    pub(super) fn ban_meanwhile(
        &self,
        peer: IpAddr,
        ttl: Duration,
        reason: &str,
    ) -> Option<Banned> {
        let seen = self.views.before()?;
        let meanwhile = &self.shared.meanwhile;
        let mut room = meanwhile.room();
        if !room.is_open {
            return None;
        }
        let now_ns = monotonic_ns();
        let reason_now = self.shared.decide_on(peer, now_ns).reason;
        if reason_now == Reason::Allow {
            return Some(Banned::Refused("it is allowed".to_owned()));
        }
        let prefix = self.shared.read().range_of(peer);
        let is_banned = [Reason::Ban, Reason::Ban.monitored()].contains(&reason_now);
        if is_banned || room.bans.contains_key(&prefix) {
            return Some(Banned::Already);
        }
        if room.bans.len() >= MOST {
            let why = "too many were banned while the lists are being changed";
            return Some(Banned::Refused(why.to_owned()));
        }
        let ttl_ns = u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX);
        let until_ns = end_on(AUTOBAN, now_ns.saturating_add(ttl_ns));
        let maps = seen.gauges.maps.as_deref();
        let written = maps.map_or(Ok(()), |maps| write(maps, prefix, until_ns));
        let waiting = Waiting {
            peer,
            until_ns,
            reason: reason.to_owned(),
        };
        room.bans.insert(prefix, waiting);
        meanwhile.is_any.store(true, Ordering::Release);
        let warnings = written.err().map(|error| chain(&error));
        Some(Banned::Now {
            prefix,
            warnings: warnings.into_iter().collect(),
        })
    }
}

impl State {
    /// Puts what has been banned meanwhile on its list. It waits here until that has it.
    pub(super) fn settle_bans(&mut self) {
        let shared = self.shared.clone();
        let bans = {
            let mut room = shared.meanwhile.room();
            room.is_open = false;
            room.bans.clone()
        };
        let now_ns = monotonic_ns();
        for (prefix, ban) in bans {
            let left = Duration::from_nanos(ban.until_ns.saturating_sub(now_ns));
            match self.ban(ban.peer, left, &ban.reason) {
                Banned::Now { warnings, .. } => {
                    for warning in warnings {
                        tracing::warn!("{warning}");
                    }
                }
                Banned::Already => {}
                Banned::Refused(why) => {
                    tracing::info!(peer = %ban.peer, "no longer banned: {why}");
                    self.unban(prefix);
                }
            }
        }
        shared.meanwhile.room().bans.clear();
        shared.meanwhile.is_any.store(false, Ordering::Release);
    }

    /// Takes a ban out of the kernel's tables that no list has.
    fn unban(&self, prefix: Prefix) {
        let Some(maps) = &self.maps else { return };
        match prefix.address {
            IpAddr::V4(address) => {
                maps.ban4.remove(address.octets());
            }
            IpAddr::V6(address) if prefix.length == 64 => {
                maps.ban6.remove(subnet(address.octets()));
            }
            IpAddr::V6(address) => {
                if let Err(error) = maps.host6.remove(&address.octets()) {
                    tracing::warn!("{}", chain(&error));
                }
            }
        }
    }
}

fn write(maps: &Maps, prefix: Prefix, until_ns: u64) -> Result<(), KernelError> {
    match prefix.address {
        IpAddr::V4(address) => {
            let key = address.octets();
            maps.ban4.insert(key, until_ns)?;
            maps.class4.mark(class::index4(key), class::BANNED);
            Ok(())
        }
        IpAddr::V6(address) => {
            let address = address.octets();
            if prefix.length == 64 {
                maps.ban6.insert(subnet(address), until_ns)?;
            } else {
                let entry = Entry {
                    until_ns,
                    reason: Reason::Ban as u32,
                    ..Entry::default()
                };
                maps.host6.insert(&address, &entry)?;
            }
            maps.class6.mark(class::key6(address), class::BANNED)
        }
    }
}
