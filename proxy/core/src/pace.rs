//! Whether a peer that is waited for moves its bytes fast enough.
//!
//! A silence may last as long as the slack; bytes win slack back at the least rate that is put up with, never beyond its
//! first value. So one pause in a fast transfer costs nothing, and a body that trickles in byte by byte ends soon.

use std::time::Duration;

/// How far one peer is behind the least rate.
#[derive(Debug)]
pub struct Pace {
    /// Bytes a second; 0: any pace will do as long as no silence is too long.
    rate: u64,
    most: Duration,
    slack: Duration,
    moved: u64,
    waits_since: Option<Duration>,
}

impl Pace {
    /// `silence`: the longest one at a time.
    pub fn new(rate: u64, silence: Duration) -> Self {
        Self {
            rate,
            most: silence,
            slack: silence,
            moved: 0,
            waits_since: None,
        }
    }

    /// Takes note of how much has moved in all by `now`, of any clock, and of whether the peer is waited for from now
    /// on. Gives how long it may be; none: the peer was too slow already.
    pub fn note(&mut self, now: Duration, moved: u64, waits: bool) -> Option<Duration> {
        if let Some(since) = self.waits_since.take() {
            self.slack = self.slack.checked_sub(now.saturating_sub(since))?;
        }
        if moved > self.moved {
            let fresh = moved - self.moved;
            self.moved = moved;
            let won = match self.rate {
                0 => self.most,
                rate => Duration::from_micros(fresh.saturating_mul(1_000_000) / rate),
            };
            self.slack = self.slack.saturating_add(won).min(self.most);
        }
        if waits {
            self.waits_since = Some(now);
        }
        Some(self.slack)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Pace;

    const SILENCE: Duration = Duration::from_secs(10);

    /// After how many seconds a peer that moves `step` bytes each second is too slow; none: never within an hour.
    fn endures(rate: u64, step: u64) -> Option<u64> {
        let mut pace = Pace::new(rate, SILENCE);
        (0..3600).find(|second| {
            let now = Duration::from_secs(*second);
            pace.note(now, second * step, true).is_none()
        })
    }

    #[test]
    fn who_keeps_the_rate_may_go_on_and_who_does_not_is_out_of_slack() {
        for (rate, step, expected) in [
            (100, 100, None),
            (100, 1000, None),
            (100, 50, Some(20)),
            (100, 1, Some(11)),
            (100, 0, Some(11)),
            (0, 1, None),
            (0, 0, Some(11)),
        ] {
            assert_eq!(endures(rate, step), expected, "{step} at {rate}");
        }
    }

    #[test]
    fn only_what_is_waited_for_the_peer_counts_and_nothing_is_saved_up() {
        let mut pace = Pace::new(100, SILENCE);
        let at = Duration::from_secs;
        assert_eq!(pace.note(at(0), 0, false), Some(SILENCE));
        assert_eq!(pace.note(at(100), 0, true), Some(SILENCE));
        assert_eq!(pace.note(at(104), 0, false), Some(at(6)));
        assert_eq!(pace.note(at(200), 0, true), Some(at(6)));
        assert_eq!(pace.note(at(201), 1_000_000, true), Some(SILENCE));
        assert_eq!(pace.note(at(210), u64::MAX, true), Some(SILENCE));
        assert_eq!(pace.note(at(221), u64::MAX, true), None);
    }
}
