//! Highest random weight: every endpoint draws a number from the key, the highest one serves it. When an endpoint goes, only
//! its own keys move, to all others by their weights; nothing has to be built or kept.

use super::hash::{Key, mixed};
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
            let rank = rank(key.with(*name), *weight);
            if best.is_none_or(|(_, highest)| rank > highest) {
                best = Some((index, rank));
            }
        }
        best.map(|(index, _)| index)
    }
}

/// Shares are exactly by weight when the rank is the weight over an exponentially distributed number.
#[expect(
    clippy::cast_precision_loss,
    reason = "53 bits are as many as fit exactly"
)]
fn rank(hash: u64, weight: u32) -> f64 {
    let unit = ((mixed(hash) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    f64::from(weight) / -unit.ln()
}
