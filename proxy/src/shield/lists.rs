//! The lists as they were given: named lists of ranges, blocked or allowed, each with an end, a reason and the time it was added.
//! Nothing is resolved here; what beats what is decided by [`super::compile`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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
    /// What can never be blocked: own addresses, gateways, trusted proxies.
    Protected,
}

/// Index of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ListId(pub(super) u16);

/// One list without its entries.
#[derive(Clone, Debug)]
pub(super) struct List {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) origin: Origin,
    pub(super) v4: usize,
    pub(super) v6: usize,
}

/// What is known of a range on a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// On the monotonic clock; 0 is forever.
    pub(super) until_ns: u64,
    /// Seconds since 1970.
    pub(super) added: u64,
    pub(super) reason: Option<Arc<str>>,
}

/// How many ranges there are of each length, so that a search for covering ranges looks only where there can be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lengths([u32; 129]);

impl Default for Lengths {
    fn default() -> Self {
        Self([0; 129])
    }
}

impl Lengths {
    pub(super) fn add(&mut self, length: u8) {
        if let Some(count) = self.0.get_mut(usize::from(length)) {
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn remove(&mut self, length: u8) {
        if let Some(count) = self.0.get_mut(usize::from(length)) {
            *count = count.saturating_sub(1);
        }
    }

    /// The lengths in use that are at most `longest`, the shortest first.
    pub(super) fn up_to(&self, longest: u8) -> impl DoubleEndedIterator<Item = u8> {
        let counts = self.0.get(..=usize::from(longest)).unwrap_or(&self.0);
        (0_u8..)
            .zip(counts)
            .filter(|(_, count)| **count > 0)
            .map(|(length, _)| length)
            .collect::<Vec<_>>()
            .into_iter()
    }

    pub(super) fn any_below(&self, length: u8) -> bool {
        self.0
            .iter()
            .take(usize::from(length))
            .any(|count| *count > 0)
    }
}

/// All ranges of one kind and family, over all lists.
#[derive(Debug)]
pub(super) struct Index<A> {
    entries: BTreeMap<(Net<A>, ListId), Record>,
    ends: BTreeSet<(u64, Net<A>, ListId)>,
    lengths: Lengths,
    bans: usize,
}

impl<A> Default for Index<A> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            ends: BTreeSet::new(),
            lengths: Lengths::default(),
            bans: 0,
        }
    }
}

/// A range with the latest end that any list gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Merged<A> {
    pub(super) net: Net<A>,
    /// `u64::MAX` is forever, so that ends compare as they are.
    pub(super) until: u64,
    pub(super) list: ListId,
}

impl<A: Bits> Index<A> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Entries that become bans: an upper bound, as covered ones do not.
    pub(super) fn bans(&self) -> usize {
        self.bans
    }

    pub(super) fn get(&self, net: Net<A>, list: ListId) -> Option<&Record> {
        self.entries.get(&(net, list))
    }

    pub(super) fn insert(&mut self, net: Net<A>, list: ListId, record: Record) -> Option<Record> {
        let old = self.remove(net, list);
        if record.until_ns != 0 {
            self.ends.insert((record.until_ns, net, list));
            self.bans += usize::from(A::is_bannable(net.length));
        }
        self.lengths.add(net.length);
        self.entries.insert((net, list), record);
        old
    }

    pub(super) fn remove(&mut self, net: Net<A>, list: ListId) -> Option<Record> {
        let record = self.entries.remove(&(net, list))?;
        if record.until_ns != 0 {
            self.ends.remove(&(record.until_ns, net, list));
            self.bans -= usize::from(A::is_bannable(net.length));
        }
        self.lengths.remove(net.length);
        Some(record)
    }

    /// Entries of this range and of those inside it.
    pub(super) fn inside(&self, region: Net<A>) -> impl Iterator<Item = (Net<A>, ListId, &Record)> {
        let end = Net {
            first: region.last(),
            length: A::WIDTH,
        };
        self.entries
            .range((region, ListId(0))..=(end, ListId(u16::MAX)))
            .map(|((net, list), record)| (*net, *list, record))
    }

    /// Entries of this range and of those around it, the widest first.
    pub(super) fn covering(&self, net: Net<A>) -> impl Iterator<Item = (Net<A>, ListId, &Record)> {
        self.lengths.up_to(net.length).flat_map(move |length| {
            let wider = Net::new(net.first, length);
            self.entries
                .range((wider, ListId(0))..=(wider, ListId(u16::MAX)))
                .map(|((net, list), record)| (*net, *list, record))
        })
    }

    /// Like [`Self::inside`], one item a range.
    pub(super) fn merged(&self, region: Net<A>) -> impl Iterator<Item = Merged<A>> {
        let mut entries = self.inside(region).map(merge).peekable();
        std::iter::from_fn(move || {
            let mut merged = entries.next()?;
            while let Some(same) = entries.next_if(|next| next.net == merged.net) {
                if same.until > merged.until {
                    merged = same;
                }
            }
            Some(merged)
        })
    }

    /// The latest end of the ranges around this one, itself left out; nothing if there is none.
    pub(super) fn cover(&self, net: Net<A>) -> Option<u64> {
        self.covering(net)
            .filter(|(wider, ..)| wider.length < net.length)
            .map(|entry| merge(entry).until)
            .max()
    }

    /// Takes an entry out whose end has come.
    pub(super) fn pop_ended(&mut self, now_ns: u64) -> Option<(Net<A>, ListId)> {
        let (until_ns, net, list) = *self.ends.first()?;
        if until_ns > now_ns {
            return None;
        }
        self.remove(net, list);
        Some((net, list))
    }

    pub(super) fn next_end(&self) -> Option<u64> {
        self.ends.first().map(|(until_ns, ..)| *until_ns)
    }
}

fn merge<A>((net, list, record): (Net<A>, ListId, &Record)) -> Merged<A> {
    let until = if record.until_ns == 0 {
        u64::MAX
    } else {
        record.until_ns
    };
    Merged { net, until, list }
}

/// Both families of one kind.
#[derive(Debug, Default)]
pub(super) struct Families {
    v4: Index<u32>,
    v6: Index<u128>,
}

/// The family of an address, where code is the same for both.
pub(super) trait Listed: Bits {
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
    lists: Vec<List>,
    block: Families,
    allow: Families,
}

impl Lists {
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
        (0..).map(ListId).zip(&self.lists)
    }

    pub(super) fn list(&self, id: ListId) -> Option<&List> {
        self.lists.get(usize::from(id.0))
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
        if self.lists.len() >= MAX_LISTS {
            return None;
        }
        self.lists.push(List {
            kind,
            name: name.to_owned(),
            origin,
            v4: 0,
            v6: 0,
        });
        Some(ListId(self.lists.len() as u16 - 1))
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
        let (old, family) = match net {
            AnyNet::V4(net) => (self.kind_mut(kind).insert(net, list, record), Family::V4),
            AnyNet::V6(net) => (self.kind_mut(kind).insert(net, list, record), Family::V6),
        };
        if old.is_none() {
            self.count(list, family, 1);
        }
        old
    }

    pub(super) fn remove(&mut self, net: AnyNet, list: ListId) -> Option<Record> {
        let kind = self.list(list)?.kind;
        let (old, family) = match net {
            AnyNet::V4(net) => (self.kind_mut(kind).remove(net, list), Family::V4),
            AnyNet::V6(net) => (self.kind_mut(kind).remove(net, list), Family::V6),
        };
        if old.is_some() {
            self.count(list, family, -1);
        }
        old
    }

    /// Takes out what has ended; at most `limit` entries, the earliest first.
    pub(super) fn reap(&mut self, now_ns: u64, limit: usize) -> Vec<AnyNet> {
        let mut ended = Vec::new();
        for kind in [Kind::Block, Kind::Allow] {
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
            && let Some((net, list)) = self.kind_mut::<A>(kind).pop_ended(now_ns)
        {
            let any = A::any(net);
            self.count(list, any.family(), -1);
            ended.push(any);
        }
    }

    fn count(&mut self, list: ListId, family: Family, change: isize) {
        if let Some(list) = self.lists.get_mut(usize::from(list.0)) {
            let count = match family {
                Family::V4 => &mut list.v4,
                Family::V6 => &mut list.v6,
            };
            *count = count.saturating_add_signed(change);
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
