//! The kernel's maps in memory, and a watch on them while they change.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::IpAddr;

use openclaw_common::abi::{Config, class};
use openclaw_common::bucket::Uncounted;
use openclaw_common::decide::Tables;
use openclaw_common::packet::{Address, Flow};
use openclaw_common::ports::Set;
use openclaw_common::rate::Kind;
use openclaw_common::verdict::Reason;

use super::{is_dropped, probed4};
use crate::shield::compile::{Place, Placement, Run, Sink};
use crate::shield::host::HostRecord;
use crate::shield::prefix::Net;

/// The kernel's maps, simply.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Maps {
    pub(super) ban4: BTreeMap<Net<u32>, Placement>,
    pub(super) fine4: BTreeMap<Net<u32>, Placement>,
    pub(super) ban6: BTreeMap<Net<u128>, Placement>,
    pub(super) fine6: BTreeMap<Net<u128>, Placement>,
    pub(super) words4: HashMap<u32, u16>,
    pub(super) words6: HashMap<u32, u16>,
    pub(super) default6: u16,
}

pub(super) struct At<'a>(pub(super) &'a Maps, pub(super) u64);

impl Tables for At<'_> {
    type Record = HostRecord;
    type Ban4 = HostRecord;
    type Ban6 = HostRecord;
    type Word = Uncounted;

    fn class4(&self, source: [u8; 4]) -> u16 {
        self.0
            .words4
            .get(&class::index4(source))
            .copied()
            .unwrap_or(0)
    }

    fn class6(&self, source: [u8; 16]) -> Option<u16> {
        self.0
            .words6
            .get(&u32::from_be_bytes(class::key6(source)))
            .copied()
    }

    fn ban4(&self, source: [u8; 4]) -> Option<HostRecord> {
        self.0
            .ban4
            .get(&Net::host(u32::from_be_bytes(source)))
            .copied()
            .map(HostRecord)
    }

    fn ban6(&self, source: [u8; 16]) -> Option<HostRecord> {
        let net = Net::new(u128::from_be_bytes(source), 64);
        self.0.ban6.get(&net).copied().map(HostRecord)
    }

    fn host6(&self, source: [u8; 16]) -> Option<HostRecord> {
        let net = Net::host(u128::from_be_bytes(source));
        self.0.ban6.get(&net).copied().map(HostRecord)
    }

    fn fine4(&self, source: [u8; 4]) -> Option<HostRecord> {
        let host = Net::host(u32::from_be_bytes(source));
        let around = self.0.fine4.iter().filter(|(net, _)| net.covers(host));
        around
            .max_by_key(|(net, _)| net.length)
            .map(|(_, placement)| HostRecord(*placement))
    }

    fn fine6(&self, source: [u8; 16]) -> Option<HostRecord> {
        let host = Net::host(u128::from_be_bytes(source));
        let around = self.0.fine6.iter().filter(|(net, _)| net.covers(host));
        around
            .max_by_key(|(net, _)| net.length)
            .map(|(_, placement)| HostRecord(*placement))
    }

    fn ports(&self, _: Set, _: u32) -> u64 {
        0
    }

    fn bucket(&self, _: Address, _: Kind, _: u64) -> Option<Uncounted> {
        None
    }

    fn note(&self, _: &Config, _: &Flow, _: Reason, _: u8) {}

    fn now_ns(&self) -> u64 {
        self.1
    }

    fn tick_ns(&self) -> u64 {
        self.1
    }
}

/// Maps that are watched while they change.
pub(super) struct Watched<'a> {
    pub(super) maps: &'a mut Maps,
    pub(super) now: u64,
    /// Dropped before the change and after it.
    pub(super) dropped: Vec<IpAddr>,
}

impl Watched<'_> {
    fn check(&self) {
        for address in &self.dropped {
            assert!(
                is_dropped(&At(self.maps, self.now), *address),
                "{address} passed in the middle of a change"
            );
        }
    }
}

macro_rules! watched {
    ($($name:ident($($argument:ident: $type:ty),*) $body:expr;)*) => {
        impl Sink for Watched<'_> {
            type Error = Infallible;
            $(fn $name(&mut self, $($argument: $type),*) -> Result<(), Infallible> {
                let change: fn(&mut Maps, $($type),*) = $body;
                change(self.maps, $($argument),*);
                self.check();
                Ok(())
            })*
        }
    };
}

watched! {
    put4(net: Net<u32>, placement: Placement) |maps, net, placement| {
        if placement.place == Place::Ban { &mut maps.ban4 } else { &mut maps.fine4 }.insert(net, placement);
    };
    put6(net: Net<u128>, placement: Placement) |maps, net, placement| {
        if placement.place == Place::Ban { &mut maps.ban6 } else { &mut maps.fine6 }.insert(net, placement);
    };
    words4(run: Run) |maps, run| {
        for index in probed4().filter(|index| (run.first..run.first + run.count).contains(index)) {
            if run.word == 0 { maps.words4.remove(&index); } else { maps.words4.insert(index, run.word); }
        }
    };
    word6(key: u32, word: Option<u16>) |maps, key, word| {
        if let Some(word) = word { maps.words6.insert(key, word); } else { maps.words6.remove(&key); }
    };
    default6(word: u16) |maps, word| maps.default6 = word;
    remove4(net: Net<u32>, place: Place) |maps, net, place| {
        assert!(if place == Place::Ban { &mut maps.ban4 } else { &mut maps.fine4 }.remove(&net).is_some());
    };
    remove6(net: Net<u128>, place: Place) |maps, net, place| {
        assert!(if place == Place::Ban { &mut maps.ban6 } else { &mut maps.fine6 }.remove(&net).is_some());
    };
}
