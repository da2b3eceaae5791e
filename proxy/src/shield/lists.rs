//! The lists as they were given: named lists of ranges, blocked or allowed, each with an end, a reason and the time it was added.
//! Nothing is resolved here; what beats what is decided by [`super::compile`].

use std::sync::Arc;

use super::geo::{Countries, Parted};
use super::index::{Index, ListId, Record};
use super::journal::{Happening, Journal};
use super::prefix::{AnyNet, Bits, Family, Net};

/// Lists that one process can have.
pub(super) const MAX_LISTS: usize = 256;
/// Entries over all lists. Bounds what an import can take of the memory.
pub(super) const MAX_ENTRIES: usize = 1 << 21;

/// What being on a list means.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Block,
    Allow,
}

/// Who made a list, which is who may change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Origin {
    /// The command line; kept over restarts.
    Operator,
    /// `shield.allow` and `shield.block`.
    Config,
    /// `shield.lists`.
    Feed,
    /// What can never be blocked: own addresses, gateways, trusted proxies.
    Protected,
}

/// One list without its entries.
#[derive(Clone, Debug)]
pub(super) struct List {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) origin: Origin,
    pub(super) v4: usize,
    pub(super) v6: usize,
    /// Raised by every change but that an entry ends, which is known beforehand.
    pub(super) revision: u64,
}

/// Both families of one kind.
#[derive(Debug, Default)]
pub(super) struct Families {
    v4: Index<u32>,
    v6: Index<u128>,
}

/// The family of an address, where code is the same for both.
pub(super) trait Listed: Bits + Parted {
    fn index(families: &Families) -> &Index<Self>;
    fn index_mut(families: &mut Families) -> &mut Index<Self>;
    fn any(net: Net<Self>) -> AnyNet;
}

impl Listed for u32 {
    fn index(families: &Families) -> &Index<Self> {
        &families.v4
    }

    fn index_mut(families: &mut Families) -> &mut Index<Self> {
        &mut families.v4
    }

    fn any(net: Net<Self>) -> AnyNet {
        AnyNet::V4(net)
    }
}

impl Listed for u128 {
    fn index(families: &Families) -> &Index<Self> {
        &families.v6
    }

    fn index_mut(families: &mut Families) -> &mut Index<Self> {
        &mut families.v6
    }

    fn any(net: Net<Self>) -> AnyNet {
        AnyNet::V6(net)
    }
}

/// Everything that is listed.
#[derive(Debug, Default)]
pub(super) struct Lists {
    all: Vec<List>,
    block: Families,
    allow: Families,
    pub(super) journal: Journal,
    countries: Option<Arc<Countries>>,
}

impl Lists {
    /// Where ranges are, as far as anybody asks.
    pub(super) fn countries(&self) -> Option<&Arc<Countries>> {
        self.countries.as_ref()
    }

    pub(super) fn set_countries(&mut self, countries: Option<Arc<Countries>>) {
        self.countries = countries;
    }

    /// Ranges inside this one that are in another country than their class word says.
    pub(super) fn parts<A: Listed>(&self, region: Net<A>) -> &[(Net<A>, u8)] {
        let countries = self.countries.as_deref();
        countries.map_or(&[], |countries| countries.parts(region))
    }

    pub(super) fn kind<A: Listed>(&self, kind: Kind) -> &Index<A> {
        match kind {
            Kind::Block => A::index(&self.block),
            Kind::Allow => A::index(&self.allow),
        }
    }

    fn kind_mut<A: Listed>(&mut self, kind: Kind) -> &mut Index<A> {
        match kind {
            Kind::Block => A::index_mut(&mut self.block),
            Kind::Allow => A::index_mut(&mut self.allow),
        }
    }

    /// Entries over all lists.
    pub(super) fn len(&self) -> usize {
        [&self.block, &self.allow]
            .into_iter()
            .map(|kind| kind.v4.len() + kind.v6.len())
            .sum()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (ListId, &List)> {
        (0..).map(ListId).zip(&self.all)
    }

    pub(super) fn list(&self, id: ListId) -> Option<&List> {
        self.all.get(usize::from(id.0))
    }

    pub(super) fn find(&self, kind: Kind, name: &str) -> Option<ListId> {
        self.all()
            .find(|(_, list)| list.kind == kind && list.name == name)
            .map(|(id, _)| id)
    }

    /// The list of that name, made if need be; nothing if there are too many.
    pub(super) fn find_or_make(
        &mut self,
        kind: Kind,
        name: &str,
        origin: Origin,
    ) -> Option<ListId> {
        if let Some(id) = self.find(kind, name) {
            return Some(id);
        }
        if self.all.len() >= MAX_LISTS {
            return None;
        }
        self.all.push(List {
            kind,
            name: name.to_owned(),
            origin,
            v4: 0,
            v6: 0,
            revision: 0,
        });
        Some(ListId(self.all.len() as u16 - 1))
    }

    pub(super) fn set_origin(&mut self, list: ListId, origin: Origin) {
        if let Some(list) = self.all.get_mut(usize::from(list.0)) {
            list.origin = origin;
        }
    }

    pub(super) fn get(&self, net: AnyNet, list: ListId) -> Option<&Record> {
        let kind = self.list(list)?.kind;
        match net {
            AnyNet::V4(net) => self.kind(kind).get(net, list),
            AnyNet::V6(net) => self.kind(kind).get(net, list),
        }
    }

    /// Puts a range on a list, in place of what the list said of it before.
    pub(super) fn insert(&mut self, net: AnyNet, list: ListId, record: Record) -> Option<Record> {
        let kind = self.list(list)?.kind;
        let noted = self.journal.is_on().then(|| record.clone());
        let (old, family) = match net {
            AnyNet::V4(net) => (self.kind_mut(kind).insert(net, list, record), Family::V4),
            AnyNet::V6(net) => (self.kind_mut(kind).insert(net, list, record), Family::V6),
        };
        self.touch(list);
        if old.is_none() {
            self.count(list, family, 1);
        }
        if let Some(record) = noted {
            let happening = match old {
                Some(_) => Happening::Updated,
                None => Happening::Added,
            };
            self.journal.note(happening, list, net, record);
        }
        old
    }

    pub(super) fn remove(&mut self, net: AnyNet, list: ListId) -> Option<Record> {
        let kind = self.list(list)?.kind;
        let (old, family) = match net {
            AnyNet::V4(net) => (self.kind_mut(kind).remove(net, list), Family::V4),
            AnyNet::V6(net) => (self.kind_mut(kind).remove(net, list), Family::V6),
        };
        if let Some(record) = &old {
            self.touch(list);
            self.count(list, family, -1);
            if self.journal.is_on() {
                let record = record.clone();
                self.journal.note(Happening::Deleted, list, net, record);
            }
        }
        old
    }

    /// Takes out what has ended; at most `limit` entries, the earliest first.
    pub(super) fn reap(&mut self, now_ns: u64, limit: usize) -> Vec<AnyNet> {
        let mut ended = Vec::new();
        // What was allowed is blocked again at its end, and must not wait behind a million blocks that end.
        for kind in [Kind::Allow, Kind::Block] {
            self.reap_family::<u32>(kind, now_ns, limit, &mut ended);
            self.reap_family::<u128>(kind, now_ns, limit, &mut ended);
        }
        ended
    }

    fn reap_family<A: Listed>(
        &mut self,
        kind: Kind,
        now_ns: u64,
        limit: usize,
        ended: &mut Vec<AnyNet>,
    ) {
        while ended.len() < limit
            && let Some((net, list, record)) = self.kind_mut::<A>(kind).pop_ended(now_ns)
        {
            let any = A::any(net);
            self.count(list, any.family(), -1);
            if self.journal.is_on() {
                self.journal.note(Happening::Expired, list, any, record);
            }
            ended.push(any);
        }
    }

    fn touch(&mut self, list: ListId) {
        if let Some(list) = self.all.get_mut(usize::from(list.0)) {
            list.revision += 1;
        }
    }

    fn count(&mut self, list: ListId, family: Family, change: isize) {
        if let Some(list) = self.all.get_mut(usize::from(list.0)) {
            let count = match family {
                Family::V4 => &mut list.v4,
                Family::V6 => &mut list.v6,
            };
            *count = count.saturating_add_signed(change);
        }
    }

    /// Shows every entry of every list, IPv4 first, in the order of addresses.
    pub(super) fn each<'a>(&'a self, mut show: impl FnMut(ListId, AnyNet, &'a Record)) {
        for kind in [Kind::Block, Kind::Allow] {
            for (net, list, record) in self.kind::<u32>(kind).inside(Net::new(0, 0)) {
                show(list, AnyNet::V4(net), record);
            }
            for (net, list, record) in self.kind::<u128>(kind).inside(Net::new(0, 0)) {
                show(list, AnyNet::V6(net), record);
            }
        }
    }

    /// Every entry of a list, IPv4 first, in the order of addresses.
    pub(super) fn entries(&self, list: ListId) -> impl Iterator<Item = (AnyNet, &Record)> {
        self.list(list).into_iter().flat_map(move |info| {
            let v4 = self.kind::<u32>(info.kind).inside(Net::new(0, 0));
            let v6 = self.kind::<u128>(info.kind).inside(Net::new(0, 0));
            let v4 = v4
                .filter(move |(_, id, _)| *id == list)
                .map(|(net, _, record)| (AnyNet::V4(net), record));
            let v6 = v6
                .filter(move |(_, id, _)| *id == list)
                .map(|(net, _, record)| (AnyNet::V6(net), record));
            v4.chain(v6)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::super::prefix::{show, tests::prefix};
    use super::*;

    fn record(until_ns: u64) -> Record {
        Record {
            until_ns,
            added: 0,
            reason: None,
        }
    }

    #[test]
    fn entries_are_found_by_what_they_cover_and_by_what_covers_them() {
        let mut lists = Lists::default();
        let id = lists
            .find_or_make(Kind::Block, "manual", Origin::Operator)
            .unwrap();
        for text in [
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.3",
            "11.0.0.0/8",
            "2001:db8::/32",
        ] {
            assert!(
                lists
                    .insert(AnyNet::from(prefix(text)), id, record(0))
                    .is_none()
            );
        }
        let index = lists.kind::<u32>(Kind::Block);
        let show_all = |nets: Vec<Net<u32>>| {
            nets.iter()
                .map(|net| show(&net.to_prefix()))
                .collect::<Vec<_>>()
        };
        let host = Net::host(u32::from_be_bytes([10, 1, 2, 3]));
        let around = index.covering(host).map(|(net, ..)| net).collect();
        assert_eq!(show_all(around), ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3"]);
        let inside = index
            .inside(Net::new(u32::from_be_bytes([10, 1, 0, 0]), 16))
            .map(|(net, ..)| net)
            .collect();
        assert_eq!(show_all(inside), ["10.1.0.0/16", "10.1.2.3"]);
        assert_eq!(
            (
                lists.len(),
                lists.list(id).unwrap().v4,
                lists.list(id).unwrap().v6
            ),
            (5, 4, 1)
        );
    }

    #[test]
    fn a_range_on_two_lists_lasts_as_long_as_the_later_end() {
        let mut lists = Lists::default();
        let first = lists
            .find_or_make(Kind::Block, "a", Origin::Operator)
            .unwrap();
        let second = lists
            .find_or_make(Kind::Block, "b", Origin::Operator)
            .unwrap();
        let net = AnyNet::from(prefix("192.0.2.1"));
        lists.insert(net, first, record(50));
        lists.insert(net, second, record(70));
        let all = Net::new(0, 0);
        let merged: Vec<_> = lists.kind::<u32>(Kind::Block).merged(all).collect();
        assert_eq!(
            merged
                .iter()
                .map(|one| (one.until, one.list))
                .collect::<Vec<_>>(),
            [(70, second)]
        );
        assert_eq!(lists.reap(49, 100), []);
        assert_eq!(lists.reap(50, 100), [net]);
        assert_eq!(lists.kind::<u32>(Kind::Block).next_end(), Some(70));
        lists.insert(net, second, record(0));
        assert_eq!(lists.reap(u64::MAX, 100), []);
        assert_eq!(lists.len(), 1);
    }
}
