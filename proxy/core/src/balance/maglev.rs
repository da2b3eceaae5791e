//! Maglev hashing (Eisenbud and others, NSDI 2016, §3.4): a table of a prime number of slots, which endpoints fill in turn,
//! each in an order of its own. A look is one load for any number of endpoints; when one goes, little else moves.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::hash::{Key, mixed};
use super::{Member, View, WHOLE};

/// Slots for few endpoints, and for many: about a hundred times as many as endpoints keep shares even.
const SLOTS: [u32; 2] = [16_381, 131_071];
/// From so many endpoints on the larger table is taken.
const MANY: usize = 128;

/// The filled table.
#[derive(Clone, Debug)]
pub struct Maglev {
    /// Indexes of endpoints; empty if there is none to pick.
    table: Box<[u16]>,
    /// Which members have a weight: one that the others outweigh by far may have no slot.
    weighted: Box<[bool]>,
}

/// One endpoint's order of slots, and how far it has come.
struct Filling {
    index: u16,
    next: u64,
    step: u64,
    weight: u64,
    /// How many slots it has been given.
    turns: u64,
}

impl Maglev {
    pub(super) fn new(members: &[Member<'_>]) -> Self {
        let [few, many] = SLOTS;
        let slots = if members.len() < MANY { few } else { many };
        let slots = u64::from(slots);
        let mut fillings: Vec<Filling> = members
            .iter()
            .zip(0_u16..)
            .filter(|(member, _)| member.weight > 0)
            .map(|(member, index)| {
                let name = Key::of_bytes(member.name.as_bytes()).bits();
                Filling {
                    index,
                    next: name % slots,
                    step: mixed(name) % (slots - 1) + 1,
                    weight: member.weight.into(),
                    turns: 0,
                }
            })
            .collect();
        Self {
            table: fill(&mut fillings, slots),
            weighted: members.iter().map(|member| member.weight > 0).collect(),
        }
    }

    /// A slot whose endpoint is not usable gives its keys to those of the slots behind it; one whose endpoint has only a
    /// share of its weight so many of them, the same ones until it has more.
    pub(super) fn next(&self, key: Key, view: &impl View) -> Option<usize> {
        let slots = self.table.len() as u64;
        let start = usize::try_from(key.bits().checked_rem(slots)?).unwrap_or_default();
        let (before, from) = self.table.split_at_checked(start)?;
        // Not the whole table for a key when nearly all endpoints are down: then they are asked one by one.
        let near = from.iter().chain(before).take(64).copied().map(usize::from);
        let mut near = near.filter(|index| view.is_usable(*index));
        let keeps = |index: &usize| {
            let share = view.share(*index);
            share >= WHOLE || mixed(key.bits() ^ *index as u64) % u64::from(WHOLE) < share.into()
        };
        near.clone()
            .find(keeps)
            .or_else(|| near.next())
            .or_else(|| self.scan(key, view))
    }

    fn scan(&self, key: Key, view: &impl View) -> Option<usize> {
        let weighted = self.weighted.iter().enumerate();
        let mut usable =
            weighted.filter_map(|(index, has)| (*has && view.is_usable(index)).then_some(index));
        let count = usable.clone().count() as u64;
        let place = usize::try_from(key.bits().checked_rem(count)?).ok()?;
        usable.nth(place)
    }
}

fn fill(fillings: &mut [Filling], slots: u64) -> Box<[u16]> {
    let Some(heaviest) = fillings.iter().map(|filling| filling.weight).max() else {
        return Box::default();
    };
    let mut table: Vec<Option<u16>> = (0..slots).map(|_| None).collect();
    // In each round the heaviest one takes a slot, the others as often as their weight says. Only those whose turn it is are
    // looked at: with thousands of light ones beside a heavy one there are far more rounds than slots for them.
    let turns = fillings.iter().enumerate();
    let mut turns: BinaryHeap<Reverse<(u64, usize)>> = turns
        .map(|(place, filling)| Reverse((filling.next_round(heaviest), place)))
        .collect();
    for _ in 0..slots {
        let Some(Reverse((_, place))) = turns.pop() else {
            break;
        };
        if let Some(filling) = fillings.get_mut(place) {
            filling.take(&mut table, slots);
            turns.push(Reverse((filling.next_round(heaviest), place)));
        }
    }
    table.into_iter().flatten().collect()
}

impl Filling {
    /// In which round its weights of all rounds have come to one more turn of the heaviest one's weight.
    fn next_round(&self, heaviest: u64) -> u64 {
        ((self.turns + 1) * heaviest).div_ceil(self.weight)
    }

    /// Takes the next free slot of its order. The number of slots is prime, so each order comes to every slot.
    fn take(&mut self, table: &mut [Option<u16>], slots: u64) {
        self.turns += 1;
        for _ in 0..slots {
            let place = usize::try_from(self.next).unwrap_or_default();
            self.next = (self.next + self.step) % slots;
            if let Some(slot @ None) = table.get_mut(place) {
                *slot = Some(self.index);
                return;
            }
        }
    }
}
