//! How long answers usually take: a quantile of the last thousands, from counters that are a few hundred bytes together.

use std::time::Duration;

/// Counters for each doubling of the time: a quantile is too high by an eighth at most.
const PARTS: u32 = 8;
const EXACT: u32 = PARTS.ilog2();
/// Microseconds in 32 bits: more than an hour.
const COUNTERS: usize = (PARTS + (u32::BITS - EXACT) * PARTS) as usize;
/// Fewer say nothing.
const ENOUGH: u32 = 100;
/// With so many all count half as much, so that what was long ago is forgotten.
const MANY: u32 = 4_096;

/// See the module.
#[derive(Debug)]
pub struct Usual {
    counts: [u16; COUNTERS],
    total: u32,
}

impl Default for Usual {
    fn default() -> Self {
        Self {
            counts: [0; COUNTERS],
            total: 0,
        }
    }
}

impl Usual {
    /// An answer took so long.
    pub fn note(&mut self, took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        if let Some(count) = self.counts.get_mut(counter(micros)) {
            *count += 1;
            self.total += 1;
        }
        if self.total >= MANY {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().map(|count| u32::from(*count)).sum();
        }
    }

    /// The time that so many in a hundred keep; nothing while too few are known.
    pub fn quantile(&self, percent: u32) -> Option<Duration> {
        if self.total < ENOUGH {
            return None;
        }
        let wanted = (self.total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += u32::from(*count);
            seen >= wanted
        });
        at.map(|at| Duration::from_micros(end(at)))
    }
}

/// Which counter a time belongs to.
fn counter(micros: u32) -> usize {
    let doublings = micros.checked_ilog2().unwrap_or(0);
    let Some(shift) = doublings.checked_sub(EXACT) else {
        return micros as usize;
    };
    let part = (micros >> shift) - PARTS;
    (PARTS + shift * PARTS + part) as usize
}

/// The first time, in microseconds, that is too long for a counter.
fn end(counter: usize) -> u64 {
    let counter = counter as u64;
    let parts = u64::from(PARTS);
    let Some(above) = counter.checked_sub(parts) else {
        return counter + 1;
    };
    (parts + above % parts + 1) << (above / parts)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{COUNTERS, ENOUGH, Usual, counter, end};

    #[test]
    fn counters_follow_on_each_other_up_to_the_longest_time() {
        let mut before = None;
        for micros in (0..5_000).chain([1 << 20, (1 << 31) + 5, u32::MAX]) {
            let at = counter(micros);
            assert!(at < COUNTERS, "{micros}");
            let (end, micros) = (end(at), u64::from(micros));
            assert!(
                micros < end && end <= micros + micros / 8 + 1,
                "{micros}: {end}"
            );
            assert!(Some(at) >= before, "{micros}");
            before = Some(at);
        }
    }

    #[test]
    fn so_many_in_a_hundred_keep_the_time() {
        let mut usual = Usual::default();
        let millis = Duration::from_millis;
        for count in 1..ENOUGH {
            usual.note(millis(u64::from(count)));
        }
        assert_eq!(usual.quantile(95), None, "too few");
        usual.note(millis(100));
        for (percent, expected) in [(1, 1), (50, 50), (95, 95), (99, 99)] {
            let found = usual.quantile(percent);
            let (least, most) = (millis(expected), millis(expected) * 9 / 8 + millis(1));
            assert!(
                found > Some(least) && found <= Some(most),
                "{percent}: {found:?}"
            );
        }
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let mut usual = Usual::default();
        for _ in 0..100_000 {
            usual.note(Duration::from_secs(1));
        }
        for _ in 0..20_000 {
            usual.note(Duration::from_millis(1));
        }
        assert!(usual.quantile(99) < Some(Duration::from_millis(2)));
    }
}
