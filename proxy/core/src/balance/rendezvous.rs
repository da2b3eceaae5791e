//! Highest random weight: every endpoint draws a number from the key, the highest one serves it. When an endpoint goes, only
//! its own keys move, to all others by their weights; nothing has to be built or kept.

use super::hash::Key;
use super::{Member, View};

/// Endpoints that rank themselves for a key.
#[derive(Clone, Debug)]
pub struct Rendezvous {
    members: Vec<(Key, u32)>,
}

impl Rendezvous {
    pub(super) fn new(members: &[Member<'_>]) -> Self {
        Self {
            members: members
                .iter()
                .map(|member| (Key::of_bytes(member.name.as_bytes()), member.weight))
                .collect(),
        }
    }

    pub(super) fn next(&self, key: Key, view: &impl View) -> Option<usize> {
        let mut best: Option<(usize, f64)> = None;
        for (index, (name, weight)) in self.members.iter().enumerate() {
            if *weight == 0 || !view.is_usable(index) {
                continue;
            }
            let weight = f64::from(*weight) * f64::from(view.share(index));
            let rank = key.rank(*name, weight);
            if best.is_none_or(|(_, highest)| rank > highest) {
                best = Some((index, rank));
            }
        }
        best.map(|(index, _)| index)
    }
}
