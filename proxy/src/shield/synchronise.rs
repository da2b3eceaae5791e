//! Maps that an earlier process has filled, made to hold what the lists say now. What is in both is never missing: entries come first,
//! then the words that lead to them, and what is gone goes last. Where old and new ranges do not fit into one trie the spare one is
//! filled and takes over, as for a list that is replaced.

use std::collections::HashMap;
use std::hash::Hash;

use openclaw_common::abi::{Config, Entry, Prefix4, Prefix6, class, geo};
use openclaw_common::maps::{BAN4_ENTRIES, BAN6_ENTRIES, FINE4_ENTRIES, FINE6_ENTRIES};

use super::host::HostTables;
use super::kernel::{KernelError, Maps};
use super::prefix::Net;
use super::sink::Sorted;

/// Makes maps hold exactly these tables, as far as there is room: what does not fit must not keep the rest out.
///
/// # Errors
/// The first of what went wrong.
pub(super) fn synchronise(
    maps: &Maps,
    tables: &HostTables,
    config: &Config,
) -> Result<(), KernelError> {
    let mut wanted = Sorted::new(tables.entries4(), tables.entries6());
    let (stale, hits) = Stale::find(maps, tables)?;
    hits.give(&mut wanted);
    let mut outcome = Outcome(Ok(()));
    let are_bans_gone = stale.crowds_bans(&wanted);
    if are_bans_gone {
        outcome.note(stale.remove_bans(maps));
    }
    outcome.note(wanted.insert_bans(maps));
    let is_swapped = stale.crowds_ranges(&wanted) && {
        let swapped = swap(maps, tables, &wanted);
        swapped.is_ok()
    };
    if !is_swapped {
        outcome.note(stale.insert_ranges(maps, &wanted));
    }
    outcome.note(write_words(maps, tables, config));
    if !are_bans_gone {
        outcome.note(stale.remove_bans(maps));
    }
    if !is_swapped {
        outcome.note(stale.remove_ranges(maps));
    }
    // Also what a process has left that died over it.
    outcome.note(maps.clear_spare());
    outcome.0
}

/// The first error of several steps that are all taken.
struct Outcome(Result<(), KernelError>);

impl Outcome {
    fn note(&mut self, result: Result<(), KernelError>) {
        if self.0.is_ok() {
            self.0 = result;
        }
    }
}

/// Has the ranges of the tables take the place of all others.
fn swap(maps: &Maps, tables: &HostTables, wanted: &Sorted) -> Result<(), KernelError> {
    maps.fill_spare(&wanted.fine4, &wanted.fine6)?;
    // Whichever ranges are in use, those of before or those of afterwards, are looked for.
    for run in tables.words4().runs() {
        for index in (run.first..).take(run.count as usize) {
            let before = maps.class4.load(index);
            maps.class4.store(index, before | run.word & class::LISTED);
        }
    }
    for (key, word) in tables.all_words6() {
        let key = key.to_be_bytes();
        let before = maps.class6.load(key);
        maps.class6.store(key, before | word & class::LISTED)?;
    }
    let before = maps.config()?;
    maps.set_config(&Config {
        default6: before.default6 | tables.default6(),
        ..before
    })?;
    maps.swap_fine()
}

/// Words and configuration, for entries that are there.
fn write_words(maps: &Maps, tables: &HostTables, config: &Config) -> Result<(), KernelError> {
    let before = maps.config()?;
    maps.set_config(&Config {
        default6: before.default6 | config.default6,
        // Words without countries must not be read as words of unknown ones.
        geo_mode: if before.geo_mode == geo::OFF {
            geo::OFF
        } else {
            config.geo_mode
        },
        ..*config
    })?;
    for run in tables.words4().runs() {
        for index in (run.first..).take(run.count as usize) {
            let word = run.word | tables.country4(index);
            maps.class4.store(index, word);
        }
    }
    let words6: Vec<_> = tables
        .all_words6()
        .map(|(key, word)| (key.to_be_bytes(), word))
        .collect();
    let replaced = maps.class6.replace(&words6);
    maps.set_config(config)?;
    replaced
}

/// What maps hold that is on no list.
struct Stale {
    ban4: Vec<[u8; 4]>,
    fine4: Vec<Prefix4>,
    ban6: Vec<[u8; 8]>,
    host6: Vec<[u8; 16]>,
    fine6: Vec<Prefix6>,
}

impl Stale {
    /// Also the entries that stay.
    fn find(maps: &Maps, tables: &HostTables) -> Result<(Self, Hits), KernelError> {
        let net4 = |key: &Prefix4| Net::new(u32::from_be_bytes(key.address), key.length as u8);
        let net6 = |key: &Prefix6| Net::new(u128::from_be_bytes(key.address), key.length as u8);
        let mut ban4: Vec<[u8; 4]> = keys(maps.ban4.entries());
        ban4.retain(|key| !tables.holds4(Net::host(u32::from_be_bytes(*key)), class::BANNED));
        let (fine4, hits4) = split(maps.fine4().entries()?, |key| {
            tables.holds4(net4(key), class::FINE)
        });
        let mut ban6: Vec<[u8; 8]> = keys(maps.ban6.entries());
        ban6.retain(|key| {
            let first = u128::from(u64::from_be_bytes(*key)) << 64;
            !tables.holds6(Net::new(first, 64), class::BANNED)
        });
        let (host6, hits_of_hosts) = split(maps.host6.entries()?, |key| {
            tables.holds6(Net::host(u128::from_be_bytes(*key)), class::BANNED)
        });
        let (fine6, hits6) = split(maps.fine6().entries()?, |key| {
            tables.holds6(net6(key), class::FINE)
        });
        let stale = Self {
            ban4,
            fine4,
            ban6,
            host6,
            fine6,
        };
        let hits = Hits {
            fine4: hits4,
            host6: hits_of_hosts,
            fine6: hits6,
        };
        Ok((stale, hits))
    }

    /// Whether there is no room for the bans beside those that go.
    fn crowds_bans(&self, wanted: &Sorted) -> bool {
        self.ban4.len() + wanted.ban4.len() > BAN4_ENTRIES as usize
            || self.ban6.len() + wanted.ban6.len() > BAN6_ENTRIES as usize
            || self.host6.len() + wanted.host6.len() > BAN6_ENTRIES as usize
    }

    /// The same of ranges.
    fn crowds_ranges(&self, wanted: &Sorted) -> bool {
        self.fine4.len() + wanted.fine4.len() > FINE4_ENTRIES as usize
            || self.fine6.len() + wanted.fine6.len() > FINE6_ENTRIES as usize
    }

    fn remove_bans(&self, maps: &Maps) -> Result<(), KernelError> {
        for key in &self.ban4 {
            maps.ban4.remove(*key);
        }
        for key in &self.ban6 {
            maps.ban6.remove(*key);
        }
        maps.host6.remove_many(&self.host6).map(drop)
    }

    fn remove_ranges(&self, maps: &Maps) -> Result<(), KernelError> {
        maps.fine4().remove_many(&self.fine4)?;
        maps.fine6().remove_many(&self.fine6).map(drop)
    }

    /// Puts ranges beside those that go. Where there is no room even in tries of their own these go first, and what fits is taken.
    fn insert_ranges(&self, maps: &Maps, wanted: &Sorted) -> Result<(), KernelError> {
        if !self.crowds_ranges(wanted) {
            maps.fine4().insert_many(&wanted.fine4)?;
            return maps.fine6().insert_many(&wanted.fine6);
        }
        let mut outcome = Outcome(self.remove_ranges(maps));
        for (key, entry) in &wanted.fine4 {
            outcome.note(maps.fine4().insert(key, entry));
        }
        for (key, entry) in &wanted.fine6 {
            outcome.note(maps.fine6().insert(key, entry));
        }
        outcome.0
    }
}

/// What entries that stay have decided so far.
struct Hits {
    fine4: HashMap<Prefix4, Entry>,
    host6: HashMap<[u8; 16], Entry>,
    fine6: HashMap<Prefix6, Entry>,
}

impl Hits {
    fn give(&self, wanted: &mut Sorted) {
        go_on(&self.fine4, &mut wanted.fine4);
        go_on(&self.host6, &mut wanted.host6);
        go_on(&self.fine6, &mut wanted.fine6);
    }
}

/// Entries that decide as those before them count on.
fn go_on<K: Eq + Hash>(before: &HashMap<K, Entry>, wanted: &mut [(K, Entry)]) {
    for (key, entry) in wanted {
        let known = before.get(key);
        let known = known.filter(|known| known.reason == entry.reason);
        entry.hits = known.map_or(0, |known| known.hits);
    }
}

/// Those that are on no list, and those of the others that have decided something.
fn split<K: Eq + Hash>(
    entries: Vec<(K, Entry)>,
    is_listed: impl Fn(&K) -> bool,
) -> (Vec<K>, HashMap<K, Entry>) {
    let (listed, stale): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|(key, _)| is_listed(key));
    let listed = listed.into_iter().filter(|(_, entry)| entry.hits > 0);
    (keys(stale), listed.collect())
}

fn keys<K, V>(entries: Vec<(K, V)>) -> Vec<K> {
    entries.into_iter().map(|(key, _)| key).collect()
}
