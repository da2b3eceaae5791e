//! Bans that have outlived the process that made them: one that is killed has had no time to save what it banned last, but the kernel's
//! tables have it. A process that ends in order has saved everything, so that what its tables hold besides is to go.

use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use openclaw_common::abi::class;
use openclaw_core::config::Prefix;
use openclaw_core::limit::network_of;

use super::Shield;
use super::ban::{AUTOBAN, is_own_end};
use super::format::NewEntry;
use super::host::HostTables;
use super::kernel::{KernelError, Maps};
use super::lists::Kind;
use super::prefix::{AnyNet, Net};
use super::state::State;
use super::store::Now;
use crate::telemetry::chain;

/// It is there while a proxy has the lists, and after one that was killed.
const FILE: &str = "shield.running";
const WHY: &str = "autoban: found in the kernel after a crash";

/// A ban of the kernel's tables, and its end on the monotonic clock.
type Survivor = (Prefix, u64);

impl State {
    fn running(&self) -> PathBuf {
        self.config.server.state_dir.join(FILE)
    }

    /// Learns whether the process before this one was killed.
    pub(super) fn recall_end(&mut self) {
        self.is_orphaned = self.running().exists();
    }

    /// From now on this process has bans that are saved later.
    pub(super) fn note_running(&self) {
        let path = self.running();
        if let Err(error) = File::create(&path) {
            tracing::debug!(path = %path.display(), %error, "bans of the last second before a crash would be lost");
        }
    }

    /// Everything is saved.
    pub(super) fn note_end(&self) {
        match fs::remove_file(self.running()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let path = self.running();
                tracing::warn!(path = %path.display(), %error, "the next start takes this end for a crash");
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// Puts bans on the list of the proxy's own that the maps hold and no list, if the process before this one was killed.
    pub(super) fn adopt_survivors(&mut self, maps: &Maps) {
        if !std::mem::take(&mut self.is_orphaned) {
            return;
        }
        let now = self.now();
        let found = survivors(maps, &self.shared.read(), now);
        let mut survivors = found.unwrap_or_else(|error| {
            self.warnings.push(chain(&error));
            Vec::new()
        });
        survivors.retain(|(prefix, until_ns)| !self.outlasts(*prefix, *until_ns));
        let entries = survivors.into_iter().map(|(prefix, until_ns)| NewEntry {
            prefix,
            ttl: Some(Duration::from_nanos(until_ns - now.mono_ns)),
            reason: Some(Arc::from(WHY)),
            list: None,
            line: 0,
        });
        let entries: Vec<NewEntry> = entries.collect();
        if entries.is_empty() {
            return;
        }
        match self.store.add(Kind::Block, AUTOBAN, &entries, now) {
            Ok(added) => {
                tracing::warn!(
                    bans = added.added,
                    "the last process was killed; its last bans go on"
                );
                let warnings = self.commit(&added.regions);
                self.warnings.extend(warnings);
            }
            Err(error) => self.warnings.push(error.to_string()),
        }
    }

    /// Whether a list keeps a range out for at least as long.
    fn outlasts(&self, prefix: Prefix, until_ns: u64) -> bool {
        let around = self.store.around(Kind::Block, AnyNet::from(prefix));
        let mut ends = around.iter().map(|found| found.record.until_ns);
        ends.any(|end| end == 0 || end >= until_ns)
    }
}

impl Shield {
    /// Whom the proxy itself has banned, each with the end in seconds since 1970.
    pub(super) fn autobanned(&self) -> Vec<(IpAddr, u64)> {
        let state = self.lock();
        let (now, lists) = (state.now(), state.store.lists());
        let Some(list) = lists.find(Kind::Block, AUTOBAN) else {
            return Vec::new();
        };
        let with_end = lists
            .entries(list)
            .filter(|(_, record)| record.until_ns != 0);
        let each = with_end.map(|(net, record)| {
            let left = now.seconds_until(record.until_ns);
            let peer = network_of(net.to_prefix().address);
            (peer, now.unix.saturating_add(left))
        });
        each.collect()
    }
}

/// Bans of the proxy's own that have not ended and that these tables do not hold. What others had banned they tell again, or have
/// taken back since.
fn survivors(maps: &Maps, tables: &HostTables, now: Now) -> Result<Vec<Survivor>, KernelError> {
    let is_alive = |until_ns: u64| until_ns > now.mono_ns && is_own_end(until_ns);
    let mut survivors = Vec::new();
    for (key, ban) in maps.ban4.entries() {
        let net = Net::host(u32::from_be_bytes(key));
        if is_alive(ban.end()) && !tables.holds4(net, class::BANNED) {
            let address = IpAddr::from(Ipv4Addr::from(key));
            let length = 32;
            survivors.push((Prefix { address, length }, ban.end()));
        }
    }
    for (key, ban) in maps.ban6.entries() {
        let first = u128::from(u64::from_be_bytes(key)) << 64;
        if is_alive(ban.end()) && !tables.holds6(Net::new(first, 64), class::BANNED) {
            let address = IpAddr::from(Ipv6Addr::from_bits(first));
            let length = 64;
            survivors.push((Prefix { address, length }, ban.end()));
        }
    }
    for (key, entry) in maps.host6.entries()? {
        let net = Net::host(u128::from_be_bytes(key));
        if is_alive(entry.until_ns) && !tables.holds6(net, class::BANNED) {
            let address = IpAddr::from(Ipv6Addr::from(key));
            let length = 128;
            survivors.push((Prefix { address, length }, entry.until_ns));
        }
    }
    Ok(survivors)
}
