//! The lists where connections are accepted: what the kernel program would say of a peer, for interfaces that it is not on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use openclaw_common::abi::{Config, flags};
use openclaw_common::decide::{Decision, decide};
use openclaw_common::packet::Flow;
use openclaw_common::verdict;
use openclaw_core::reason::Reason;

use super::host::HostTables;
use super::kernel::monotonic_ns;
use super::meanwhile::Meanwhile;

/// What accepts and changes share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    tables: RwLock<HostTables>,
    flags: AtomicU32,
    monitored: AtomicU64,
    /// Spares the lock where nobody is listed.
    is_empty: AtomicBool,
    /// Connections of peers that are turned away now may be open.
    is_tightened: AtomicBool,
    /// What is banned while nobody can change the tables.
    pub(super) meanwhile: Meanwhile,
}

impl Shared {
    pub(super) fn new(tables: HostTables, flags: u32, monitored: u64) -> Arc<Self> {
        let is_empty = AtomicBool::new(tables.is_empty());
        Arc::new(Self {
            tables: RwLock::new(tables),
            flags: flags.into(),
            monitored: monitored.into(),
            is_empty,
            is_tightened: AtomicBool::default(),
            meanwhile: Meanwhile::default(),
        })
    }

    /// What the operator has chosen: see [`Config::flags`] and [`Config::monitored`].
    pub(super) fn set_rules(&self, flags: u32, monitored: u64) {
        self.flags.store(flags, Ordering::Relaxed);
        self.monitored.store(monitored, Ordering::Relaxed);
    }

    pub(super) fn set_tightened(&self) {
        self.is_tightened.store(true, Ordering::Release);
    }

    pub(super) fn take_tightened(&self) -> bool {
        self.is_tightened.swap(false, Ordering::Acquire)
    }

    pub(super) fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, HostTables> {
        // Tables are changed by functions that do not panic half-way.
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the tables; accepts wait meanwhile.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut HostTables) -> R) -> R {
        let mut tables: RwLockWriteGuard<'_, _> =
            self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut tables);
        self.is_empty.store(tables.is_empty(), Ordering::Relaxed);
        result
    }

    pub(super) fn decide(&self, address: IpAddr, now_ns: u64) -> Decision {
        self.decide_by(self.flags(), address, now_ns)
    }

    /// The same as if the kill switch was not thrown.
    pub(super) fn decide_on(&self, address: IpAddr, now_ns: u64) -> Decision {
        self.decide_by(self.flags() | flags::ENABLED, address, now_ns)
    }

    fn enforces_bans(&self) -> bool {
        let monitored = self.monitored.load(Ordering::Relaxed);
        self.flags() & flags::ENABLED != 0 && monitored >> verdict::Reason::Ban as u32 & 1 == 0
    }

    fn decide_by(&self, flags: u32, address: IpAddr, now_ns: u64) -> Decision {
        let tables = self.read();
        let config = Config {
            flags,
            monitored: self.monitored.load(Ordering::Relaxed),
            default6: tables.default6(),
            geo_mode: tables.policy().mode,
            geo_mask: tables.policy().mask,
            ..Config::OFF
        };
        let peer = SocketAddr::new(address, 0);
        let flow = Flow::accepted(peer, SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
        decide(&config, &flow, &tables.at(now_ns))
    }
}

/// Asked once for every accepted connection.
#[derive(Clone, Debug, Default)]
pub struct PeerFilter(Option<Arc<Shared>>);

impl PeerFilter {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(Some(shared))
    }

    /// Why the peer is to be turned away; nothing if it is welcome.
    pub fn check(&self, address: IpAddr) -> Option<Reason> {
        let shared = self.0.as_deref()?;
        if shared.meanwhile.holds(address) && shared.enforces_bans() {
            return Some(Reason::ShieldBan);
        }
        if shared.is_empty.load(Ordering::Relaxed) {
            return None;
        }
        // Packets are the kernel program's.
        let reason = shared.decide(address, monotonic_ns()).reason;
        if reason == verdict::Reason::Ban {
            Some(Reason::ShieldBan)
        } else if reason == verdict::Reason::Block {
            Some(Reason::ShieldBlock)
        } else if reason == verdict::Reason::Geo {
            Some(Reason::ShieldGeo)
        } else {
            None
        }
    }
}
