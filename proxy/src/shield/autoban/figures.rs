//! What is counted of bans, and how much of it is said.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::telemetry::histogram::Histogram;
use crate::telemetry::{MetricsText, metrics};

/// Lines about bans in a second; a flood of them is counted, not told.
const LINES: u64 = 10;

/// Counters that the thread and its informers share with the metrics page.
#[derive(Debug)]
pub(super) struct Figures {
    latency: Mutex<Histogram>,
    lost: AtomicU64,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            latency: Mutex::new(Histogram::fine()),
            lost: AtomicU64::new(0),
        }
    }
}

impl Figures {
    /// A ban is in the tables, so long after the verdict.
    pub(super) fn banned(&self, latency: Duration) {
        let mut sum = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        sum.observe(latency);
    }

    /// There was no room for a refusal in the queue.
    pub(super) fn lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn collect(&self, text: &mut MetricsText) {
        let latency = {
            let latency = self.latency.lock();
            latency.unwrap_or_else(PoisonError::into_inner).clone()
        };
        text.histogram(&metrics::BAN_LATENCY, &[], &latency);
        let lost = self.lost.load(Ordering::Relaxed);
        text.sample(&metrics::AUTOBAN_LOST, &[], lost);
    }
}

/// Bounds the lines of the log.
#[derive(Debug, Default)]
pub(super) struct Talk {
    since: Option<Instant>,
    lines: u64,
    unsaid: u64,
}

impl Talk {
    /// Whether a line may be written now, and how many were not since the last one.
    pub(super) fn may_speak(&mut self) -> Option<u64> {
        let second = Duration::from_secs(1);
        if self.since.is_none_or(|since| since.elapsed() >= second) {
            self.since = Some(Instant::now());
            self.lines = 0;
        }
        if self.lines >= LINES {
            self.unsaid += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_bans_is_few_lines() {
        let mut talk = Talk::default();
        let said = (0..1000).filter(|_| talk.may_speak().is_some()).count() as u64;
        assert!((LINES..10 * LINES).contains(&said), "{said}");
        talk.since = None;
        let unsaid = talk.may_speak();
        assert!(unsaid.is_some_and(|unsaid| unsaid > 0), "{unsaid:?}");
    }
}
