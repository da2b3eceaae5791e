//! [`HostTables`] as the decision function reads them.

use openclaw_common::abi::class;
use openclaw_common::bucket::Uncounted;
use openclaw_common::decide::{Record, Tables};
use openclaw_common::verdict::Reason;

use super::super::compile::{Place, Placement};
use super::super::prefix::Net;
use super::HostTables;

/// Tables at a moment.
#[derive(Debug)]
pub(in super::super) struct View<'a> {
    pub(in super::super) tables: &'a HostTables,
    pub(super) now_ns: u64,
}

/// The rest of [`Tables`], where only sources are looked at: packets are the kernel program's.
macro_rules! sources_only {
    () => {
        fn ports(&self, _: openclaw_common::ports::Set, _: u32) -> u64 {
            0
        }

        fn bucket(
            &self,
            _: openclaw_common::packet::Address,
            _: openclaw_common::rate::Kind,
            _: u64,
        ) -> Option<openclaw_common::bucket::Uncounted> {
            None
        }

        fn note(
            &self,
            _: &openclaw_common::abi::Config,
            _: &openclaw_common::packet::Flow,
            _: openclaw_common::verdict::Reason,
            _: u8,
        ) {
        }

        fn now_ns(&self) -> u64 {
            self.now_ns
        }

        fn tick_ns(&self) -> u64 {
            self.now_ns
        }
    };
}
pub(in super::super) use sources_only;

impl Tables for View<'_> {
    type Record = HostRecord;
    type Ban4 = HostRecord;
    type Ban6 = HostRecord;
    type Word = Uncounted;

    fn class4(&self, source: [u8; 4]) -> u16 {
        let index = class::index4(source);
        self.tables.words4.load(index) | self.tables.country4(index)
    }

    fn class6(&self, source: [u8; 16]) -> Option<u16> {
        let key = u32::from_be_bytes(class::key6(source));
        let word = self.tables.words6.get(&key).copied().unwrap_or(0);
        Some(word | self.tables.country6(key))
    }

    fn ban4(&self, source: [u8; 4]) -> Option<HostRecord> {
        self.tables
            .v4
            .ban(Net::host(u32::from_be_bytes(source)))
            .map(HostRecord)
    }

    fn ban6(&self, source: [u8; 16]) -> Option<HostRecord> {
        self.tables
            .v6
            .ban(Net::new(u128::from_be_bytes(source), 64))
            .map(HostRecord)
    }

    fn host6(&self, source: [u8; 16]) -> Option<HostRecord> {
        self.tables
            .v6
            .ban(Net::host(u128::from_be_bytes(source)))
            .map(HostRecord)
    }

    fn fine4(&self, source: [u8; 4]) -> Option<HostRecord> {
        self.tables
            .v4
            .fine(u32::from_be_bytes(source))
            .map(HostRecord)
    }

    fn fine6(&self, source: [u8; 16]) -> Option<HostRecord> {
        self.tables
            .v6
            .fine(u128::from_be_bytes(source))
            .map(HostRecord)
    }

    sources_only!();
}

/// An entry as the decision function sees it.
#[derive(Debug)]
pub(in super::super) struct HostRecord(pub(in super::super) Placement);

impl Record for HostRecord {
    fn until_ns(&self) -> u64 {
        self.0.until_ns
    }

    fn reason(&self) -> u32 {
        reason(self.0.place) as u32
    }

    fn rule(&self) -> u32 {
        self.0.rule.into()
    }

    fn hit(&self) {}
}

/// What stands in the `reason` of a map entry.
pub(in super::super) fn reason(place: Place) -> Reason {
    match place {
        Place::AllowClass | Place::AllowFine => Reason::Allow,
        Place::BlockClass | Place::BlockFine => Reason::Block,
        Place::Ban => Reason::Ban,
        Place::Country => Reason::Geo,
    }
}
