//! How many `WINDOW_UPDATE` frames a client may send.

use super::connection::Connection;
use super::frame::{Code, Violation};
use crate::serve::multiplexed::Spent;

/// They are free as long as they answer DATA: two for each frame and one for each so many octets.
const OCTETS_PER_UPDATE: usize = 256;
const MAX_UPDATES: u32 = 10_000;

#[derive(Debug)]
pub(super) struct Updates(u32);

impl Updates {
    pub(super) fn new() -> Self {
        Self(100)
    }

    /// A DATA frame went out.
    pub(super) fn earn(&mut self, octets: usize) {
        let earned = 2 + octets / OCTETS_PER_UPDATE;
        self.0 = (self.0 + earned as u32).min(MAX_UPDATES);
    }

    /// Whether the next one is free.
    fn spend(&mut self) -> bool {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

impl Connection {
    /// A `WINDOW_UPDATE` came; `dribble`: it opened a starved window by next to nothing.
    pub(super) fn window_updated(&mut self, dribble: bool) -> Result<(), Violation> {
        if dribble || !self.updates.spend() {
            self.budget.glitch(1)?;
        }
        Ok(())
    }
}

impl From<Spent> for Violation {
    fn from(Spent(detail): Spent) -> Self {
        Self {
            code: Code::EnhanceYourCalm,
            detail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Updates;

    #[test]
    fn window_updates_are_free_while_they_answer_data() {
        let mut updates = Updates::new();
        for _ in 0..100_000 {
            updates.earn(1);
            assert!(updates.spend());
            assert!(updates.spend());
        }
        let free = (0..20_000).take_while(|_| updates.spend()).count();
        assert!(free <= 100, "{free}");
    }
}
