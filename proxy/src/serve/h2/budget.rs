//! What a client may cost without asking for anything: resets and empty or idle frames (RFC 9113 §10.5).
//!
//! A reset, sent or received, cancels an exchange and with it a connection to an endpoint; a glitch is a frame that
//! makes us work and brings no request forward. Answered requests earn both back.

use std::time::Duration;

use super::frame::{Code, Violation};

const MAX_RESETS: u32 = 200;
const MAX_GLITCHES: u32 = 1000;
/// How many glitches an answered request makes good.
const EARNED_GLITCHES: u32 = 16;
/// How often time makes some of it good: ten resets a second are a map that is dragged about, or a video that is searched.
pub(super) const FORGIVE: Duration = Duration::from_secs(10);
const FORGIVEN_RESETS: u32 = 100;
const FORGIVEN_GLITCHES: u32 = 200;
/// `WINDOW_UPDATE` frames are free as long as they answer DATA: two for each frame and one for each so many octets.
const OCTETS_PER_UPDATE: usize = 256;
const MAX_UPDATES: u32 = 10_000;

#[derive(Debug)]
pub(super) struct Budget {
    resets: u32,
    glitches: u32,
    updates: u32,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            resets: MAX_RESETS,
            glitches: MAX_GLITCHES,
            updates: 100,
        }
    }

    /// A stream was reset by the client, or by us through the client's fault.
    pub(super) fn reset(&mut self) -> Result<(), Violation> {
        spend(&mut self.resets, 1, "too many streams reset")
    }

    /// A frame that was of no use.
    pub(super) fn glitch(&mut self, cost: u32) -> Result<(), Violation> {
        spend(&mut self.glitches, cost, "too many frames without use")
    }

    /// A `WINDOW_UPDATE` came; `dribble`: it opened a starved window by next to nothing.
    pub(super) fn update(&mut self, dribble: bool) -> Result<(), Violation> {
        match self.updates.checked_sub(1) {
            Some(left) if !dribble => {
                self.updates = left;
                Ok(())
            }
            _ => self.glitch(1),
        }
    }

    /// A DATA frame went out.
    pub(super) fn sent(&mut self, octets: usize) {
        let earned = 2 + octets / OCTETS_PER_UPDATE;
        self.updates = (self.updates + earned as u32).min(MAX_UPDATES);
    }

    /// A request got its whole answer.
    pub(super) fn answered(&mut self) {
        self.resets = (self.resets + 1).min(MAX_RESETS);
        self.glitches = (self.glitches + EARNED_GLITCHES).min(MAX_GLITCHES);
    }

    /// [`FORGIVE`] has passed: what is spread out does no harm.
    pub(super) fn forgive(&mut self) {
        self.glitches = (self.glitches + FORGIVEN_GLITCHES).min(MAX_GLITCHES);
        self.resets = (self.resets + FORGIVEN_RESETS).min(MAX_RESETS);
    }
}

fn spend(purse: &mut u32, cost: u32, detail: &'static str) -> Result<(), Violation> {
    *purse = purse.checked_sub(cost).ok_or(Violation {
        code: Code::EnhanceYourCalm,
        detail,
    })?;
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
        for _ in 0..MAX_RESETS {
            assert!(budget.reset().is_ok());
        }
        assert!(budget.reset().is_err());
    }

    #[test]
    fn glitches_run_out_and_time_makes_them_good() {
        let mut budget = Budget::new();
        assert!(budget.glitch(MAX_GLITCHES).is_ok());
        assert!(budget.glitch(1).is_err());
        for _ in 0..MAX_GLITCHES / FORGIVEN_GLITCHES {
            budget.forgive();
        }
        assert!(budget.glitch(MAX_GLITCHES).is_ok());
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

    #[test]
    fn window_updates_are_free_while_they_answer_data() {
        let mut budget = Budget::new();
        for _ in 0..100_000 {
            budget.sent(1);
            assert!(budget.update(false).is_ok());
            assert!(budget.update(false).is_ok());
        }
        let free = (0..20_000)
            .take_while(|_| budget.update(false).is_ok())
            .count();
        assert!(free <= 1100, "{free}");
        let mut budget = Budget::new();
        let dribbles = (0..20_000).take_while(|_| {
            budget.sent(1);
            budget.update(true).is_ok()
        });
        assert_eq!(dribbles.count(), MAX_GLITCHES as usize);
    }
}
