//! The compiled tables in plain memory: the record of what is in the kernel's maps, and, read through the same decision function, the
//! shield's stand-in at `accept()`.

mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use openclaw_common::abi::class;
use openclaw_core::config::Prefix;

pub(super) use self::view::{HostRecord, View, reason, sources_only};
use super::compile::{Changes, Entries, Place, Placement, placements};
use super::geo::{Countries, Policy};
use super::index::Lengths;
use super::lists::{Listed, Lists};
use super::prefix::{AnyNet, Bits, Net};
use super::words::Words4;

/// Compiled ranges of one family.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Placed<A: Ord> {
    entries: BTreeMap<Net<A>, Placement>,
    lengths: Lengths,
}

impl<A: Ord> Default for Placed<A> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            lengths: Lengths::default(),
        }
    }
}

impl<A: Listed> Placed<A> {
    fn build(lists: &Lists) -> Self {
        let mut lengths = Lengths::default();
        let all = Net {
            first: A::ZERO,
            length: 0,
        };
        let entries = placements(lists, all)
            .into_iter()
            .inspect(|(net, _)| lengths.add(net.length))
            .collect();
        Self { entries, lengths }
    }

    pub(super) fn inside(&self, region: Net<A>) -> impl Iterator<Item = (Net<A>, Placement)> {
        let end = Net {
            first: region.last(),
            length: A::WIDTH,
        };
        self.entries
            .range(region..=end)
            .map(|(net, placement)| (*net, *placement))
    }

    fn all(&self) -> impl Iterator<Item = (Net<A>, Placement)> {
        self.entries
            .iter()
            .map(|(net, placement)| (*net, *placement))
    }

    /// Class bits that ranges wider than this one set in all of it.
    pub(super) fn bits_around(&self, net: Net<A>) -> u16 {
        let Some(longest) = net.length.checked_sub(1) else {
            return 0;
        };
        let around = self
            .lengths
            .up_to(longest)
            .filter_map(|length| self.entries.get(&Net::new(net.first, length)));
        around.fold(0, |bits, placement| bits | placement.place.bit())
    }

    /// The longest range around an address that is in the `FINE` map.
    fn fine(&self, address: A) -> Option<Placement> {
        let around = self.lengths.up_to(A::WIDTH).rev();
        around
            .filter_map(|length| self.entries.get(&Net::new(address, length)))
            .find(|placement| placement.place.bit() == class::FINE)
            .copied()
    }

    fn ban(&self, net: Net<A>) -> Option<Placement> {
        self.entries
            .get(&net)
            .filter(|placement| placement.place == Place::Ban)
            .copied()
    }

    /// Compiles a region anew.
    fn update(&mut self, lists: &Lists, region: Net<A>, entries: &mut Entries<A>) {
        let new = placements(lists, region);
        let old: Vec<_> = self.inside(region).collect();
        entries.add_difference(old.iter().copied(), new.iter().copied());
        for (net, _) in old {
            self.entries.remove(&net);
            self.lengths.remove(net.length);
        }
        for (net, placement) in new {
            self.entries.insert(net, placement);
            self.lengths.add(net.length);
        }
    }
}

/// What is in the maps, or would be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct HostTables {
    v4: Placed<u32>,
    words4: Words4,
    v6: Placed<u128>,
    words6: BTreeMap<u32, u16>,
    default6: u16,
    countries: Option<Arc<Countries>>,
}

impl HostTables {
    /// Compiles everything.
    pub(super) fn build(lists: &Lists) -> Self {
        let v4 = Placed::build(lists);
        let words4 = Words4::build(&v4);
        let mut tables = Self {
            v4,
            words4,
            v6: Placed::build(lists),
            words6: BTreeMap::new(),
            default6: 0,
            countries: lists.countries().cloned(),
        };
        tables.words6 = tables.words6_inside(Net::new(0, 0));
        tables.default6 = tables.default6_wanted();
        tables
    }

    /// Compiles anew what has changed in the lists: these ranges and all inside them.
    pub(super) fn update(&mut self, lists: &Lists, regions: &[AnyNet]) -> Changes {
        let mut changes = Changes::default();
        for region in regions {
            match *region {
                AnyNet::V4(net) => {
                    self.v4.update(lists, net, &mut changes.v4);
                    self.words4
                        .update(&self.v4, net.widened_to_grain(), &mut changes.words4);
                }
                AnyNet::V6(net) => {
                    self.v6.update(lists, net, &mut changes.v6);
                    self.update_words6(net.widened_to_grain(), &mut changes);
                }
            }
        }
        let default6 = self.default6_wanted();
        if default6 != self.default6 {
            self.default6 = default6;
            changes.default6 = Some(default6);
        }
        changes
    }

    /// What turns maps that hold these tables into maps that hold `new`.
    pub(super) fn difference(&self, new: &Self) -> Changes {
        let mut changes = Changes::default();
        changes.v4.add_difference(self.v4.all(), new.v4.all());
        changes.v6.add_difference(self.v6.all(), new.v6.all());
        self.words4.difference(&new.words4, &mut changes.words4);
        difference6(&self.words6, &new.words6, &mut changes);
        changes.default6 = Some(new.default6).filter(|word| *word != self.default6);
        changes
    }

    /// Like [`Self::difference`], where `new` has other countries: every word may differ.
    pub(super) fn change_of_country(&self, new: &Self) -> Changes {
        let mut changes = self.difference(new);
        changes.words4 = new.words4.runs().collect();
        let (before, after) = (self.country_words6(), new.country_words6());
        let keys: BTreeSet<u32> = before.keys().chain(after.keys()).copied().collect();
        let changed = keys
            .into_iter()
            .filter(|key| before.get(key) != after.get(key))
            .map(|key| (key, new.words6.get(&key).copied()));
        let words: BTreeMap<u32, Option<u16>> = changes.words6.drain(..).chain(changed).collect();
        changes.words6.extend(words);
        changes
    }

    fn country_words6(&self) -> &BTreeMap<u32, u8> {
        static NONE: BTreeMap<u32, u8> = BTreeMap::new();
        self.countries
            .as_ref()
            .map_or(&NONE, |countries| countries.words6())
    }

    /// How many ranges are in each place.
    pub(super) fn count(&self, place: Place) -> (usize, usize) {
        let v4 = self
            .v4
            .entries
            .values()
            .filter(|placement| placement.place == place)
            .count();
        let v6 = self
            .v6
            .entries
            .values()
            .filter(|placement| placement.place == place)
            .count();
        (v4, v6)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.countries.is_none() && self.v4.entries.is_empty() && self.v6.entries.is_empty()
    }

    pub(super) fn entries4(&self) -> impl Iterator<Item = (Net<u32>, Placement)> {
        self.v4
            .all()
            .filter(|(_, placement)| placement.place.is_entry())
    }

    pub(super) fn entries6(&self) -> impl Iterator<Item = (Net<u128>, Placement)> {
        self.v6
            .all()
            .filter(|(_, placement)| placement.place.is_entry())
    }

    /// Where a range went, if it is compiled as it stands.
    pub(super) fn placement(&self, net: AnyNet) -> Option<Placement> {
        match net {
            AnyNet::V4(net) => self.v4.entries.get(&net).copied(),
            AnyNet::V6(net) => self.v6.entries.get(&net).copied(),
        }
    }

    /// Ranges of lists whose packets the kernel counts.
    pub(super) fn counted(&self) -> Vec<(AnyNet, Placement)> {
        let v4 = self.entries4().map(|(net, at)| (AnyNet::V4(net), at));
        let v6 = self.entries6().map(|(net, at)| (AnyNet::V6(net), at));
        v4.chain(v6)
            .filter(|(_, placement)| placement.place != Place::Country)
            .collect()
    }

    pub(super) fn words4(&self) -> &Words4 {
        &self.words4
    }

    /// The words of the /32s that have one, with their countries.
    pub(super) fn all_words6(&self) -> impl Iterator<Item = (u32, u16)> {
        let listed = self
            .words6
            .iter()
            .map(|(key, word)| (*key, word | self.country6(*key)));
        let others = self.country_words6().iter();
        let others = others.filter(|(key, _)| !self.words6.contains_key(key));
        listed.chain(others.map(|(key, country)| (*key, (*country).into())))
    }

    /// Bits that the country sets in the word of a /24.
    pub(super) fn country4(&self, index: u32) -> u16 {
        self.countries
            .as_ref()
            .map_or(0, |countries| countries.word4(index))
    }

    /// Bits that the country sets in the word of a /32.
    pub(super) fn country6(&self, key: u32) -> u16 {
        self.countries
            .as_ref()
            .map_or(0, |countries| countries.word6(key))
    }

    /// Who is let in by country.
    pub(super) fn policy(&self) -> Policy {
        self.countries
            .as_ref()
            .map_or(Policy::OFF, |countries| countries.policy)
    }

    pub(super) fn countries(&self) -> Option<Arc<Countries>> {
        self.countries.clone()
    }

    pub(super) fn default6(&self) -> u16 {
        self.default6
    }

    pub(super) fn holds4(&self, net: Net<u32>, bit: u16) -> bool {
        self.v4
            .entries
            .get(&net)
            .is_some_and(|placement| placement.place.bit() == bit)
    }

    pub(super) fn holds6(&self, net: Net<u128>, bit: u16) -> bool {
        self.v6
            .entries
            .get(&net)
            .is_some_and(|placement| placement.place.bit() == bit)
    }

    /// What a ban of this peer is for: an IPv6 network, unless something in it is allowed.
    pub(super) fn range_of(&self, peer: IpAddr) -> Prefix {
        if let IpAddr::V6(address) = peer {
            let network = Net::new(address.to_bits(), 64);
            let mut inside = self.v6.inside(network);
            if !inside.any(|(_, placement)| placement.place == Place::AllowFine) {
                return network.to_prefix();
            }
        }
        AnyNet::from(peer).to_prefix()
    }

    /// The tables at a moment, as the decision function wants them.
    pub(super) fn at(&self, now_ns: u64) -> View<'_> {
        View {
            tables: self,
            now_ns,
        }
    }

    fn default6_wanted(&self) -> u16 {
        if self.v6.lengths.any_below(u128::GRAIN) {
            class::FINE
        } else {
            0
        }
    }

    fn update_words6(&mut self, region: Net<u128>, changes: &mut Changes) {
        let new = self.words6_inside(region);
        let old: BTreeMap<_, _> = self
            .words6
            .range(key6(region.first)..=key6(region.last()))
            .map(|(key, word)| (*key, *word))
            .collect();
        difference6(&old, &new, changes);
        for key in old.keys() {
            self.words6.remove(key);
        }
        self.words6.extend(new);
    }

    /// The words that the /32s of a region need for themselves.
    fn words6_inside(&self, region: Net<u128>) -> BTreeMap<u32, u16> {
        let mut words = BTreeMap::new();
        for (net, placement) in self
            .v6
            .inside(region)
            .filter(|(net, _)| net.length >= u128::GRAIN)
        {
            let word = words
                .entry(key6(net.first))
                .or_insert_with(|| self.v6.bits_around(Net::new(net.first, u128::GRAIN)));
            *word |= placement.place.bit();
        }
        words
    }
}

/// The key of a class word of IPv6.
pub(super) fn key6(address: u128) -> u32 {
    (address >> 96) as u32
}

fn difference6(old: &BTreeMap<u32, u16>, new: &BTreeMap<u32, u16>, changes: &mut Changes) {
    for (key, word) in new {
        if old.get(key) != Some(word) {
            changes.words6.push((*key, Some(*word)));
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(key)) {
        changes.words6.push((*key, None));
    }
}
