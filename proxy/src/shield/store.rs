//! What may be put on the lists and taken off: every rule about it, without files, maps or clock. Each change answers with the ranges
//! whose tables have to be compiled anew.

mod kept;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use openclaw_core::config::Prefix;

use super::format::{NewEntry, Problems};
use super::geo::Countries;
use super::index::{ListId, Record};
use super::journal::Journal;
use super::lists::{Kind, Listed, Lists, Origin};
use super::prefix::{AnyNet, Net};
use super::rules::{ListError, check_name};

/// The list that the command line means when it names none.
pub(super) const MANUAL: &str = "manual";
/// The list of `shield.allow` and `shield.block`.
pub(super) const CONFIG: &str = "config";
/// The allow list of what can never be blocked.
pub(super) const PROTECTED: &str = "protected";
/// Ended entries that one turn of the reaper takes; the next one goes on.
const REAPED_AT_ONCE: usize = 16_384;

/// Entries of one call up to which each is looked at for what is worth a note.
const NOTED: usize = 100;

/// A moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Now {
    /// Monotonic clock: what ends entries.
    pub(super) mono_ns: u64,
    /// Seconds since 1970: what people read.
    pub(super) unix: u64,
}

impl Now {
    fn after(self, ttl: Duration) -> u64 {
        let ns = u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX);
        // Forever is written otherwise, and compares as u64::MAX.
        self.mono_ns.saturating_add(ns).clamp(1, u64::MAX - 1)
    }

    /// Whole seconds until a deadline, at least 1 while it has not passed.
    pub(super) fn seconds_until(self, until_ns: u64) -> u64 {
        until_ns
            .saturating_sub(self.mono_ns)
            .div_ceil(1_000_000_000)
    }
}

/// A range that can never be blocked, and why: "is an address of this host (eth0)".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guard {
    pub(super) prefix: Prefix,
    pub(super) why: String,
}

/// What came of adding.
#[derive(Debug, Default)]
pub(super) struct Addition {
    pub(super) added: usize,
    /// Were on the list; end, reason and time are now the new ones.
    pub(super) updated: usize,
    /// Were on the list and not in the file, with `replace`.
    pub(super) removed: usize,
    pub(super) refused: Problems,
    pub(super) notes: Vec<String>,
    pub(super) regions: Vec<AnyNet>,
}

impl Addition {
    /// Adds what came of another list.
    pub(super) fn join(&mut self, other: Self) {
        self.added += other.added;
        self.updated += other.updated;
        self.removed += other.removed;
        self.refused.join(other.refused);
        self.notes.extend(other.notes);
        self.regions.extend(other.regions);
    }
}

/// What came of deleting.
#[derive(Debug, Default)]
pub(super) struct Removal {
    pub(super) removed: usize,
    pub(super) missing: Vec<String>,
    pub(super) regions: Vec<AnyNet>,
}

/// One entry of a list.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) net: AnyNet,
    pub(super) list: ListId,
    pub(super) record: Record,
}

/// The lists and their rules.
#[derive(Debug, Default)]
pub(super) struct Store {
    lists: Lists,
}

impl Store {
    pub(super) fn lists(&self) -> &Lists {
        &self.lists
    }

    pub(super) fn journal(&mut self) -> &mut Journal {
        &mut self.lists.journal
    }

    pub(super) fn set_countries(&mut self, countries: Option<Arc<Countries>>) {
        self.lists.set_countries(countries);
    }

    /// Puts ranges on a list of the operator's.
    pub(super) fn add(
        &mut self,
        kind: Kind,
        name: &str,
        entries: &[NewEntry],
        now: Now,
    ) -> Result<Addition, ListError> {
        let list = self.open(kind, name)?;
        Ok(self.add_to(kind, list, entries, now))
    }

    fn add_to(&mut self, kind: Kind, list: ListId, entries: &[NewEntry], now: Now) -> Addition {
        let mut added = Addition::default();
        // In the order of addresses neighbours are found where the last one was: a third of the time for a million. Of the same range
        // the later line stays the later one.
        let mut sorted: Vec<(AnyNet, &NewEntry)> = entries
            .iter()
            .map(|entry| (AnyNet::from(entry.prefix), entry))
            .collect();
        sorted.sort_by_key(|(net, _)| *net);
        let mut refused = Vec::new();
        for (net, entry) in sorted {
            if let Err(refusal) = self.admit(kind, list, net, entry.ttl.is_some()) {
                refused.push((entry.line, refusal));
                continue;
            }
            let record = self.lists.owned(list, record(entry, now));
            if self.lists.insert(net, list, record).is_some() {
                added.updated += 1;
            } else {
                added.added += 1;
            }
            added.regions.push(net);
            if entries.len() <= NOTED && kind == Kind::Block {
                added.notes.extend(self.exception(net));
            }
        }
        refused.sort_by_key(|(line, _)| *line);
        for (line, refusal) in refused {
            added.refused.add(line, refusal.to_string());
        }
        added
    }

    /// Like [`Self::add`], and takes everything else off the list.
    pub(super) fn replace(
        &mut self,
        kind: Kind,
        name: &str,
        entries: &[NewEntry],
        now: Now,
    ) -> Result<Addition, ListError> {
        let list = self.open(kind, name)?;
        Ok(self.replace_in(kind, list, entries, now))
    }

    fn replace_in(&mut self, kind: Kind, list: ListId, entries: &[NewEntry], now: Now) -> Addition {
        let mut gone: HashSet<AnyNet> = self.lists.entries(list).map(|(net, _)| net).collect();
        // First what goes, so that a list at its bound can be replaced; nobody sees the lists in between.
        for entry in entries {
            gone.remove(&AnyNet::from(entry.prefix));
        }
        for net in &gone {
            self.lists.remove(*net, list);
        }
        let mut added = self.add_to(kind, list, entries, now);
        added.removed = gone.len();
        added.regions.extend(gone);
        added
    }

    /// What [`Self::add`] would do.
    pub(super) fn rehearse(
        &self,
        kind: Kind,
        name: &str,
        entries: &[NewEntry],
        replace: bool,
    ) -> Result<Addition, ListError> {
        check_name(kind, name)?;
        let list = self.lists.find(kind, name);
        let mut added = Addition::default();
        let mut seen = HashSet::new();
        for entry in entries {
            let net = AnyNet::from(entry.prefix);
            let is_known = list.is_some_and(|list| self.lists.get(net, list).is_some());
            if let Err(refusal) = self.admit_rule(kind, net) {
                added.refused.add(entry.line, refusal.to_string());
            } else if !seen.insert(net) || is_known {
                added.updated += 1;
            } else {
                added.added += 1;
            }
        }
        if replace && let Some(list) = list {
            added.removed = self
                .lists
                .entries(list)
                .filter(|(net, _)| !seen.contains(net))
                .count();
        }
        Ok(added)
    }

    /// Whether any of these may be on a list of that kind.
    pub(super) fn takes_any(&self, kind: Kind, entries: &[NewEntry]) -> bool {
        let mut nets = entries.iter().map(|entry| AnyNet::from(entry.prefix));
        nets.any(|net| self.admit_rule(kind, net).is_ok())
    }

    /// Makes a list of the configuration or of the host hold exactly these.
    pub(super) fn set(
        &mut self,
        kind: Kind,
        name: &str,
        origin: Origin,
        guards: &[Guard],
        now: Now,
    ) -> Vec<AnyNet> {
        let Some(list) = self.lists.find_or_make(kind, name, origin) else {
            return Vec::new();
        };
        let mut regions = Vec::new();
        let wanted: BTreeMap<AnyNet, &str> = guards
            .iter()
            .map(|guard| (AnyNet::from(guard.prefix), guard.why.as_str()))
            .collect();
        let old: Vec<AnyNet> = self.lists.entries(list).map(|(net, _)| net).collect();
        for net in old.into_iter().filter(|net| !wanted.contains_key(net)) {
            self.lists.remove(net, list);
            regions.push(net);
        }
        for (net, why) in wanted {
            let reason = (!why.is_empty()).then(|| Arc::from(why));
            let known = self.lists.get(net, list);
            if known.is_some_and(|known| known.reason == reason) {
                continue;
            }
            let added = known.map_or(now.unix, |known| known.added);
            self.lists.insert(
                net,
                list,
                Record {
                    until_ns: 0,
                    added,
                    reason,
                },
            );
            regions.push(net);
        }
        regions
    }

    /// Takes ranges off one list, or off every list of the operator's.
    pub(super) fn delete(
        &mut self,
        kind: Kind,
        name: Option<&str>,
        prefixes: &[Prefix],
    ) -> Result<Removal, ListError> {
        let lists = self.changeable(kind, name)?;
        let mut deleted = Removal::default();
        for prefix in prefixes {
            let net = AnyNet::from(*prefix);
            let removed = lists
                .iter()
                .filter(|list| self.lists.remove(net, **list).is_some())
                .count();
            if removed > 0 {
                deleted.removed += 1;
                deleted.regions.push(net);
            } else {
                deleted.missing.push(self.missing(kind, net));
            }
        }
        Ok(deleted)
    }

    /// Empties one list, or every list of the operator's.
    pub(super) fn flush(&mut self, kind: Kind, name: Option<&str>) -> Result<Removal, ListError> {
        let mut deleted = Removal::default();
        for list in self.changeable(kind, name)? {
            let nets: Vec<AnyNet> = self.lists.entries(list).map(|(net, _)| net).collect();
            for net in nets {
                self.lists.remove(net, list);
                deleted.removed += 1;
                deleted.regions.push(net);
            }
        }
        Ok(deleted)
    }

    /// Takes out what has ended.
    pub(super) fn reap(&mut self, now: Now) -> Vec<AnyNet> {
        self.lists.reap(now.mono_ns, REAPED_AT_ONCE)
    }

    /// The entries around an address, the widest first.
    pub(super) fn around(&self, kind: Kind, net: AnyNet) -> Vec<Found> {
        fn find<A: Listed>(lists: &Lists, kind: Kind, net: Net<A>) -> Vec<Found> {
            let around = lists.kind::<A>(kind).covering(net);
            around
                .map(|(net, list, record)| Found {
                    net: A::any(net),
                    list,
                    record: record.clone(),
                })
                .collect()
        }
        match net {
            AnyNet::V4(net) => find(&self.lists, kind, net),
            AnyNet::V6(net) => find(&self.lists, kind, net),
        }
    }

    /// The list of that name, made if need be.
    fn open(&mut self, kind: Kind, name: &str) -> Result<ListId, ListError> {
        check_name(kind, name)?;
        let made = self.lists.find_or_make(kind, name, Origin::Operator);
        let list = made.ok_or(ListError::TooMany)?;
        self.check_origin(list)?;
        Ok(list)
    }

    /// Whether a list is the operator's to change.
    fn check_origin(&self, list: ListId) -> Result<(), ListError> {
        match self.lists.list(list) {
            Some(list) if list.origin == Origin::Feed => Err(ListError::IsFeed(list.name.clone())),
            _ => Ok(()),
        }
    }

    fn changeable(&self, kind: Kind, name: Option<&str>) -> Result<Vec<ListId>, ListError> {
        if let Some(name) = name {
            check_name(kind, name)?;
            let unknown = || ListError::Unknown {
                kind: kind.word(),
                name: name.to_owned(),
            };
            let list = self.lists.find(kind, name).ok_or_else(unknown)?;
            self.check_origin(list)?;
            return Ok(vec![list]);
        }
        let lists = self.lists.all();
        Ok(lists
            .filter(|(_, list)| list.kind == kind && list.origin == Origin::Operator)
            .map(|(id, _)| id)
            .collect())
    }
}

fn record(entry: &NewEntry, now: Now) -> Record {
    Record {
        until_ns: entry.ttl.map_or(0, |ttl| now.after(ttl)),
        added: now.unix,
        reason: entry.reason.clone(),
    }
}

impl Kind {
    /// `block` or `allow`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Allow => "allow",
        }
    }

    /// `blocked` or `allowed`.
    pub const fn listed(self) -> &'static str {
        match self {
            Self::Block => "blocked",
            Self::Allow => "allowed",
        }
    }
}

#[cfg(test)]
mod tests;
