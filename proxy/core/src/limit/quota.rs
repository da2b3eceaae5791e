//! The generic cell rate algorithm: one number says all that is known of a key, the theoretical arrival time (TAT), up to which it
//! has used what it is allowed. Times are nanoseconds since any beginning; a TAT that has passed is as good as none.

use crate::config::units::Rate;

/// A rate of n in a period with a burst of b: n + b at once, and one more whenever a period's n-th part has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What one request costs; rounded up, so that never too many pass.
    interval: u64,
    /// How many are admitted at once.
    allowance: u64,
    /// Seconds.
    window: u64,
}

/// What a key has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How many more would be admitted now.
    pub remaining: u64,
    /// Until all of the allowance is there again.
    pub reset_ns: u64,
    /// Until the next one is admitted: 0 while there is something left.
    pub retry_ns: u64,
}

/// Whether a request passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The TAT with this request in it.
    Admit(u64),
    /// The allowance is used up.
    Refuse,
}

impl Quota {
    /// The longest time in which an allowance may come back: a year. Every sum of two times fits by far.
    pub const MAX_REFILL_NS: u64 = 366 * 86_400 * 1_000_000_000;

    /// `None`: the allowance would take longer than [`Self::MAX_REFILL_NS`] to come back.
    pub fn new(rate: Rate, burst: u64) -> Option<Self> {
        let period = u64::try_from(rate.period.as_nanos()).ok()?;
        let interval = period.div_ceil(rate.count.max(1)).max(1);
        let allowance = rate.count.max(1).checked_add(burst)?;
        interval
            .checked_mul(allowance)
            .filter(|refill| *refill <= Self::MAX_REFILL_NS)?;
        Some(Self {
            interval,
            allowance,
            window: rate.period.as_secs(),
        })
    }

    /// How many are admitted at once.
    pub fn allowance(&self) -> u64 {
        self.allowance
    }

    /// The period of the rate in seconds.
    pub fn window(&self) -> u64 {
        self.window
    }

    /// Asks for one request.
    #[inline]
    pub fn ask(&self, tat: u64, now: u64) -> Verdict {
        let next = tat.max(now).saturating_add(self.interval);
        if next - now > self.refill() {
            Verdict::Refuse
        } else {
            Verdict::Admit(next)
        }
    }

    /// What is left after what has been admitted.
    pub fn standing(&self, tat: u64, now: u64) -> Standing {
        let used_ns = tat.saturating_sub(now);
        let free_ns = self.refill().saturating_sub(used_ns);
        let remaining = free_ns / self.interval;
        Standing {
            remaining,
            reset_ns: used_ns,
            retry_ns: if remaining > 0 {
                0
            } else {
                self.interval
                    .saturating_sub(free_ns)
                    .saturating_add(used_ns.saturating_sub(self.refill()))
            },
        }
    }

    /// Of a key that has used all of it this moment.
    pub fn exhausted(&self) -> Standing {
        self.standing(self.refill(), 0)
    }

    /// The time in which a whole allowance comes back; checked in `new`.
    fn refill(&self) -> u64 {
        self.interval * self.allowance
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn quota(count: u64, seconds: u64, burst: u64) -> Quota {
        let period = Duration::from_secs(seconds);
        Quota::new(Rate { count, period }, burst).unwrap()
    }

    /// Which of the requests at these times (ns) are admitted.
    fn admitted(quota: Quota, times: &[u64]) -> Vec<bool> {
        let mut tat = 0;
        let mut admit = |now: &u64| match quota.ask(tat, *now) {
            Verdict::Admit(next) => {
                tat = next;
                true
            }
            Verdict::Refuse => false,
        };
        times.iter().map(&mut admit).collect()
    }

    #[test]
    fn a_rate_admits_its_count_at_once_and_its_burst_more() {
        let check = |count, seconds, burst, start: u64| {
            let quota = quota(count, seconds, burst);
            let times = vec![start; (count + burst + 3) as usize];
            let passed = admitted(quota, &times);
            let expected = (0..count + burst + 3).map(|index| index < count + burst);
            assert_eq!(passed, expected.collect::<Vec<_>>(), "{quota:?}");
        };
        for start in [0, 1, 5 * SECOND, 1 << 58] {
            check(10, 60, 0, start);
            check(10, 60, 5, start);
            check(1, 1, 0, start);
            check(7, 60, 3, start);
            check(100, 1, 0, start);
        }
    }

    #[test]
    fn one_more_passes_when_its_part_of_the_period_is_over_and_not_a_nanosecond_before() {
        let quota = quota(10, 60, 0);
        let mut times = vec![100; 10];
        let part = 6 * SECOND;
        times.extend([100 + part - 1, 100 + part, 100 + part + 1]);
        times.extend([100 + 2 * part - 1, 100 + 2 * part]);
        let passed = admitted(quota, &times);
        assert_eq!(
            passed.get(10..),
            Some(&[false, true, false, false, true][..])
        );
    }

    #[test]
    fn what_is_left_is_told_before_it_is_asked_for() {
        let quota = quota(10, 60, 0);
        let check = |tat: u64, now: u64, remaining: u64, reset: u64, retry: u64| {
            let expected = Standing {
                remaining,
                reset_ns: reset * SECOND,
                retry_ns: retry * SECOND,
            };
            assert_eq!(quota.standing(tat * SECOND, now * SECOND), expected);
        };
        check(0, 100, 10, 0, 0);
        check(106, 100, 9, 6, 0);
        check(154, 100, 1, 54, 0);
        check(160, 100, 0, 60, 6);
        check(160, 104, 0, 56, 2);
        check(160, 106, 1, 54, 0);
        // A quota that a reload has made smaller.
        check(220, 100, 0, 120, 66);
    }

    #[test]
    fn an_allowance_comes_back_within_a_year_or_it_is_none() {
        let day = Duration::from_hours(24);
        let rate = |count| Rate { count, period: day };
        assert!(Quota::new(rate(1), 365).is_some());
        assert!(Quota::new(rate(1), 366).is_none());
        assert!(Quota::new(rate(1), u64::MAX).is_none());
        assert!(Quota::new(rate(1_000_000_000), 1_000_000_000).is_some());
    }

    proptest! {
        #[test]
        fn never_more_than_the_allowance_and_what_came_back_pass(
            count in 1..50_u64,
            burst in 0..20_u64,
            steps in proptest::collection::vec(0..SECOND, 1..300),
        ) {
            let quota = quota(count, 10, burst);
            let times: Vec<u64> = steps
                .iter()
                .scan(0, |now, step| {
                    *now += step;
                    Some(*now)
                })
                .collect();
            let passed = admitted(quota, &times);
            let (first, last) = (times[0], *times.last().unwrap());
            let came_back = (last - first) / quota.interval;
            let total = passed.iter().filter(|passed| **passed).count() as u64;
            prop_assert!(total <= quota.allowance + came_back);
            // And what is promised passes: as many at once as there are at the beginning.
            let early = passed.iter().take(quota.allowance as usize);
            prop_assert!(early.into_iter().all(|passed| *passed));
        }
    }
}
