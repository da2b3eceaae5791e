//! Compiled tables into the kernel's maps.

use std::sync::Arc;

use openclaw_common::abi::{Config, Entry, Prefix4, Prefix6, subnet};

use super::compile::{Place, Placement, Run, Sink};
use super::geo::Countries;
use super::host::reason;
use super::kernel::{KernelError, Maps};
use super::prefix::Net;

/// Writes single changes.
pub(super) struct KernelSink<'a> {
    pub(super) maps: &'a Maps,
    /// What the kernel program goes by, which holds the default class word of IPv6.
    pub(super) config: Config,
    /// Whose bits every word has besides those of the lists.
    pub(super) countries: Option<Arc<Countries>>,
    /// Whether the `FINE` maps hold what they should already.
    pub(super) is_swapped: bool,
}

impl KernelSink<'_> {
    /// Whether nothing is to be done about a range of this place.
    const fn skips(&self, place: Place) -> bool {
        match place {
            Place::AllowFine | Place::BlockFine | Place::Country => self.is_swapped,
            Place::AllowClass | Place::BlockClass => true,
            Place::Ban => false,
        }
    }
}

pub(super) fn entry(placement: Placement) -> Entry {
    Entry {
        until_ns: placement.until_ns,
        hits: 0,
        reason: reason(placement.place) as u32,
        rule: placement.rule.into(),
    }
}

pub(super) fn key4(net: Net<u32>) -> Prefix4 {
    Prefix4 {
        length: net.length.into(),
        address: net.first.to_be_bytes(),
    }
}

pub(super) fn key6(net: Net<u128>) -> Prefix6 {
    Prefix6 {
        length: net.length.into(),
        address: net.first.to_be_bytes(),
    }
}

/// Which map the ban of an IPv6 range is in: of its /64 or of a single address.
pub(super) enum Ban6 {
    Subnet([u8; 8]),
    Host([u8; 16]),
}

impl Ban6 {
    pub(super) fn of(net: Net<u128>) -> Self {
        let address = net.first.to_be_bytes();
        if net.length == 64 {
            Self::Subnet(subnet(address))
        } else {
            Self::Host(address)
        }
    }
}

impl Sink for KernelSink<'_> {
    type Error = KernelError;

    fn put_all(&mut self, v4: &[(Net<u32>, Placement)], v6: &[(Net<u128>, Placement)]) -> bool {
        let v4 = v4.iter().filter(|(_, to)| !self.skips(to.place));
        let v6 = v6.iter().filter(|(_, to)| !self.skips(to.place));
        let sorted = Sorted::new(v4.copied(), v6.copied());
        // What went in before one failed goes in again: each then has its own answer.
        sorted.insert(self.maps).is_ok()
    }

    fn remove_all(&mut self, v4: &[(Net<u32>, Place)], v6: &[(Net<u128>, Place)]) -> bool {
        let mut fine4 = Vec::new();
        for (net, place) in v4.iter().filter(|(_, place)| !self.skips(*place)) {
            if *place == Place::Ban {
                self.maps.ban4.remove(net.first.to_be_bytes());
            } else {
                fine4.push(key4(*net));
            }
        }
        let (mut host6, mut fine6) = (Vec::new(), Vec::new());
        for (net, place) in v6.iter().filter(|(_, place)| !self.skips(*place)) {
            match (*place, Ban6::of(*net)) {
                (Place::Ban, Ban6::Subnet(key)) => drop(self.maps.ban6.remove(key)),
                (Place::Ban, Ban6::Host(key)) => host6.push(key),
                _ => fine6.push(key6(*net)),
            }
        }
        let maps = self.maps;
        let removed = maps
            .fine4()
            .remove_many(&fine4)
            .and_then(|_| maps.host6.remove_many(&host6))
            .and_then(|_| maps.fine6().remove_many(&fine6));
        removed.is_ok()
    }

    fn put4(&mut self, net: Net<u32>, placement: Placement) -> Result<(), KernelError> {
        match placement.place {
            place if self.skips(place) => Ok(()),
            Place::Ban => self
                .maps
                .ban4
                .insert(net.first.to_be_bytes(), placement.until_ns),
            Place::AllowFine | Place::BlockFine | Place::Country => {
                self.maps.fine4().insert(&key4(net), &entry(placement))
            }
            Place::AllowClass | Place::BlockClass => Ok(()),
        }
    }

    fn put6(&mut self, net: Net<u128>, placement: Placement) -> Result<(), KernelError> {
        match placement.place {
            place if self.skips(place) => Ok(()),
            Place::Ban => match Ban6::of(net) {
                Ban6::Subnet(key) => self.maps.ban6.insert(key, placement.until_ns),
                Ban6::Host(key) => self.maps.host6.insert(&key, &entry(placement)),
            },
            Place::AllowFine | Place::BlockFine | Place::Country => {
                self.maps.fine6().insert(&key6(net), &entry(placement))
            }
            Place::AllowClass | Place::BlockClass => Ok(()),
        }
    }

    fn words4(&mut self, run: Run) -> Result<(), KernelError> {
        for index in (run.first..).take(run.count as usize) {
            let country = self.countries.as_ref();
            let country = country.map_or(0, |countries| countries.word4(index));
            self.maps.class4.store(index, run.word | country);
        }
        Ok(())
    }

    fn word6(&mut self, key: u32, word: Option<u16>) -> Result<(), KernelError> {
        let country = self.countries.as_ref();
        let country = country.map_or(0, |countries| countries.word6(key));
        let word = word.unwrap_or(0) | country;
        self.maps.class6.store(key.to_be_bytes(), word)
    }

    fn default6(&mut self, word: u16) -> Result<(), KernelError> {
        self.config.default6 = word;
        self.maps.set_config(&self.config)
    }

    fn remove4(&mut self, net: Net<u32>, place: Place) -> Result<(), KernelError> {
        match place {
            place if self.skips(place) => Ok(()),
            Place::Ban => {
                self.maps.ban4.remove(net.first.to_be_bytes());
                Ok(())
            }
            Place::AllowFine | Place::BlockFine | Place::Country => {
                self.maps.fine4().remove(&key4(net)).map(drop)
            }
            Place::AllowClass | Place::BlockClass => Ok(()),
        }
    }

    fn remove6(&mut self, net: Net<u128>, place: Place) -> Result<(), KernelError> {
        match place {
            place if self.skips(place) => Ok(()),
            Place::Ban => match Ban6::of(net) {
                Ban6::Subnet(key) => {
                    self.maps.ban6.remove(key);
                    Ok(())
                }
                Ban6::Host(key) => self.maps.host6.remove(&key).map(drop),
            },
            Place::AllowFine | Place::BlockFine | Place::Country => {
                self.maps.fine6().remove(&key6(net)).map(drop)
            }
            Place::AllowClass | Place::BlockClass => Ok(()),
        }
    }
}

/// Entries by the map that they go into.
pub(super) struct Sorted {
    pub(super) ban4: Vec<([u8; 4], u64)>,
    pub(super) fine4: Vec<(Prefix4, Entry)>,
    pub(super) ban6: Vec<([u8; 8], u64)>,
    pub(super) host6: Vec<([u8; 16], Entry)>,
    pub(super) fine6: Vec<(Prefix6, Entry)>,
}

impl Sorted {
    pub(super) fn new(
        v4: impl Iterator<Item = (Net<u32>, Placement)>,
        v6: impl Iterator<Item = (Net<u128>, Placement)>,
    ) -> Self {
        let mut sorted = Self {
            ban4: Vec::new(),
            fine4: Vec::new(),
            ban6: Vec::new(),
            host6: Vec::new(),
            fine6: Vec::new(),
        };
        for (net, placement) in v4 {
            if placement.place == Place::Ban {
                let key = net.first.to_be_bytes();
                sorted.ban4.push((key, placement.until_ns));
            } else {
                sorted.fine4.push((key4(net), entry(placement)));
            }
        }
        for (net, placement) in v6 {
            match (placement.place, Ban6::of(net)) {
                (Place::Ban, Ban6::Subnet(key)) => sorted.ban6.push((key, placement.until_ns)),
                (Place::Ban, Ban6::Host(key)) => sorted.host6.push((key, entry(placement))),
                _ => sorted.fine6.push((key6(net), entry(placement))),
            }
        }
        sorted
    }

    pub(super) fn insert(&self, maps: &Maps) -> Result<(), KernelError> {
        self.insert_bans(maps)?;
        maps.fine4().insert_many(&self.fine4)?;
        maps.fine6().insert_many(&self.fine6)
    }

    pub(super) fn insert_bans(&self, maps: &Maps) -> Result<(), KernelError> {
        for (key, until_ns) in &self.ban4 {
            maps.ban4.insert(*key, *until_ns)?;
        }
        for (key, until_ns) in &self.ban6 {
            maps.ban6.insert(*key, *until_ns)?;
        }
        maps.host6.insert_many(&self.host6)
    }
}
