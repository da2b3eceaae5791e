//! Whoever costs least, and in turn by weight among those who cost the same.

use super::{Load, Member, RoundRobin, View};

/// Endpoints compared by what exchanges cost there.
#[derive(Clone, Debug)]
pub struct Least {
    weights: Vec<u32>,
    turns: RoundRobin,
    /// Of one choice; kept for its room.
    costs: Vec<f64>,
}

impl Least {
    pub(super) fn new(members: &[Member<'_>], turns: RoundRobin) -> Self {
        Self {
            weights: members.iter().map(|member| member.weight).collect(),
            turns,
            costs: Vec::with_capacity(members.len()),
        }
    }

    /// The cheapest by `cost` for a unit of weight.
    pub(super) fn next(&mut self, view: &impl View, cost: impl Fn(Load) -> f64) -> Option<usize> {
        self.costs.clear();
        let costs = self.weights.iter().enumerate().map(|(index, weight)| {
            if *weight == 0 || !view.is_usable(index) {
                f64::INFINITY
            } else {
                cost(view.load(index)) / (f64::from(*weight) * f64::from(view.share(index)))
            }
        });
        self.costs.extend(costs);
        let least = self.costs.iter().copied().fold(f64::INFINITY, f64::min);
        if least.is_infinite() {
            return None;
        }
        let costs = &self.costs;
        // Equal to the last bit: the same whole numbers, divided by the same weight or not.
        self.turns.next_by_share(
            |index| costs.get(index).is_some_and(|cost| *cost <= least),
            |index| view.share(index),
        )
    }

    /// The cheapest by latency times exchanges. An endpoint that nothing is known of counts as the average of the others, so
    /// that a new one is neither flooded nor left out.
    pub(super) fn next_by_time(&mut self, view: &impl View) -> Option<usize> {
        let (mut sum, mut known) = (0.0, 0.0);
        for (index, weight) in self.weights.iter().enumerate() {
            if *weight > 0 && view.is_usable(index) {
                let latency = view.load(index).latency_us;
                if latency > 0 {
                    sum += f64::from(latency);
                    known += 1.0;
                }
            }
        }
        let average = if known > 0.0 { sum / known } else { 1.0 };
        self.next(view, |load| {
            let latency = match load.latency_us {
                0 => average,
                known => f64::from(known),
            };
            latency * (f64::from(load.active) + 1.0)
        })
    }
}
