//! What the kernel counts for single entries of the lists, and what all of it takes. Ranges that class words block whole have no counter
//! of their own.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;

use super::Shield;
use super::api::{Answer, MemoryStats, Stats};
use super::compile::{Place, Placement};
use super::index::ListId;
use super::kernel::Maps;
use super::lists::Kind;
use super::prefix::AnyNet;
use super::seen::Held;
use super::sink::{Ban6, key4, key6};

impl Shield {
    /// Figures of a kind of lists. The counters of a million entries take a second to read, so that is done without the lock.
    pub(super) fn stats(state: Held<'_>, kind: Kind) -> Answer {
        let (mut stats, ids) = state.stats(kind);
        let maps = state.maps();
        let entries = if maps.is_some() {
            state.shared.read().counted()
        } else {
            Vec::new()
        };
        drop(state);
        if let Some(maps) = maps {
            let mut sums: BTreeMap<ListId, u64> = BTreeMap::new();
            for (net, placement) in entries {
                let list = ListId(placement.rule);
                if ids.contains(&list)
                    && let Some(hits) = of_entry(&maps, net, placement)
                {
                    *sums.entry(list).or_default() += hits;
                }
            }
            fill(&mut stats, &ids, &sums);
        }
        stats.memory = MemoryStats {
            kernel: kernel_memory(),
            process: process_memory(),
        };
        Answer::Stats(stats)
    }
}

fn fill(stats: &mut Stats, ids: &[ListId], sums: &BTreeMap<ListId, u64>) {
    for (list, id) in stats.lists.iter_mut().zip(ids) {
        list.hits = sums.get(id).copied();
    }
}

/// Packets that an entry has decided; nothing where the kernel has no such entry, or it cannot be read.
pub(super) fn of_entry(maps: &Maps, net: AnyNet, placement: Placement) -> Option<u64> {
    match (placement.place, net) {
        (Place::Ban, AnyNet::V4(net)) => {
            let slot = maps.ban4.get(Ipv4Addr::from_bits(net.first).octets())?;
            Some(slot.hits.into())
        }
        (Place::Ban, AnyNet::V6(net)) => match Ban6::of(net) {
            Ban6::Subnet(key) => Some(maps.ban6.get(key)?.hits.into()),
            Ban6::Host(key) => Some(maps.host6.get(&key).ok()??.hits),
        },
        (Place::AllowFine | Place::BlockFine, AnyNet::V4(net)) => {
            Some(maps.fine4().get(&key4(net)).ok()??.hits)
        }
        (Place::AllowFine | Place::BlockFine, AnyNet::V6(net)) => {
            Some(maps.fine6().get(&key6(net)).ok()??.hits)
        }
        (Place::AllowClass | Place::BlockClass | Place::Country, _) => None,
    }
}

/// Bytes of the maps that this process holds, as the kernel says; before Linux 6.4 that is what they take when full.
fn kernel_memory() -> Option<u64> {
    let mut maps: BTreeMap<u64, u64> = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fdinfo").ok()?.flatten() {
        // A descriptor may be closed meanwhile.
        let Ok(text) = fs::read_to_string(entry.path()) else {
            continue;
        };
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name))?;
            value.trim().parse::<u64>().ok()
        };
        if let (Some(id), Some(bytes)) = (field("map_id:"), field("memlock:")) {
            maps.insert(id, bytes);
        }
    }
    (!maps.is_empty()).then(|| maps.values().sum())
}

/// Resident bytes of this process.
fn process_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = value.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib << 10)
}
