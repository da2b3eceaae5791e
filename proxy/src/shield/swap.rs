//! Many ranges replaced at once: a spare map is filled and takes over. In place, the ranges of before and of afterwards would have to
//! fit into one map for a while, and a list of many that is replaced by another is twice as many.
//!
//! No address that is blocked before and afterwards passes meanwhile: class words have the bits of both while the maps change, so that
//! whichever says that it is blocked is heard.

use std::collections::HashSet;

use openclaw_common::abi::{Config, Entry, class};
use openclaw_common::maps::{FINE4_ENTRIES, FINE6_ENTRIES};

use super::compile::{Changes, Entries, Place, Placement, Run};
use super::host::HostTables;
use super::kernel::{KernelError, Maps};
use super::prefix::{Bits, Net};
use super::sink::{KernelSink, Sorted, entry, key4, key6};
use super::state::State;
use crate::telemetry::chain;

/// Fewer writes than these are made in place.
const SWAP_FROM: usize = 16_384;

const fn is_fine(place: Place) -> bool {
    place.bit() == class::FINE
}

/// Ranges of one family: how many come or go, how many go, how many there are afterwards.
struct Size {
    writes: usize,
    removes: usize,
    after: usize,
}

impl Size {
    fn of<A: Bits>(entries: &Entries<A>, after: impl Iterator<Item = (Net<A>, Placement)>) -> Self {
        let puts = entries.puts.iter();
        let removes = entries.removes.iter();
        let removes = removes.filter(|(_, place)| is_fine(*place)).count();
        Self {
            writes: removes + puts.filter(|(_, to)| is_fine(to.place)).count(),
            removes,
            after: after.filter(|(_, to)| is_fine(to.place)).count(),
        }
    }

    /// Whether the ranges of before and of afterwards are more than there is room for.
    const fn is_too_much(&self, capacity: u32) -> bool {
        self.after + self.removes > capacity as usize
    }
}

/// Whether spare maps are filled: where about half of the ranges come or go, and where that is the only way.
fn is_due(tables: &HostTables, changes: &Changes) -> bool {
    let (v4, v6) = (&changes.v4, &changes.v6);
    if v4.puts.len() + v4.removes.len() + v6.puts.len() + v6.removes.len() < SWAP_FROM {
        return false;
    }
    let v4 = Size::of(v4, tables.entries4());
    let v6 = Size::of(v6, tables.entries6());
    let writes = v4.writes + v6.writes;
    writes >= SWAP_FROM
        && (2 * writes >= v4.after + v6.after
            || v4.is_too_much(FINE4_ENTRIES)
            || v6.is_too_much(FINE6_ENTRIES))
}

impl KernelSink<'_> {
    /// Puts the ranges of `tables` to use, all at once. What is left of `changes` is for [`Changes::apply`], and then for
    /// [`Maps::clear_spare`]. If it fails, everything is still in use that was.
    pub(super) fn swap(
        &mut self,
        tables: &HostTables,
        changes: &Changes,
    ) -> Result<(), KernelError> {
        let maps = self.maps;
        let v4 = kept(&changes.v4, tables.entries4(), key4, |key| {
            maps.fine4().get(key)
        })?;
        let v6 = kept(&changes.v6, tables.entries6(), key6, |key| {
            maps.fine6().get(key)
        })?;
        maps.fill_spare(&v4, &v6)?;
        let (bans4, bans6) = (changes.v4.puts.iter(), changes.v6.puts.iter());
        Sorted::new(
            bans4.filter(|(_, to)| !is_fine(to.place)).copied(),
            bans6.filter(|(_, to)| !is_fine(to.place)).copied(),
        )
        .insert(maps)?;
        self.widen(changes)?;
        maps.swap_fine()?;
        self.is_swapped = true;
        Ok(())
    }

    /// Adds the bits of afterwards to those of before. Countries stay as they are: lists do not change them.
    fn widen(&self, changes: &Changes) -> Result<(), KernelError> {
        let maps = self.maps;
        for Run { first, count, word } in &changes.words4 {
            for index in (*first..).take(*count as usize) {
                let before = maps.class4.load(index);
                maps.class4.store(index, before | word & class::LISTED);
            }
        }
        for (key, word) in &changes.words6 {
            let key = key.to_be_bytes();
            if let Some(word) = word {
                let before = maps.class6.load(key);
                maps.class6.store(key, before | word & class::LISTED)?;
            }
        }
        if let Some(word) = changes.default6 {
            let before = maps.config()?.default6;
            maps.set_config(&Config {
                default6: before | word,
                ..self.config
            })?;
        }
        Ok(())
    }
}

/// The ranges afterwards, with their keys, and the hits of those that do not change.
fn kept<A: Bits + std::hash::Hash, K>(
    entries: &Entries<A>,
    after: impl Iterator<Item = (Net<A>, Placement)>,
    key: impl Fn(Net<A>) -> K,
    find: impl Fn(&K) -> Result<Option<Entry>, KernelError>,
) -> Result<Vec<(K, Entry)>, KernelError> {
    let new: HashSet<Net<A>> = entries.puts.iter().map(|(net, _)| *net).collect();
    after
        .filter(|(_, to)| is_fine(to.place))
        .map(|(net, to)| {
            let key = key(net);
            let old = if new.contains(&net) {
                None
            } else {
                find(&key)?
            };
            let hits = old.map_or(0, |old| old.hits);
            Ok((key, Entry { hits, ..entry(to) }))
        })
        .collect()
}

impl State {
    /// Writes changes of lists; where they are many, by way of the spare maps.
    pub(super) fn write_or_swap(&self, changes: &[Changes]) -> Vec<String> {
        let ([all], Some(maps)) = (changes, &self.maps) else {
            return self.write(changes);
        };
        let mut sink = self.sink(maps);
        let tables = self.shared.read();
        if !is_due(&tables, all) {
            drop(tables);
            return self.write(changes);
        }
        let swapped = sink.swap(&tables, all);
        drop(tables);
        let mut warnings = write_to(&mut sink, changes);
        let cleared = maps.clear_spare();
        // What did not go by the spare maps went in place.
        for error in [swapped.err(), cleared.err()].into_iter().flatten() {
            warnings.push(chain(&error));
        }
        warnings
    }

    pub(super) fn write(&self, changes: &[Changes]) -> Vec<String> {
        let Some(maps) = &self.maps else {
            return Vec::new();
        };
        write_to(&mut self.sink(maps), changes)
    }

    fn sink<'a>(&self, maps: &'a Maps) -> KernelSink<'a> {
        KernelSink {
            maps,
            config: self.kernel_config(),
            countries: self.shared.read().countries(),
            is_swapped: false,
        }
    }
}

fn write_to(sink: &mut KernelSink<'_>, changes: &[Changes]) -> Vec<String> {
    let mut warnings = Vec::new();
    for changes in changes {
        let failures = changes.apply(sink);
        if let Some(first) = failures.first {
            warnings.push(format!(
                "{} changes did not reach the kernel: {}",
                failures.count,
                chain(&first)
            ));
        }
    }
    warnings
}
