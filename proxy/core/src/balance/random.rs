//! The less busy of two drawn at random: nearly as even as knowing all, and many workers do not run to the same endpoint at
//! the same moment.

use super::{Member, View};

/// Endpoints to draw from.
#[derive(Clone, Debug)]
pub struct Random {
    weights: Vec<u32>,
}

impl Random {
    pub(super) fn new(members: &[Member<'_>]) -> Self {
        Self {
            weights: members.iter().map(|member| member.weight).collect(),
        }
    }

    pub(super) fn next(&self, random: u64, view: &impl View) -> Option<usize> {
        let [high, low] = [random >> 32, random & u64::from(u32::MAX)];
        let first = self.draw(high, None, view)?;
        let Some(second) = self.draw(low, Some(first), view) else {
            return Some(first);
        };
        // Drawn by weight already: compared by what each share of them has to do.
        let busy = |index: usize| {
            let weight = self.weights.get(index).copied().unwrap_or(1);
            f64::from(view.load(index).active) / (f64::from(weight) * f64::from(view.share(index)))
        };
        Some(if busy(second) < busy(first) {
            second
        } else {
            first
        })
    }

    /// One of the usable ones but `taken`, by weight. `random` has 32 bits.
    fn draw(&self, random: u64, taken: Option<usize>, view: &impl View) -> Option<usize> {
        let usable = || {
            self.weights
                .iter()
                .enumerate()
                .filter(|(index, weight)| {
                    **weight > 0 && taken != Some(*index) && view.is_usable(*index)
                })
                .map(|(index, weight)| (index, u64::from(*weight) * u64::from(view.share(index))))
        };
        let total: u64 = usable().map(|(_, weight)| weight).sum();
        // Scaled instead of divided: `random` has 32 bits.
        let place = (u128::from(random) * u128::from(total)) >> 32;
        let mut place = u64::try_from(place).unwrap_or(u64::MAX);
        for (index, weight) in usable() {
            if place < weight {
                return Some(index);
            }
            place -= weight;
        }
        None
    }
}
