//! The timers of QUIC connections: one entry a connection, a millisecond a tick.
//!
//! Loss detection and pacing arm a timer anew with nearly every packet, and far finer than the worker's own wheel turns. As there, arming
//! writes the due tick alone: an entry lies in the slot of the earliest tick it was ever filed for, and moves on when that comes up.

use std::time::{Duration, Instant};

const SLOTS: u64 = 1024;
const WORDS: usize = SLOTS as usize / 64;
const NEVER: u64 = u64::MAX;

/// All connections of one socket.
#[derive(Debug)]
pub(super) struct Timers {
    origin: Instant,
    /// The last tick that was looked at.
    now: u64,
    slots: Vec<Vec<usize>>,
    /// Which slots hold something.
    occupied: [u64; WORDS],
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    due: u64,
    filed: u64,
}

impl Timers {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            origin: now,
            now: 0,
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            occupied: [0; WORDS],
            entries: Vec::new(),
        }
    }

    /// Due at that time, never too early; `None`: not at all.
    pub(super) fn arm(&mut self, key: usize, due: Option<Instant>) {
        if self.entries.len() <= key {
            let none = Entry {
                due: NEVER,
                filed: NEVER,
            };
            self.entries.resize(key + 1, none);
        }
        let due = due.map_or(NEVER, |due| {
            let micros = due.saturating_duration_since(self.origin).as_micros();
            micros.div_ceil(1000) as u64
        });
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        entry.due = due;
        if due < entry.filed {
            self.file(key, due);
        }
    }

    /// Moves on, and gives those that are due.
    pub(super) fn advance(&mut self, now: Instant, due: &mut Vec<usize>) {
        let target = now.saturating_duration_since(self.origin).as_millis() as u64;
        // Behind a whole turn of the wheel each slot has come up once.
        let first = (self.now + 1).max(target.saturating_sub(SLOTS - 1));
        self.now = self.now.max(target);
        let mut keys = Vec::new();
        for tick in first..=target {
            if self.is_occupied(tick)
                && let Some(slot) = self.slots.get_mut((tick % SLOTS) as usize)
            {
                keys.append(slot);
                self.mark(tick, false);
            }
        }
        for key in keys {
            // Only the last place in which an entry was filed counts.
            let Some(entry) = self.entries.get_mut(key).filter(|it| it.filed <= target) else {
                continue;
            };
            entry.filed = NEVER;
            if entry.due <= target {
                entry.due = NEVER;
                due.push(key);
            } else if entry.due != NEVER {
                let later = entry.due;
                self.file(key, later);
            }
        }
    }

    /// When to come again.
    pub(super) fn next(&self) -> Option<Instant> {
        let tick = (self.now + 1..=self.now + SLOTS).find(|tick| self.is_occupied(*tick))?;
        Some(self.origin + Duration::from_millis(tick))
    }

    fn file(&mut self, key: usize, due: u64) {
        let tick = due.clamp(self.now + 1, self.now + SLOTS - 1);
        if let Some(entry) = self.entries.get_mut(key) {
            entry.filed = tick;
        }
        if let Some(slot) = self.slots.get_mut((tick % SLOTS) as usize) {
            slot.push(key);
        }
        self.mark(tick, true);
    }

    fn is_occupied(&self, tick: u64) -> bool {
        let slot = (tick % SLOTS) as usize;
        let word = self.occupied.get(slot / 64);
        word.is_some_and(|word| word & (1 << (slot % 64)) != 0)
    }

    fn mark(&mut self, tick: u64, is_occupied: bool) {
        let slot = (tick % SLOTS) as usize;
        if let Some(word) = self.occupied.get_mut(slot / 64) {
            if is_occupied {
                *word |= 1 << (slot % 64);
            } else {
                *word &= !(1 << (slot % 64));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn due(timers: &mut Timers, now: Instant) -> Vec<usize> {
        let mut due = Vec::new();
        timers.advance(now, &mut due);
        due
    }

    #[test]
    fn a_timer_is_due_when_its_time_has_come_and_once() {
        let start = Instant::now();
        let mut timers = Timers::new(start);
        assert_eq!(timers.next(), None);
        timers.arm(3, Some(start + 5 * MS));
        timers.arm(0, Some(start + 2 * MS + MS / 2));
        assert_eq!(timers.next(), Some(start + 3 * MS), "rounded up");
        assert!(due(&mut timers, start + 2 * MS).is_empty());
        assert_eq!(due(&mut timers, start + 3 * MS), [0]);
        assert_eq!(timers.next(), Some(start + 5 * MS));
        assert_eq!(due(&mut timers, start + 900 * MS), [3]);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn what_is_armed_anew_counts() {
        let start = Instant::now();
        let mut timers = Timers::new(start);
        timers.arm(1, Some(start + 10 * MS));
        timers.arm(1, Some(start + 50 * MS));
        assert!(due(&mut timers, start + 20 * MS).is_empty(), "moved on");
        timers.arm(1, Some(start + 30 * MS));
        assert_eq!(due(&mut timers, start + 30 * MS), [1]);
        timers.arm(1, Some(start + 80 * MS));
        assert!(due(&mut timers, start + 60 * MS).is_empty(), "an old place");
        timers.arm(1, None);
        assert!(due(&mut timers, start + 100 * MS).is_empty());
    }

    #[test]
    fn far_times_and_long_pauses_are_met() {
        let start = Instant::now();
        let mut timers = Timers::new(start);
        timers.arm(0, Some(start + 5000 * MS));
        let mut steps = 0;
        let now = loop {
            let next = timers.next().unwrap();
            steps += 1;
            if due(&mut timers, next) == [0] {
                break next;
            }
        };
        assert_eq!(now, start + 5000 * MS);
        assert!(steps < 10, "{steps}");
        timers.arm(0, Some(now + 1500 * MS));
        assert_eq!(due(&mut timers, now + 60_000 * MS), [0]);
        timers.arm(0, Some(now));
        assert_eq!(due(&mut timers, now + 60_001 * MS), [0], "in the past");
    }
}
