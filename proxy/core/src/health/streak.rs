//! Fall and rise: one lost probe is no outage, and one that gets through is no recovery.

/// What probes of one endpoint say.
#[derive(Clone, Copy, Debug)]
pub struct Streak {
    is_healthy: bool,
    /// Probes in a row that say otherwise.
    against: u32,
}

impl Streak {
    /// Begins with what is believed so far.
    pub fn new(is_healthy: bool) -> Self {
        Self {
            is_healthy,
            against: 0,
        }
    }

    /// Counts a probe; `Some` when that changes what is believed: unfit after `fall` failures in a row, fit after `rise`
    /// successes in a row.
    pub fn probed(&mut self, passed: bool, fall: u32, rise: u32) -> Option<bool> {
        if passed == self.is_healthy {
            self.against = 0;
            return None;
        }
        self.against += 1;
        let needed = if passed { rise } else { fall };
        if self.against < needed {
            return None;
        }
        *self = Self::new(passed);
        Some(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::Streak;

    /// Each probe as `+` or `-`; what is believed after each as `h` or `u`.
    fn check(probes: &str, expected: &str) {
        let mut streak = Streak::new(true);
        let mut believed = true;
        let states: String = probes
            .chars()
            .map(|probe| {
                if let Some(changed) = streak.probed(probe == '+', 3, 2) {
                    assert_ne!(changed, believed, "told without a change: {probes}");
                    believed = changed;
                }
                if believed { 'h' } else { 'u' }
            })
            .collect();
        assert_eq!(states, expected, "{probes}");
    }

    #[test]
    fn so_many_in_a_row_change_the_belief() {
        check("++-+--+---", "hhhhhhhhhu");
        check("---+-++-", "hhuuuuhh");
        check("---++---", "hhuuhhhu");
        check("", "");
    }
}
