//! Compiled tables into the kernel's maps.

use openclaw_common::abi::{Config, Entry, Prefix4, Prefix6, class};

use super::compile::{Place, Placement, Run, Sink};
use super::host::{HostTables, reason};
use super::kernel::{KernelError, Maps};
use super::prefix::Net;

/// Writes single changes.
pub(super) struct KernelSink<'a> {
    pub(super) maps: &'a Maps,
    /// What the kernel program goes by, which holds the default class word of IPv6.
    pub(super) config: Config,
}

fn entry(placement: Placement) -> Entry {
    Entry {
        until_ns: placement.until_ns,
        hits: 0,
        reason: reason(placement.place) as u32,
        rule: u32::from(placement.list.0),
    }
}

fn key4(net: Net<u32>) -> Prefix4 {
    Prefix4 {
        length: net.length.into(),
        address: net.first.to_be_bytes(),
    }
}

fn key6(net: Net<u128>) -> Prefix6 {
    Prefix6 {
        length: net.length.into(),
        address: net.first.to_be_bytes(),
    }
}

impl Sink for KernelSink<'_> {
    type Error = KernelError;

    fn put4(&mut self, net: Net<u32>, placement: Placement) -> Result<(), KernelError> {
        match placement.place {
            Place::Ban => self
                .maps
                .ban4
                .insert(net.first.to_be_bytes(), placement.until_ns),
            Place::AllowFine | Place::BlockFine => {
                self.maps.fine4.insert(&key4(net), &entry(placement))
            }
            Place::AllowClass | Place::BlockClass => Ok(()),
        }
    }

    fn put6(&mut self, net: Net<u128>, placement: Placement) -> Result<(), KernelError> {
        match placement.place {
            Place::Ban => self.maps.ban6.insert(&key6(net), &entry(placement)),
            Place::AllowFine | Place::BlockFine => {
                self.maps.fine6.insert(&key6(net), &entry(placement))
            }
            Place::AllowClass | Place::BlockClass => Ok(()),
        }
    }

    fn words4(&mut self, run: Run) -> Result<(), KernelError> {
        for index in (run.first..).take(run.count as usize) {
            self.maps.class4.store(index, run.word);
        }
        Ok(())
    }

    fn word6(&mut self, key: u32, word: Option<u16>) -> Result<(), KernelError> {
        let key = key.to_be_bytes();
        match word {
            Some(word) => self.maps.class6.insert(&key, &word),
            None => self.maps.class6.remove(&key).map(drop),
        }
    }

    fn default6(&mut self, word: u16) -> Result<(), KernelError> {
        self.config.default6 = word;
        self.maps.refresh_config(&self.config)
    }

    fn remove4(&mut self, net: Net<u32>, place: Place) -> Result<(), KernelError> {
        match place {
            Place::Ban => {
                self.maps.ban4.remove(net.first.to_be_bytes());
                Ok(())
            }
            Place::AllowFine | Place::BlockFine => self.maps.fine4.remove(&key4(net)).map(drop),
            Place::AllowClass | Place::BlockClass => Ok(()),
        }
    }

    fn remove6(&mut self, net: Net<u128>, place: Place) -> Result<(), KernelError> {
        match place {
            Place::Ban => self.maps.ban6.remove(&key6(net)).map(drop),
            Place::AllowFine | Place::BlockFine => self.maps.fine6.remove(&key6(net)).map(drop),
            Place::AllowClass | Place::BlockClass => Ok(()),
        }
    }
}

/// Makes maps, whatever an earlier process left in them, hold exactly these tables. What is in both is never missing: entries come
/// first, then the words that lead to them, and what is gone goes last.
pub(super) fn synchronise(
    maps: &Maps,
    tables: &HostTables,
    config: &Config,
) -> Result<(), KernelError> {
    let all4: Vec<_> = tables.entries4().collect();
    let all6: Vec<_> = tables.entries6().collect();
    let is_ban = |placement: &Placement| placement.place == Place::Ban;
    let (ban4, fine4): (Vec<_>, Vec<_>) = all4
        .into_iter()
        .partition(|(_, placement)| is_ban(placement));
    let (ban6, fine6): (Vec<_>, Vec<_>) = all6
        .into_iter()
        .partition(|(_, placement)| is_ban(placement));
    let fine4: Vec<_> = fine4
        .into_iter()
        .map(|(net, placement)| (key4(net), entry(placement)))
        .collect();
    let ban6: Vec<_> = ban6
        .into_iter()
        .map(|(net, placement)| (key6(net), entry(placement)))
        .collect();
    let fine6: Vec<_> = fine6
        .into_iter()
        .map(|(net, placement)| (key6(net), entry(placement)))
        .collect();
    for (net, placement) in ban4 {
        maps.ban4
            .insert(net.first.to_be_bytes(), placement.until_ns)?;
    }
    maps.fine4.insert_many(&fine4)?;
    maps.ban6.insert_many(&ban6)?;
    maps.fine6.insert_many(&fine6)?;
    maps.set_config(config)?;
    for run in tables.words4().runs() {
        for index in (run.first..).take(run.count as usize) {
            maps.class4.store(index, run.word);
        }
    }
    let words6: Vec<_> = tables
        .words6()
        .iter()
        .map(|(key, word)| (key.to_be_bytes(), *word))
        .collect();
    maps.class6.replace(&words6)?;
    remove_stale(maps, tables)
}

fn remove_stale(maps: &Maps, tables: &HostTables) -> Result<(), KernelError> {
    let net4 = |key: &Prefix4| Net::new(u32::from_be_bytes(key.address), key.length as u8);
    let net6 = |key: &Prefix6| Net::new(u128::from_be_bytes(key.address), key.length as u8);
    for (address, _) in maps.ban4.entries() {
        if !tables.holds4(Net::host(u32::from_be_bytes(address)), class::BANNED) {
            maps.ban4.remove(address);
        }
    }
    let mut stale = maps.fine4.keys()?;
    stale.retain(|key| !tables.holds4(net4(key), class::FINE));
    maps.fine4.remove_many(&stale)?;
    let mut stale = maps.ban6.keys()?;
    stale.retain(|key| !tables.holds6(net6(key), class::BANNED));
    maps.ban6.remove_many(&stale)?;
    let mut stale = maps.fine6.keys()?;
    stale.retain(|key| !tables.holds6(net6(key), class::FINE));
    maps.fine6.remove_many(&stale)?;
    Ok(())
}
