//! Which endpoint takes the next request.

/// Smooth weighted round robin.
#[derive(Clone, Debug)]
pub struct RoundRobin {
    slots: Vec<(i64, i64)>,
}

impl RoundRobin {
    pub fn new(weights: &[u32]) -> Self {
        Self {
            slots: weights
                .iter()
                .map(|weight| (i64::from(*weight), 0))
                .collect(),
        }
    }

    /// The next usable endpoint.
    pub fn next(&mut self, mut usable: impl FnMut(usize) -> bool) -> Option<usize> {
        let mut total = 0;
        let mut best: Option<(usize, i64)> = None;
        for (index, (weight, current)) in self.slots.iter_mut().enumerate() {
            if *weight == 0 || !usable(index) {
                continue;
            }
            total += *weight;
            *current += *weight;
            if best.is_none_or(|(_, known)| *current > known) {
                best = Some((index, *current));
            }
        }
        let (index, _) = best?;
        if let Some((_, current)) = self.slots.get_mut(index) {
            *current -= total;
        }
        Some(index)
    }
}
