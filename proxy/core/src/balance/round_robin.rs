//! In turn, by weight.

use super::WHOLE;

/// Smooth weighted round robin: over a cycle as long as the sum of the weights each endpoint comes exactly as often as
/// its weight says, and heavy ones do not come in a row.
#[derive(Clone, Debug)]
pub struct RoundRobin {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    weight: i64,
    /// How much it is owed; the one that is owed most is next.
    credit: i64,
}

impl RoundRobin {
    /// An endpoint of weight 0 is never picked.
    pub fn new(weights: impl IntoIterator<Item = u32>) -> Self {
        Self {
            entries: weights
                .into_iter()
                .map(|weight| Entry {
                    weight: weight.into(),
                    credit: 0,
                })
                .collect(),
        }
    }

    /// Takes the turns that come before the share of `worker` of `workers` in the cycle.
    pub(super) fn skip_to(&mut self, worker: usize, workers: usize) {
        // A cycle may have 65,535 turns for each endpoint: a few hundred are enough to set workers apart.
        let cycle = self.entries.iter().map(|entry| entry.weight);
        let cycle = usize::try_from(cycle.sum::<i64>()).unwrap_or(usize::MAX);
        let turns = cycle
            .min(256)
            .max(self.entries.len())
            .saturating_mul(worker)
            / workers.max(1);
        for _ in 0..turns.min(4_096) {
            self.next(|_| true);
        }
    }

    /// The next endpoint among the usable ones; `None` if there is none.
    ///
    /// A retry asks again with a `usable` that leaves out what was tried.
    pub fn next(&mut self, usable: impl Fn(usize) -> bool) -> Option<usize> {
        self.next_by_share(usable, |_| WHOLE)
    }

    /// The same where some have only a share of their weight, of [`WHOLE`].
    pub(super) fn next_by_share(
        &mut self,
        usable: impl Fn(usize) -> bool,
        share: impl Fn(usize) -> u32,
    ) -> Option<usize> {
        let mut round = 0_i64;
        let mut best: Option<(usize, i64)> = None;
        for (index, entry) in self.entries.iter_mut().enumerate() {
            if entry.weight == 0 || !usable(index) {
                continue;
            }
            // Weights are at most 16 bits, shares 17, and credits stay within a cycle: far from the ends of i64.
            let weight = entry.weight.saturating_mul(share(index).into());
            entry.credit = entry.credit.saturating_add(weight);
            round = round.saturating_add(weight);
            if best.is_none_or(|(_, credit)| entry.credit > credit) {
                best = Some((index, entry.credit));
            }
        }
        let (index, credit) = best?;
        if let Some(entry) = self.entries.get_mut(index) {
            entry.credit = credit.saturating_sub(round);
        }
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use proptest::prelude::*;

    use super::RoundRobin;

    fn check(weights: &[u32], unusable: &[usize], expected: &[usize]) {
        let mut balancer = RoundRobin::new(weights.iter().copied());
        let got: Vec<usize> = expected
            .iter()
            .map_while(|_| balancer.next(|index| !unusable.contains(&index)))
            .collect();
        assert_eq!(got, expected, "{weights:?} without {unusable:?}");
    }

    #[test]
    fn turns_are_smooth() {
        check(&[1], &[], &[0, 0, 0]);
        check(&[1, 1], &[], &[0, 1, 0, 1]);
        check(&[1, 1, 1], &[1], &[0, 2, 0, 2]);
        check(&[5, 1, 1], &[], &[0, 0, 1, 0, 2, 0, 0, 0, 0, 1]);
        check(&[1, 3], &[], &[1, 0, 1, 1, 1, 0, 1, 1]);
        check(&[0, 2], &[], &[1, 1, 1]);
    }

    #[test]
    fn nothing_usable_is_none() {
        assert_eq!(RoundRobin::new([]).next(|_| true), None);
        assert_eq!(RoundRobin::new([0, 0]).next(|_| true), None);
        assert_eq!(RoundRobin::new([1, 1]).next(|_| false), None);
    }

    proptest! {
        #[test]
        fn a_cycle_gives_each_its_weight(weights in prop::collection::vec(0_u32..40, 1..12), cycles in 1_u32..4) {
            let total: u32 = weights.iter().sum();
            prop_assume!(total > 0);
            let mut balancer = RoundRobin::new(weights.iter().copied());
            let mut counts = vec![0; weights.len()];
            for _ in 0..total * cycles {
                counts[balancer.next(|_| true).unwrap()] += 1;
            }
            let expected: Vec<u32> = weights.iter().map(|weight| weight * cycles).collect();
            prop_assert_eq!(counts, expected);
        }

        #[test]
        fn only_usable_ones_are_picked_and_the_share_comes_back(
            weights in prop::collection::vec(1_u32..20, 2..8),
            outage in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut balancer = RoundRobin::new(weights.iter().copied());
            for mask in outage {
                let usable = |index: usize| mask >> (index % 8) & 1 == 1;
                let picked = balancer.next(usable);
                prop_assert_eq!(picked.is_some(), (0..weights.len()).any(usable));
                prop_assert!(picked.is_none_or(usable));
            }
            // Whatever happened before, nobody is owed more than a cycle.
            let total: u32 = weights.iter().sum();
            let mut counts = vec![0_u32; weights.len()];
            for _ in 0..total * 10 {
                counts[balancer.next(|_| true).unwrap()] += 1;
            }
            for (count, weight) in counts.iter().zip(&weights) {
                prop_assert!(count.abs_diff(weight * 10) <= total, "{counts:?} for {weights:?}");
            }
        }
    }
}
