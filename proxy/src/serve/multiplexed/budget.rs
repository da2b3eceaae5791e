//! What a client may cost without asking for anything: cancelled requests and frames of no use (RFC 9113 §10.5, RFC 9114 §10.5).
//!
//! A cancelled request, whichever side cancels it, takes a connection to an endpoint with it; a glitch is a frame that
//! makes us work and brings no request forward. Answered requests earn both back.

use std::time::Duration;

pub(in crate::serve) const MAX_RESETS: u32 = 200;
pub(in crate::serve) const MAX_GLITCHES: u32 = 1000;
/// How many glitches an answered request makes good.
const EARNED_GLITCHES: u32 = 16;
/// How often time makes some of it good: ten resets a second are a map that is dragged about, or a video that is searched.
pub(in crate::serve) const FORGIVE: Duration = Duration::from_secs(10);
const FORGIVEN_RESETS: u32 = 100;
const FORGIVEN_GLITCHES: u32 = 200;

/// There is nothing left of it: the client is to be sent away, with what was too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) struct Spent(pub &'static str);

#[derive(Debug)]
pub(in crate::serve) struct Budget {
    resets: u32,
    glitches: u32,
}

impl Budget {
    pub(in crate::serve) fn new() -> Self {
        Self {
            resets: MAX_RESETS,
            glitches: MAX_GLITCHES,
        }
    }

    /// A request was cancelled by the client, or by us through the client's fault.
    pub(in crate::serve) fn reset(&mut self) -> Result<(), Spent> {
        spend(&mut self.resets, 1, "too many streams reset")
    }

    /// Frames that were of no use, or one that costs as much as so many.
    pub(in crate::serve) fn glitch(&mut self, cost: u32) -> Result<(), Spent> {
        spend(&mut self.glitches, cost, "too many frames without use")
    }

    /// A request got its whole answer.
    pub(in crate::serve) fn answered(&mut self) {
        self.resets = (self.resets + 1).min(MAX_RESETS);
        self.glitches = (self.glitches + EARNED_GLITCHES).min(MAX_GLITCHES);
    }

    /// [`FORGIVE`] has passed: what is spread out does no harm.
    pub(in crate::serve) fn forgive(&mut self) {
        self.glitches = (self.glitches + FORGIVEN_GLITCHES).min(MAX_GLITCHES);
        self.resets = (self.resets + FORGIVEN_RESETS).min(MAX_RESETS);
    }
}

fn spend(purse: &mut u32, cost: u32, detail: &'static str) -> Result<(), Spent> {
    *purse = purse.checked_sub(cost).ok_or(Spent(detail))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Budget, FORGIVE, FORGIVEN_GLITCHES, MAX_GLITCHES, MAX_RESETS};

    #[test]
    fn resets_run_out_and_answers_earn_them_back() {
        let mut budget = Budget::new();
        for _ in 0..10 * MAX_RESETS {
            assert!(budget.reset().is_ok());
            budget.answered();
        }
        let free = (0..10_000).take_while(|_| budget.reset().is_ok()).count();
        assert_eq!(free, MAX_RESETS as usize);
    }

    #[test]
    fn glitches_run_out_and_time_makes_them_good() {
        let mut budget = Budget::new();
        let free = (0..10_000).take_while(|_| budget.glitch(1).is_ok()).count();
        assert_eq!(free, MAX_GLITCHES as usize);
        budget.forgive();
        let free = (0..10_000).take_while(|_| budget.glitch(1).is_ok()).count();
        assert_eq!(free, FORGIVEN_GLITCHES as usize);
    }

    #[test]
    fn a_client_that_cancels_ten_times_a_second_may_go_on() {
        let mut budget = Budget::new();
        for _ in 0..100 {
            for _ in 0..10 * FORGIVE.as_secs() {
                assert!(budget.reset().is_ok());
            }
            budget.forgive();
        }
    }
}
