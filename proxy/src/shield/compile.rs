//! From lists to tables: which map, if any, each range goes into, with allow-beats-block resolved. The contract that the result keeps
//! stands in `openclaw_common::maps`. Pure; the same function compiles one address and a whole world.

use openclaw_common::abi::class;

use super::index::Merged;
use super::lists::{Kind, Listed, Lists};
use super::prefix::{Bits, Net};

/// Where a range is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Place {
    /// Spelt out in class words.
    AllowClass,
    /// Spelt out in class words.
    BlockClass,
    /// In the `FINE` map.
    AllowFine,
    /// In the `FINE` map.
    BlockFine,
    /// In the `BAN` map.
    Ban,
    /// In the `FINE` map: a part of a class word's range that is in another country.
    Country,
}

impl Place {
    /// What it sets in the class words that it touches.
    pub(super) const fn bit(self) -> u16 {
        match self {
            Self::AllowClass => class::ALLOWED,
            Self::BlockClass => class::BLOCKED,
            Self::AllowFine | Self::BlockFine | Self::Country => class::FINE,
            Self::Ban => class::BANNED,
        }
    }

    /// Whether the range is an entry of a map rather than bits of class words.
    pub(super) const fn is_entry(self) -> bool {
        match self {
            Self::AllowFine | Self::BlockFine | Self::Ban | Self::Country => true,
            Self::AllowClass | Self::BlockClass => false,
        }
    }

    /// Whether two places are the same map.
    pub(super) const fn shares_map(self, other: Self) -> bool {
        self.is_entry() && self.bit() == other.bit()
    }
}

/// A compiled range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    pub(super) place: Place,
    /// 0 is forever.
    pub(super) until_ns: u64,
    /// The list that the range is on, the longest-lived if there are several; or the number of its country.
    pub(super) rule: u16,
}

/// Compiles a range and everything inside it, in the order of ranges.
pub(super) fn placements<A: Listed>(lists: &Lists, region: Net<A>) -> Vec<(Net<A>, Placement)> {
    let allow = lists.kind::<A>(Kind::Allow);
    let block = lists.kind::<A>(Kind::Block);
    let mut allowed = Nesting::new(allow.cover(region));
    let mut blocked = Nesting::new(block.cover(region));
    let mut allow = allow.merged(region).peekable();
    let mut block = block.merged(region).peekable();
    let mut parts = lists.parts(region).iter().copied().peekable();
    let mut placed = Vec::new();
    loop {
        // Of the same range the allow entry comes first, so that the block entry finds itself inside it; the country comes last.
        let heads = [
            allow.peek().map(|merged| (merged.net, Next::Allow)),
            block.peek().map(|merged| (merged.net, Next::Block)),
            parts.peek().map(|(net, _)| (*net, Next::Country)),
        ];
        let Some((net, next)) = heads.into_iter().flatten().min() else {
            break;
        };
        let is_covered = allowed.enter(net).is_some();
        match next {
            Next::Allow => {
                if let Some(merged) = allow.next()
                    && allowed.add(merged)
                {
                    placed.push((net, placement(Kind::Allow, merged)));
                }
            }
            Next::Block => {
                if let Some(merged) = block.next()
                    && !is_covered
                    && blocked.add(merged)
                {
                    placed.push((net, placement(Kind::Block, merged)));
                }
            }
            // Inside a list's range the list decides; a longer match would hide it.
            Next::Country => {
                if let Some((_, country)) = parts.next()
                    && !is_covered
                    && blocked.enter(net).is_none()
                {
                    placed.push((net, in_country(country)));
                }
            }
        }
    }
    placed
}

/// What a range comes from, the strongest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Allow,
    Block,
    Country,
}

fn in_country(country: u8) -> Placement {
    Placement {
        place: Place::Country,
        until_ns: 0,
        rule: country.into(),
    }
}

/// The ranges of one kind around the current one, each with the latest end of itself and those around it.
struct Nesting<A> {
    outer: Option<u64>,
    stack: Vec<(Net<A>, u64)>,
}

impl<A: Bits> Nesting<A> {
    fn new(outer: Option<u64>) -> Self {
        Self {
            outer,
            stack: Vec::new(),
        }
    }

    /// Leaves the ranges that end before this one; the latest end of those that remain.
    fn enter(&mut self, net: Net<A>) -> Option<u64> {
        while self
            .stack
            .last()
            .is_some_and(|(around, _)| !around.covers(net))
        {
            self.stack.pop();
        }
        self.stack.last().map(|(_, until)| *until).or(self.outer)
    }

    /// Enters a range; false if a range around it makes it superfluous, because it lasts as long.
    fn add(&mut self, merged: Merged<A>) -> bool {
        let around = self.enter(merged.net);
        let is_needed = around.is_none_or(|until| until < merged.until);
        self.stack.push((
            merged.net,
            around.map_or(merged.until, |until| until.max(merged.until)),
        ));
        is_needed
    }
}

fn placement<A: Bits>(kind: Kind, merged: Merged<A>) -> Placement {
    let Merged { net, until, list } = merged;
    let until_ns = if until == u64::MAX { 0 } else { until };
    let fits_class = until_ns == 0 && (A::COARSEST..=A::GRAIN).contains(&net.length);
    let place = match kind {
        Kind::Allow if fits_class => Place::AllowClass,
        Kind::Allow => Place::AllowFine,
        Kind::Block if fits_class => Place::BlockClass,
        Kind::Block if until_ns != 0 && A::is_bannable(net.length) => Place::Ban,
        Kind::Block => Place::BlockFine,
    };
    Placement {
        place,
        until_ns,
        rule: list.0,
    }
}

/// The same class word for several /24s in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: u32,
    pub(super) count: u32,
    pub(super) word: u16,
}

/// Map entries of one family to write and to remove.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entries<A> {
    pub(super) puts: Vec<(Net<A>, Placement)>,
    pub(super) removes: Vec<(Net<A>, Place)>,
}

impl<A> Default for Entries<A> {
    fn default() -> Self {
        Self {
            puts: Vec::new(),
            removes: Vec::new(),
        }
    }
}

impl<A: Bits> Entries<A> {
    /// What turns `old` into `new`, both in the order of ranges.
    pub(super) fn add_difference(
        &mut self,
        old: impl Iterator<Item = (Net<A>, Placement)>,
        new: impl Iterator<Item = (Net<A>, Placement)>,
    ) {
        let (mut old, mut new) = (old.peekable(), new.peekable());
        loop {
            match (old.peek().copied(), new.peek().copied()) {
                (Some((gone, placement)), Some((net, _))) if gone < net => {
                    self.remove(gone, placement.place);
                    old.next();
                }
                (Some((gone, placement)), None) => {
                    self.remove(gone, placement.place);
                    old.next();
                }
                (Some((net, before)), Some((same, after))) if net == same => {
                    if before != after {
                        self.put(net, after);
                    }
                    if !before.place.shares_map(after.place) {
                        self.remove(net, before.place);
                    }
                    old.next();
                    new.next();
                }
                (_, Some((net, placement))) => {
                    self.put(net, placement);
                    new.next();
                }
                (None, None) => break,
            }
        }
    }

    fn put(&mut self, net: Net<A>, placement: Placement) {
        if placement.place.is_entry() {
            self.puts.push((net, placement));
        }
    }

    fn remove(&mut self, net: Net<A>, place: Place) {
        if place.is_entry() {
            self.removes.push((net, place));
        }
    }
}

/// What has to be written into the maps, in the order in which no address that is blocked before and after ever passes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) v4: Entries<u32>,
    pub(super) v6: Entries<u128>,
    pub(super) words4: Vec<Run>,
    /// Keyed by the first 32 bits; nothing is no word of its own.
    pub(super) words6: Vec<(u32, Option<u16>)>,
    pub(super) default6: Option<u16>,
}

/// Maps that changes are written into.
pub(super) trait Sink {
    type Error;
    fn put4(&mut self, net: Net<u32>, placement: Placement) -> Result<(), Self::Error>;
    fn put6(&mut self, net: Net<u128>, placement: Placement) -> Result<(), Self::Error>;
    fn words4(&mut self, run: Run) -> Result<(), Self::Error>;
    fn word6(&mut self, key: u32, word: Option<u16>) -> Result<(), Self::Error>;
    fn default6(&mut self, word: u16) -> Result<(), Self::Error>;
    fn remove4(&mut self, net: Net<u32>, place: Place) -> Result<(), Self::Error>;
    fn remove6(&mut self, net: Net<u128>, place: Place) -> Result<(), Self::Error>;

    /// Many at once; false if they have to be tried one by one.
    fn put_all(&mut self, _v4: &[(Net<u32>, Placement)], _v6: &[(Net<u128>, Placement)]) -> bool {
        false
    }

    /// As above.
    fn remove_all(&mut self, _v4: &[(Net<u32>, Place)], _v6: &[(Net<u128>, Place)]) -> bool {
        false
    }
}

/// Writes that failed, of which the first is kept.
#[derive(Debug)]
pub(super) struct Failures<E> {
    pub(super) count: usize,
    pub(super) first: Option<E>,
}

impl<E> Failures<E> {
    fn note(&mut self, result: Result<(), E>) {
        if let Err(error) = result {
            self.count += 1;
            self.first.get_or_insert(error);
        }
    }
}

impl Changes {
    /// Writes all that can be written: a map that is full must not keep the rest of a list from the others.
    pub(super) fn apply<S: Sink>(&self, sink: &mut S) -> Failures<S::Error> {
        let mut failures = Failures {
            count: 0,
            first: None,
        };
        if !sink.put_all(&self.v4.puts, &self.v6.puts) {
            for (net, placement) in &self.v4.puts {
                failures.note(sink.put4(*net, *placement));
            }
            for (net, placement) in &self.v6.puts {
                failures.note(sink.put6(*net, *placement));
            }
        }
        for run in &self.words4 {
            failures.note(sink.words4(*run));
        }
        // A word that comes must not hide the default before it says as much itself, and one that goes must not leave a gap.
        let goes_first = self.default6.is_some_and(|word| word != 0);
        if let Some(word) = self.default6.filter(|_| goes_first) {
            failures.note(sink.default6(word));
        }
        for (key, word) in &self.words6 {
            failures.note(sink.word6(*key, *word));
        }
        if let Some(word) = self.default6.filter(|_| !goes_first) {
            failures.note(sink.default6(word));
        }
        if !sink.remove_all(&self.v4.removes, &self.v6.removes) {
            for (net, place) in &self.v4.removes {
                failures.note(sink.remove4(*net, *place));
            }
            for (net, place) in &self.v6.removes {
                failures.note(sink.remove6(*net, *place));
            }
        }
        failures
    }
}
