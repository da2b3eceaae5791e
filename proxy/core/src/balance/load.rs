//! How busy an endpoint is, and how quickly it answers.

/// An endpoint's load over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Exchanges under way.
    pub active: u32,
    /// The expected time to a response head, in microseconds; 0 while nothing was measured.
    pub latency_us: u32,
}

/// A moving average that jumps up to a peak at once and comes down with time ("peak EWMA"): an endpoint that has become
/// slow is left alone after one slow answer, not after many. Fits one word, so that workers can share it without a lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    microseconds: u32,
    /// When it was measured, in milliseconds since whenever the caller's time begins.
    at_ms: u32,
}

/// After this time a measurement counts for 37 %.
const DECAY_MS: f64 = 10_000.0;

impl Latency {
    /// From the word that workers share.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves of the word"
    )]
    pub fn from_bits(bits: u64) -> Self {
        Self {
            microseconds: (bits >> 32) as u32,
            at_ms: bits as u32,
        }
    }

    /// The word that workers share.
    pub fn to_bits(self) -> u64 {
        u64::from(self.microseconds) << 32 | u64::from(self.at_ms)
    }

    /// With one more answer, which took `microseconds`.
    #[must_use]
    pub fn measured(self, microseconds: u32, now_ms: u32) -> Self {
        // Nothing measured is told by 0, so the quickest answer takes a microsecond.
        let microseconds = microseconds.max(1);
        if self.microseconds == 0 || microseconds >= self.microseconds {
            return Self {
                microseconds,
                at_ms: now_ms,
            };
        }
        let kept = self.weight(now_ms);
        let average = f64::from(self.microseconds) * kept + f64::from(microseconds) * (1.0 - kept);
        Self {
            microseconds: rounded(average),
            at_ms: now_ms,
        }
    }

    /// What is expected now, in microseconds; 0 while nothing was measured. It fades while nothing is asked, so that an
    /// endpoint that once was slow gets another chance.
    pub fn expected(self, now_ms: u32) -> u32 {
        match self.microseconds {
            0 => 0,
            known => rounded(f64::from(known) * self.weight(now_ms)),
        }
    }

    fn weight(self, now_ms: u32) -> f64 {
        let age = now_ms.wrapping_sub(self.at_ms);
        // Workers' clocks are read a moment apart: a time just ahead of ours is now.
        let age = if age > u32::MAX / 2 { 0 } else { age };
        (-f64::from(age) / DECAY_MS).exp()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between two numbers that fit"
)]
fn rounded(microseconds: f64) -> u32 {
    (microseconds as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::Latency;

    const SECOND: u32 = 1_000;

    #[test]
    fn a_peak_counts_at_once_and_fades() {
        let fresh = Latency::default();
        assert_eq!(fresh.expected(5 * SECOND), 0, "nothing is known");
        let quick = fresh.measured(1_000, SECOND);
        assert_eq!(quick.expected(SECOND), 1_000);
        let slow = quick.measured(90_000, SECOND + 1);
        assert_eq!(slow.expected(SECOND + 1), 90_000);
        let better = slow.measured(1_000, 2 * SECOND);
        assert!(
            (80_000..90_000).contains(&better.expected(2 * SECOND)),
            "{better:?}"
        );
        let later = better.measured(1_000, 60 * SECOND);
        assert!(
            (1_000..2_000).contains(&later.expected(60 * SECOND)),
            "{later:?}"
        );
        assert!(
            slow.expected(11 * SECOND) < 34_000,
            "nobody asked for ten seconds"
        );
        assert_eq!(slow.expected(100 * 60 * SECOND), 1, "known, and forgiven");
    }

    #[test]
    fn a_clock_that_is_a_moment_behind_or_wraps_does_no_harm() {
        let latency = Latency::default().measured(700, 10);
        assert_eq!(latency.expected(9), 700);
        let before_wrap = Latency::default().measured(700, u32::MAX - 5);
        assert_eq!(before_wrap.expected(4), 699);
        assert_eq!(Latency::from_bits(latency.to_bits()), latency);
    }
}
