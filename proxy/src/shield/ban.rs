//! Bans that the proxy itself lays on a peer: one address, or the /64 of an IPv6 address, on a list of their own.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use openclaw_core::config::Prefix;
use openclaw_core::limit::network_of;

use super::Shield;
use super::format::NewEntry;
use super::index::{ListId, Record};
use super::lists::{Kind, Lists};
use super::prefix::AnyNet;
use super::rules::Refusal;
use super::state::State;

/// The list of these bans.
pub(super) const AUTOBAN: &str = "autoban";

/// The end of a ban on a list. On the proxy's own it is an odd number of nanoseconds and on all others an even one, so that the kernel's
/// tables tell whose a ban is, also when the process that made it is no more.
pub(super) fn end_on(list: &str, until_ns: u64) -> u64 {
    match until_ns {
        0 => 0,
        until_ns if list == AUTOBAN => until_ns.min(u64::MAX - 3) | 1,
        until_ns => until_ns.max(2) & !1,
    }
}

/// Whether the proxy itself has banned what ends then.
pub(super) fn is_own_end(until_ns: u64) -> bool {
    until_ns & 1 == 1
}

/// What came of a ban.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Banned {
    /// The tables have it, and what of it could not be done.
    Now {
        prefix: Prefix,
        warnings: Vec<String>,
    },
    /// An earlier ban still holds.
    Already,
    /// This peer cannot be banned, or there is no room.
    Refused(String),
}

impl Shield {
    /// Looks again what can never be banned, unless that has to wait. Reads a few files, so it is not done for each ban.
    pub fn refresh_guards(&self) {
        self.at_once(
            || self.views.before().map(drop),
            |state| {
                if !state.is_suspended {
                    state.refresh_guards();
                }
            },
        );
    }

    /// Bans a peer from now; writes nothing to the disk before the next tick.
    pub fn ban(&self, peer: IpAddr, ttl: Duration, reason: &str) -> Banned {
        let peer = peer.to_canonical();
        self.at_once(
            || self.ban_meanwhile(peer, ttl, reason),
            |state| {
                if state.is_suspended {
                    return Banned::Refused("another process bans from now on".to_owned());
                }
                state.ban(peer, ttl, reason)
            },
        )
    }
}

impl Lists {
    /// An entry as it is to be on a list.
    pub(super) fn owned(&self, list: ListId, record: Record) -> Record {
        let name = self.list(list).map_or("", |list| &*list.name);
        Record {
            until_ns: end_on(name, record.until_ns),
            ..record
        }
    }
}

impl State {
    pub(super) fn ban(&mut self, peer: IpAddr, ttl: Duration, reason: &str) -> Banned {
        let now = self.now();
        let host = host(peer);
        let network = match network_of(peer) {
            address @ IpAddr::V6(_) => Prefix {
                address,
                length: 64,
            },
            IpAddr::V4(_) => host,
        };
        if self.is_banned(host, now.mono_ns) || self.is_banned(network, now.mono_ns) {
            return Banned::Already;
        }
        if let Err(refusal) = self.store.admit_rule(Kind::Block, AnyNet::from(host)) {
            return Banned::Refused(refusal.to_string());
        }
        // A neighbour on our own link: its /64 is ours, too.
        let prefix = match self.store.admit_rule(Kind::Block, AnyNet::from(network)) {
            Err(Refusal::CoversProtected { .. }) => host,
            Ok(()) | Err(_) => network,
        };
        let entry = NewEntry {
            list: None,
            prefix,
            ttl: Some(ttl),
            reason: Some(Arc::from(reason)),
            line: 0,
        };
        match self.store.add(Kind::Block, AUTOBAN, &[entry], now) {
            Err(error) => Banned::Refused(error.to_string()),
            Ok(added) => match added.refused.first.first() {
                Some(refused) => Banned::Refused(refused.message.clone()),
                None => Banned::Now {
                    prefix,
                    warnings: self.commit(&added.regions),
                },
            },
        }
    }

    pub(super) fn is_autobanned(&self, prefix: Prefix) -> bool {
        let lists = self.store.lists();
        let list = lists.find(Kind::Block, AUTOBAN);
        list.is_some_and(|list| lists.get(AnyNet::from(prefix), list).is_some())
    }

    /// Begins anew with peers whose bans were taken back: those that are on the list no longer.
    pub(super) fn pardon(&self, prefixes: impl Iterator<Item = Prefix>) -> Option<String> {
        let free = prefixes.filter(|prefix| !self.is_autobanned(*prefix));
        self.pardons
            .add(free.map(|prefix| network_of(prefix.address)));
        if self.is_proxy {
            return None;
        }
        let settled = self.pardons.settle(&self.config.server.state_dir);
        let error = settled.err()?;
        Some(format!(
            "the next ban of the same peer is as long as if this one stood: {error}"
        ))
    }

    fn is_banned(&self, prefix: Prefix, now_ns: u64) -> bool {
        let lists = self.store.lists();
        let list = lists.find(Kind::Block, AUTOBAN);
        let known = list.and_then(|list| lists.get(AnyNet::from(prefix), list));
        known.is_some_and(|record| record.until_ns == 0 || record.until_ns > now_ns)
    }
}

/// The address alone.
pub(super) fn host(address: IpAddr) -> Prefix {
    let length = if address.is_ipv4() { 32 } else { 128 };
    Prefix { address, length }
}
