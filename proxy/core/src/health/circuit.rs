//! A circuit breaker: an endpoint that fails request after request is left alone for a while, then tried with one.

use std::collections::VecDeque;
use std::time::Duration;

/// When it opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// So many failures…
    pub failures: u32,
    /// …within this time open it.
    pub window: Duration,
    /// How long nothing is sent before one exchange tries.
    pub open: Duration,
}

/// The breaker of one endpoint. Times are since whenever the caller's time begins.
#[derive(Debug, Default)]
pub struct Circuit {
    /// The last failures, oldest first; never more than open it.
    failures: VecDeque<Duration>,
    /// Nothing is sent before; then one exchange at a time may try.
    open_until: Option<Duration>,
}

impl Circuit {
    /// Whether an exchange may be sent, or may try.
    pub fn allows(&self, now: Duration) -> bool {
        self.open_until.is_none_or(|until| until <= now)
    }

    /// Until when it is open, and from when on half-open; nothing: it is closed.
    pub fn open_until(&self) -> Option<Duration> {
        self.open_until
    }

    /// Takes the place of the one that tries, for at most another `open`; false if somebody else has it.
    pub fn take(&mut self, rules: &Rules, now: Duration) -> bool {
        let may = self.allows(now);
        if may && let Some(until) = &mut self.open_until {
            *until = now + rules.open;
        }
        may
    }

    /// Counts a failure; true when that opens it. One that comes while it is open keeps it so for another `open`.
    pub fn failed(&mut self, rules: &Rules, now: Duration) -> bool {
        if let Some(until) = &mut self.open_until {
            *until = now + rules.open;
            return false;
        }
        let since = now.saturating_sub(rules.window);
        while self
            .failures
            .front()
            .is_some_and(|failure| *failure < since)
        {
            self.failures.pop_front();
        }
        self.failures.push_back(now);
        if self.failures.len() < rules.failures as usize {
            return false;
        }
        self.failures.clear();
        self.open_until = Some(now + rules.open);
        true
    }

    /// An exchange went well; true when that closes it.
    pub fn succeeded(&mut self) -> bool {
        self.open_until.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Circuit, Rules};

    const RULES: Rules = Rules {
        failures: 3,
        window: Duration::from_secs(10),
        open: Duration::from_secs(5),
    };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn opened(seconds: u64) -> Circuit {
        let mut circuit = Circuit::default();
        assert!(!circuit.failed(&RULES, at(seconds)));
        assert!(!circuit.failed(&RULES, at(seconds)));
        assert!(circuit.failed(&RULES, at(seconds)));
        circuit
    }

    #[test]
    fn failures_far_apart_do_not_open_it() {
        let mut circuit = Circuit::default();
        for seconds in [0, 4, 11, 15, 22, 40] {
            assert!(!circuit.failed(&RULES, at(seconds)), "{seconds}");
            assert!(circuit.allows(at(seconds)));
        }
        assert!(!circuit.failed(&RULES, at(45)));
        assert!(circuit.failed(&RULES, at(50)));
        assert!(!circuit.allows(at(50)));
    }

    #[test]
    fn success_between_failures_changes_nothing_while_it_is_closed() {
        let mut circuit = Circuit::default();
        assert!(!circuit.failed(&RULES, at(1)));
        assert!(!circuit.failed(&RULES, at(2)));
        assert!(!circuit.succeeded());
        assert!(circuit.failed(&RULES, at(3)), "three within the window");
    }

    #[test]
    fn one_tries_when_the_time_is_over() {
        let mut circuit = opened(1);
        assert!(!circuit.take(&RULES, at(5)));
        assert!(circuit.allows(at(6)));
        assert!(circuit.take(&RULES, at(6)));
        assert!(!circuit.take(&RULES, at(6)), "one only");
        assert!(circuit.succeeded());
        assert!(circuit.take(&RULES, at(6)) && circuit.take(&RULES, at(6)));
    }

    #[test]
    fn a_failed_try_or_a_lost_one_waits_again() {
        let mut circuit = opened(1);
        assert!(circuit.take(&RULES, at(7)));
        assert!(!circuit.failed(&RULES, at(8)), "it was open already");
        assert!(!circuit.allows(at(12)));
        assert!(
            circuit.take(&RULES, at(13)),
            "and whoever took it may never come back"
        );
        assert!(!circuit.allows(at(17)));
        assert!(circuit.take(&RULES, at(18)));
    }
}
