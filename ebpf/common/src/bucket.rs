//! Rates, by the generic cell rate algorithm (ITU-T I.371): one word a source holds the time at which a source that kept exactly to
//! its rate would have sent all that this one has. Who is ahead of the clock by more than the burst is refused, and a refused packet
//! costs nothing, so a source above its rate still gets its rate.
//!
//! [`step`] decides; [`admit`] carries it out on a word that other CPUs change at the same time. Each of them adds its own packet, so
//! no packet is lost; between reading and adding, every CPU may let one packet in beyond the burst.

use crate::abi::Limit;

/// What to do with the word of a source for one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Admitted; the source was behind the clock, which it does not save up: the word becomes this.
    Lift(u64),
    /// Admitted; the word grows by this.
    Add(u64),
    /// Refused; the word stays.
    Refuse,
}

/// The step for a packet at `now_ns` of a source whose word is `state_ns`.
#[inline(always)]
pub const fn step(state_ns: u64, now_ns: u64, limit: &Limit) -> Step {
    if state_ns <= now_ns {
        Step::Lift(now_ns.wrapping_add(limit.cost_ns))
    } else if state_ns - now_ns > limit.burst_ns {
        Step::Refuse
    } else {
        Step::Add(limit.cost_ns)
    }
}

/// The word of a source, shared between CPUs.
pub trait Word {
    /// Its value.
    fn load(&self) -> u64;
    /// Sets it to `new` if it is `old`; whether it was.
    fn replace(&self, old: u64, new: u64) -> bool;
    /// Adds to it.
    fn add(&self, more: u64);
}

/// No word: for tables that count nobody.
#[derive(Clone, Copy, Debug)]
pub enum Uncounted {}

impl Word for Uncounted {
    fn load(&self) -> u64 {
        match *self {}
    }
    fn replace(&self, _: u64, _: u64) -> bool {
        match *self {}
    }
    fn add(&self, _: u64) {
        match *self {}
    }
}

/// Whether a packet is within the limit.
#[inline(always)]
pub fn admit<W: Word>(word: &W, now_ns: u64, limit: &Limit) -> bool {
    let state_ns = word.load();
    match step(state_ns, now_ns, limit) {
        Step::Lift(lifted) => {
            // Who loses the race finds the word lifted.
            if !word.replace(state_ns, lifted) {
                word.add(limit.cost_ns);
            }
            true
        }
        Step::Add(cost_ns) => {
            word.add(cost_ns);
            true
        }
        Step::Refuse => false,
    }
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    struct Alone(Cell<u64>);

    impl Word for Alone {
        fn load(&self) -> u64 {
            self.0.get()
        }
        fn replace(&self, old: u64, new: u64) -> bool {
            let was = self.0.get() == old;
            if was {
                self.0.set(new);
            }
            was
        }
        fn add(&self, more: u64) {
            self.0.set(self.0.get() + more);
        }
    }

    const fn limit(cost_ns: u64, burst: u64) -> Limit {
        Limit {
            cost_ns,
            burst_ns: (burst - 1) * cost_ns,
        }
    }

    /// How many of `count` packets at one moment get in.
    fn burst(word: &Alone, now_ns: u64, limit: &Limit, count: u64) -> u64 {
        (0..count)
            .map(|_| u64::from(admit(word, now_ns, limit)))
            .sum()
    }

    #[test]
    fn a_silent_source_has_its_burst_and_then_its_rate() {
        let limit = limit(1_000, 5);
        let word = Alone(Cell::new(0));
        assert_eq!(burst(&word, 1_000_000, &limit, 100), 5);
        for tick in 1..20 {
            assert_eq!(burst(&word, 1_000_000 + tick * 1_000, &limit, 3), 1);
        }
        // Nothing is saved up beyond the burst.
        assert_eq!(burst(&word, 9_000_000, &limit, 100), 5);
    }

    #[test]
    fn a_burst_of_one_admits_one() {
        let limit = limit(1_000, 1);
        let word = Alone(Cell::new(0));
        assert_eq!(burst(&word, 5_000, &limit, 10), 1);
        assert_eq!(burst(&word, 5_999, &limit, 10), 0);
        assert_eq!(burst(&word, 6_000, &limit, 10), 1);
    }

    proptest! {
        /// Over any times of arrival: never more than the burst and the rate allow, and never less than the rate for a source that
        /// keeps to it.
        #[test]
        fn what_gets_in_is_bounded_by_burst_and_rate(
            cost_ns in 1_u64..1_000_000,
            burst in 1_u64..1_000,
            gaps in prop::collection::vec(0_u64..2_000_000, 1..300),
        ) {
            let limit = limit(cost_ns, burst);
            let word = Alone(Cell::new(0));
            let start = 1_000_000_000;
            let mut now = start;
            let mut admitted = 0_u64;
            for gap in &gaps {
                now += gap;
                let ahead = word.load().saturating_sub(now);
                let is_in = admit(&word, now, &limit);
                prop_assert_eq!(is_in, ahead <= limit.burst_ns);
                admitted += u64::from(is_in);
                prop_assert!(word.load() - now <= limit.burst_ns + cost_ns);
                prop_assert!(admitted <= burst + (now - start) / cost_ns);
            }
            let steady = Alone(Cell::new(0));
            for packet in 0..gaps.len() as u64 {
                prop_assert!(admit(&steady, start + packet * cost_ns, &limit));
            }
        }
    }
}
