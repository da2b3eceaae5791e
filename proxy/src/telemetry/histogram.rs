//! A histogram of durations with fixed buckets, wide enough for a cache hit and for a report that takes half a minute.

use std::time::Duration;

/// Upper bounds in nanoseconds, and as they are printed.
pub type Bounds = [(u64, &'static str); 15];

/// For requests.
pub static BOUNDS: Bounds = [
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1"),
    (2_500_000_000, "2.5"),
    (5_000_000_000, "5"),
    (10_000_000_000, "10"),
    (30_000_000_000, "30"),
];

/// For what happens inside one host.
static FINE: Bounds = [
    (5_000, "0.000005"),
    (10_000, "0.00001"),
    (25_000, "0.000025"),
    (50_000, "0.00005"),
    (100_000, "0.0001"),
    (250_000, "0.00025"),
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (100_000_000, "0.1"),
    (1_000_000_000, "1"),
    (10_000_000_000, "10"),
];

/// Counts per bucket (not cumulative) and the sum.
#[derive(Clone, Debug)]
pub struct Histogram {
    bounds: &'static Bounds,
    counts: [u64; 15],
    above: u64,
    sum_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::with(&BOUNDS)
    }
}

impl Histogram {
    /// From microseconds on.
    pub fn fine() -> Self {
        Self::with(&FINE)
    }

    fn with(bounds: &'static Bounds) -> Self {
        Self {
            bounds,
            counts: [0; 15],
            above: 0,
            sum_ns: 0,
        }
    }

    pub fn bounds(&self) -> &'static Bounds {
        self.bounds
    }

    pub fn observe(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.sum_ns = self.sum_ns.saturating_add(nanos);
        let bucket = self.bounds.iter().position(|(bound, _)| nanos <= *bound);
        match bucket.and_then(|bucket| self.counts.get_mut(bucket)) {
            Some(count) => *count += 1,
            None => self.above += 1,
        }
    }

    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.above += other.above;
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
    }

    /// One count per bound, then those above all bounds.
    pub fn buckets(&self) -> impl Iterator<Item = u64> {
        self.counts.iter().copied().chain([self.above])
    }

    pub fn count(&self) -> u64 {
        self.buckets().sum()
    }

    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_ns)
    }
}
