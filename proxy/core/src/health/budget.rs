//! How many requests may be asked again: a share of those that were asked, so that an upstream whose endpoints all fail is
//! not asked several times as much as one that works.

use std::time::{Duration, Instant};

/// Retries that may be had at once after a long time without any.
const MOST: u32 = 1_000;
/// Retries that may be had in any second, however few requests there are.
const FLOOR: u32 = 10;
/// What is left for retries after failures, of the floor and of what is saved, where a request is asked again only to be faster.
const RESERVE: u32 = FLOOR / 2;
/// A whole retry, in hundredths.
const WHOLE: u32 = 100;

/// The retries that are left.
#[derive(Clone, Copy, Debug, Default)]
pub struct Budget {
    /// In hundredths.
    saved: u32,
    /// When the second began in which so many of the floor's were used.
    second: Option<Instant>,
    used: u32,
}

impl Budget {
    /// A request is asked; `percent` of them may be asked again.
    pub fn asked(&mut self, percent: u32) {
        self.saved = self.saved.saturating_add(percent).min(MOST * WHOLE);
    }

    /// Takes a retry, if there is one.
    pub fn spend(&mut self, now: Instant) -> bool {
        self.spend_beyond(0, now)
    }

    /// Takes a retry that nobody needs, if enough is left for those who do.
    pub fn spend_spare(&mut self, now: Instant) -> bool {
        self.spend_beyond(RESERVE, now)
    }

    fn spend_beyond(&mut self, reserve: u32, now: Instant) -> bool {
        let is_over = |began| now.saturating_duration_since(began) >= Duration::from_secs(1);
        if self.second.is_none_or(is_over) {
            self.second = Some(now);
            self.used = 0;
        }
        if self.used + reserve < FLOOR {
            self.used += 1;
            return true;
        }
        let may = self.saved >= (reserve + 1) * WHOLE;
        if may {
            self.saved -= WHOLE;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "some moment to begin with")]

    use std::time::{Duration, Instant};

    use super::{Budget, FLOOR, MOST, RESERVE};

    fn spent(budget: &mut Budget, now: Instant) -> u32 {
        (0..10_000).map(|_| u32::from(budget.spend(now))).sum()
    }

    #[test]
    fn a_share_of_the_requests_and_a_few_each_second_are_asked_again() {
        let mut budget = Budget::default();
        let now = Instant::now();
        assert_eq!(spent(&mut budget, now), FLOOR);
        assert_eq!(spent(&mut budget, now + Duration::from_millis(999)), 0);
        assert_eq!(spent(&mut budget, now + Duration::from_secs(1)), FLOOR);
        for _ in 0..100 {
            budget.asked(20);
        }
        assert_eq!(spent(&mut budget, now + Duration::from_secs(1)), 20);
        for _ in 0..100_000 {
            budget.asked(20);
        }
        assert_eq!(
            spent(&mut budget, now + Duration::from_secs(2)),
            MOST + FLOOR
        );
    }

    #[test]
    fn who_wants_to_be_faster_leaves_something_to_those_who_failed() {
        let mut budget = Budget::default();
        let now = Instant::now();
        for _ in 0..100 {
            budget.asked(20);
        }
        let spare = (0..1_000).filter(|_| budget.spend_spare(now)).count();
        assert_eq!(spare as u32, FLOOR - RESERVE + 20 - RESERVE);
        assert_eq!(spent(&mut budget, now), 2 * RESERVE);
        assert!(!budget.spend_spare(now));
    }

    #[test]
    fn of_no_share_the_few_are_left() {
        let mut budget = Budget::default();
        for _ in 0..1_000 {
            budget.asked(0);
        }
        assert_eq!(spent(&mut budget, Instant::now()), FLOOR);
    }
}
