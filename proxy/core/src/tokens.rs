//! Which tokens have been shown: each proves its holder's address once (RFC 9000 §8.1.4).
//!
//! Time goes in periods as long as a token lives, so those that may still come back ended, or end, in one of two of them. Where one has
//! seen as many as it can remember, the next are not believed, which costs their holders a round trip under load and nothing else.

use std::collections::HashSet;
use std::time::Duration;

/// What a period remembers, half a megabyte or so.
const MOST: usize = 1 << 15;

/// The tokens that were shown, by their numbers.
#[derive(Debug, Default)]
pub struct Shown {
    /// The later of the two periods that are known.
    period: u64,
    later: HashSet<u64>,
    earlier: HashSet<u64>,
}

impl Shown {
    /// Takes note of a token and tells whether to believe it. `number`: drawn at random when it was issued; `issued`: at which time, of
    /// any clock; `lifetime`: the same for all tokens.
    pub fn is_first(&mut self, number: u64, issued: Duration, lifetime: Duration) -> bool {
        let Some(period) = (issued + lifetime)
            .as_secs()
            .checked_div(lifetime.as_secs())
        else {
            return false;
        };
        if period > self.period {
            let later = std::mem::take(&mut self.later);
            let is_next = period == self.period + 1;
            self.earlier = if is_next { later } else { HashSet::new() };
            self.period = period;
        }
        let those = match self.period - period {
            0 => &mut self.later,
            1 => &mut self.earlier,
            _ => return false,
        };
        those.len() < MOST && those.insert(number)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{MOST, Shown};

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn a_token_is_believed_once_for_as_long_as_it_lives() {
        let mut shown = Shown::default();
        let start = 20_000 * DAY;
        assert!(shown.is_first(1, start, DAY));
        for hours in 0..=24 {
            // Others come meanwhile, in this period and in the next.
            let now = start + hours * DAY / 24;
            assert!(shown.is_first(u64::from(hours) + 2, now, DAY));
            assert!(!shown.is_first(1, start, DAY), "{hours}");
            assert!(!shown.is_first(u64::from(hours) + 2, now, DAY), "{hours}");
        }
    }

    #[test]
    fn a_long_silence_forgets_those_that_are_over() {
        let mut shown = Shown::default();
        assert!(shown.is_first(1, 10 * DAY, DAY));
        assert!(shown.is_first(2, 20 * DAY, DAY));
        assert!(
            !shown.is_first(3, 10 * DAY, DAY),
            "older than any that lives"
        );
        assert!(shown.is_first(1, 19 * DAY, DAY));
        assert!(!shown.is_first(1, 19 * DAY, DAY));
    }

    #[test]
    fn what_is_remembered_has_a_bound_and_the_next_period_begins_anew() {
        let mut shown = Shown::default();
        for number in 0..MOST as u64 {
            assert!(shown.is_first(number, DAY, DAY));
        }
        assert!(!shown.is_first(MOST as u64, DAY, DAY));
        assert!(shown.is_first(MOST as u64, 2 * DAY, DAY));
        assert!(!shown.is_first(9, DAY, DAY), "none is believed again");
    }

    #[test]
    fn tokens_that_do_not_live_are_not_believed() {
        assert!(!Shown::default().is_first(1, DAY, Duration::ZERO));
    }
}
