//! Ranges in the order of addresses, to be found by what they cover and by what covers them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::prefix::{Bits, Net};

/// Index of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ListId(pub(super) u16);

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
        (0..=longest).filter(|length| {
            self.0
                .get(usize::from(*length))
                .is_some_and(|count| *count > 0)
        })
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
    pub(super) fn pop_ended(&mut self, now_ns: u64) -> Option<(Net<A>, ListId, Record)> {
        let (until_ns, net, list) = *self.ends.first()?;
        if until_ns > now_ns {
            return None;
        }
        let record = self.remove(net, list)?;
        Some((net, list, record))
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
