//! When an attack begins and when it is over, from the count of SYNs alone.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use openclaw_core::config::{Syn, SynMode};

/// What is looked back at: a flood that is many times too much is seen at once, one that is just too much after this.
const WINDOW: Duration = Duration::from_secs(1);

/// The state, fed with counts.
#[derive(Debug, Default)]
pub(super) struct Attack {
    /// Counts of the last second and the one before them, oldest first.
    samples: VecDeque<(Instant, u64)>,
    /// When the rate was last above the one to leave; nothing in peace.
    last_seen: Option<Instant>,
    /// How often an attack has begun.
    pub(super) begun: u64,
    /// How often one was over.
    pub(super) over: u64,
}

/// What a count changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Begun,
    Over,
}

impl Attack {
    pub(super) fn is_on(&self) -> bool {
        self.last_seen.is_some()
    }

    /// SYNs in a second, as far as is known.
    pub(super) fn rate(&self) -> u64 {
        let (Some((start, first)), Some((end, last))) = (self.samples.front(), self.samples.back())
        else {
            return 0;
        };
        let millis = end.duration_since(*start).max(WINDOW).as_millis();
        let syns = u128::from(last.wrapping_sub(*first)) * 1_000;
        syns.checked_div(millis)
            .unwrap_or(0)
            .try_into()
            .unwrap_or(u64::MAX)
    }

    /// Takes the count of SYNs so far.
    pub(super) fn take(&mut self, config: &Syn, count: u64, now: Instant) -> Option<Change> {
        self.samples.push_back((now, count));
        // The oldest sample kept is the last one outside of the window.
        while let Some((second, _)) = self.samples.get(1)
            && now.duration_since(*second) >= WINDOW
        {
            self.samples.pop_front();
        }
        let enter = config.enter.per_second();
        let rate = self.rate() as f64;
        let is_always = config.mode == SynMode::Always;
        match self.last_seen {
            None if is_always || (config.mode == SynMode::Auto && rate >= enter) => {
                self.last_seen = Some(now);
                self.begun += 1;
                Some(Change::Begun)
            }
            Some(_) if config.mode == SynMode::Off => Some(self.end()),
            Some(_) if is_always || rate >= enter / 2.0 => {
                self.last_seen = Some(now);
                None
            }
            Some(last) if now.duration_since(last) >= config.hold => Some(self.end()),
            _ => None,
        }
    }

    /// Ends it whatever the rate.
    pub(super) fn end(&mut self) -> Change {
        self.last_seen = None;
        self.over += 1;
        Change::Over
    }
}

#[cfg(test)]
mod tests {
    use openclaw_core::config::SynVariant;
    use openclaw_core::config::units::Rate;

    use super::*;

    fn config(mode: SynMode) -> Syn {
        let per_second = |count| Rate {
            count,
            period: Duration::from_secs(1),
        };
        Syn {
            mode,
            action: openclaw_core::config::ShieldAction::Enforce,
            per_source: per_second(200),
            burst: 400,
            enter: per_second(1_000),
            hold: Duration::from_mins(1),
            max_answers: per_second(2_000_000),
            variant: SynVariant::Auto,
            manage_sysctls: true,
        }
    }

    /// Feeds a rate for some seconds in ticks of 100 ms; the second and what changed in it.
    struct Feed {
        attack: Attack,
        config: Syn,
        now: Instant,
        count: u64,
        ticks: u32,
    }

    impl Feed {
        fn new(mode: SynMode) -> Self {
            Self {
                attack: Attack::default(),
                config: config(mode),
                now: Instant::now(),
                count: u64::MAX - 100,
                ticks: 0,
            }
        }

        fn run(&mut self, per_second: u64, seconds: u32) -> Vec<(u32, Change)> {
            let mut changes = Vec::new();
            for _ in 0..seconds * 10 {
                self.now += Duration::from_millis(100);
                self.count = self.count.wrapping_add(per_second / 10);
                self.ticks += 1;
                let change = self.attack.take(&self.config, self.count, self.now);
                changes.extend(change.map(|change| (self.ticks, change)));
            }
            changes
        }
    }

    #[test]
    fn an_attack_begins_at_the_rate_and_ends_well_below_it() {
        let mut feed = Feed::new(SynMode::Auto);
        assert_eq!(feed.run(990, 20), []);
        assert_eq!(feed.attack.rate(), 990);
        // A second of 1,000 is one of them; then neither 600 a second ends it, nor 400 before a minute is over.
        let begun = feed.run(1_000, 3);
        assert_eq!(begun.len(), 1, "{begun:?}");
        assert_eq!(feed.run(600, 300), []);
        assert_eq!(feed.run(400, 59), []);
        let over = feed.run(400, 3);
        assert_eq!(
            over.iter().map(|one| one.1).collect::<Vec<_>>(),
            [Change::Over]
        );
        assert!(!feed.attack.is_on());
        assert_eq!((feed.attack.begun, feed.attack.over), (1, 1));
    }

    #[test]
    fn a_great_flood_is_seen_at_the_first_look() {
        let mut feed = Feed::new(SynMode::Auto);
        assert_eq!(feed.run(0, 2), []);
        assert_eq!(feed.run(20_000, 1), [(21, Change::Begun)]);
    }

    #[test]
    fn modes_override_the_rate() {
        let (mut always, mut off) = (Feed::new(SynMode::Always), Feed::new(SynMode::Off));
        assert_eq!(always.run(0, 200), [(1, Change::Begun)]);
        assert_eq!(off.run(50_000, 2), []);
        always.config.mode = SynMode::Off;
        assert_eq!(always.run(50_000, 1), [(2_001, Change::Over)]);
    }
}
