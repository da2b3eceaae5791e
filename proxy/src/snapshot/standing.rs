//! What all workers together know of an endpoint: how busy it is, how quickly it answers, whether it is fit.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use openclaw_core::balance::{Latency, Load};
use openclaw_core::health::{Circuit, Rules};

use super::queue::Queue;

/// In place of a time: the breaker is closed.
const CLOSED: u64 = u64::MAX;

/// Read on the request path without a lock; the breaker's lock is taken only when something failed, or tries whether it still does.
#[derive(Debug)]
pub struct Standing {
    began: Instant,
    active: AtomicU32,
    latency: AtomicU64,
    /// Probes say that it is not well.
    is_unwell: AtomicBool,
    /// Of the breaker, written with its lock held: what [`Circuit::open_until`] says, in nanoseconds since `began`, or `CLOSED`.
    open_until_ns: AtomicU64,
    circuit: Mutex<Circuit>,
    /// It took no connection when it was last asked for one.
    is_refusing: AtomicBool,
    last_error: Mutex<Option<&'static str>>,
    /// It gets nothing new.
    is_draining: AtomicBool,
    /// What runs is to end: the time that a drain gave has passed.
    is_cut: AtomicBool,
    /// When it came back last, in milliseconds since `began`.
    back_ms: AtomicU64,
}

/// An exchange that an endpoint has to do with; over when dropped.
#[derive(Debug)]
pub struct UnderWay {
    standing: Arc<Standing>,
    /// Where the endpoint takes only so many at once: how many, and who waits for that.
    limit: Option<(u32, Arc<Queue>)>,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            active: AtomicU32::new(0),
            latency: AtomicU64::new(0),
            is_unwell: AtomicBool::new(false),
            open_until_ns: AtomicU64::new(CLOSED),
            circuit: Mutex::default(),
            is_refusing: AtomicBool::new(false),
            last_error: Mutex::default(),
            is_draining: AtomicBool::new(false),
            is_cut: AtomicBool::new(false),
            back_ms: AtomicU64::new(0),
        }
    }
}

impl Standing {
    pub fn load(&self, now: Instant) -> Load {
        Load {
            active: self.active.load(Ordering::Relaxed),
            latency_us: self.latency().expected(self.milliseconds(now)),
        }
    }

    pub fn begin(self: &Arc<Self>) -> UnderWay {
        self.active.fetch_add(1, Ordering::Relaxed);
        UnderWay {
            standing: Arc::clone(self),
            limit: None,
        }
    }

    /// The same while fewer than `max` are under way; `queue` has those who wait for the place.
    pub fn enter(self: &Arc<Self>, max: u32, queue: &Arc<Queue>) -> Option<UnderWay> {
        let more = |active| (active < max).then_some(active + 1);
        self.active
            .try_update(Ordering::SeqCst, Ordering::SeqCst, more)
            .is_ok()
            .then(|| UnderWay {
                standing: Arc::clone(self),
                limit: Some((max, Arc::clone(queue))),
            })
    }

    /// The same for what runs there already, and is not ended for want of a place.
    pub fn go_on(self: &Arc<Self>, max: u32, queue: &Arc<Queue>) -> UnderWay {
        self.active.fetch_add(1, Ordering::SeqCst);
        UnderWay {
            standing: Arc::clone(self),
            limit: Some((max, Arc::clone(queue))),
        }
    }

    /// Exchanges under way, where they are counted.
    pub fn active(&self) -> u32 {
        self.active.load(Ordering::SeqCst)
    }

    /// Counts the time to an answer, or to the failure that came in its place. Of two workers at the same moment one may be
    /// lost: it is an average.
    pub fn answered(&self, took: Duration, now: Instant) {
        let took = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        let latency = self.latency().measured(took, self.milliseconds(now));
        self.latency.store(latency.to_bits(), Ordering::Relaxed);
    }

    /// What probes say; well until they say otherwise.
    pub fn is_well(&self) -> bool {
        !self.is_unwell.load(Ordering::Relaxed)
    }

    pub fn set_well(&self, well: bool, now: Instant) {
        let was_unwell = self.is_unwell.swap(!well, Ordering::Relaxed);
        if was_unwell && well {
            self.is_back(now);
        }
    }

    /// How long it has been fit, as far as is known.
    pub fn age(&self, now: Instant) -> Duration {
        let back = Duration::from_millis(self.back_ms.load(Ordering::Relaxed));
        self.time(now).saturating_sub(back)
    }

    fn is_back(&self, now: Instant) {
        let now = self.time(now).as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        self.back_ms.store(now, Ordering::Relaxed);
    }

    /// One that is drained no more comes back, and ends nothing.
    pub fn set_draining(&self, draining: bool, now: Instant) {
        let was_draining = self.is_draining.swap(draining, Ordering::Relaxed);
        if !draining {
            self.set_cut(false);
        }
        if was_draining && !draining {
            self.is_back(now);
        }
    }

    /// Whether exchanges that run are to end now.
    pub fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }

    pub fn set_cut(&self, cut: bool) {
        self.is_cut.store(cut, Ordering::Relaxed);
    }

    /// Since when the endpoint is known.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Whether it takes connections has been seen on some worker; true when that is news.
    pub fn set_refusing(&self, refusing: bool) -> bool {
        self.is_refusing.load(Ordering::Relaxed) != refusing
            && self.is_refusing.swap(refusing, Ordering::Relaxed) != refusing
    }

    /// Why it was last found wanting.
    pub fn last_error(&self) -> Option<&'static str> {
        *self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_last_error(&self, why: &'static str) {
        *self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    /// Whether the breaker is closed.
    pub fn is_closed(&self) -> bool {
        self.open_until_ns.load(Ordering::Relaxed) == CLOSED
    }

    /// Whether the breaker lets an exchange through, or one that tries.
    pub fn allows(&self, now: Instant) -> bool {
        let until = self.open_until_ns.load(Ordering::Relaxed);
        until == CLOSED || until <= nanoseconds(self.time(now))
    }

    /// Goes through the breaker, or takes the place of the one that tries; false if somebody else was quicker.
    pub fn take(&self, rules: &Rules, now: Instant) -> bool {
        self.is_closed() || self.with_circuit(|circuit| circuit.take(rules, self.time(now)))
    }

    /// Counts a failure; true when that opens the breaker.
    pub fn failed(&self, rules: &Rules, now: Instant) -> bool {
        self.with_circuit(|circuit| circuit.failed(rules, self.time(now)))
    }

    /// An exchange went well; true when that closes the breaker.
    pub fn succeeded(&self, now: Instant) -> bool {
        if self.is_closed() {
            return false;
        }
        let closed = self.with_circuit(Circuit::succeeded);
        if closed {
            self.is_back(now);
        }
        closed
    }

    /// Asks the breaker, and notes what it has come to for those who only look, before anybody else can ask it.
    fn with_circuit(&self, ask: impl FnOnce(&mut Circuit) -> bool) -> bool {
        let mut circuit = self.circuit.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = ask(&mut circuit);
        let until = circuit.open_until().map_or(CLOSED, nanoseconds);
        self.open_until_ns.store(until, Ordering::Relaxed);
        answer
    }

    fn latency(&self) -> Latency {
        Latency::from_bits(self.latency.load(Ordering::Relaxed))
    }

    /// Since this endpoint was first known.
    fn time(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }

    /// The same in fewer bits: it wraps after 49 days, which an average does not feel.
    #[expect(clippy::cast_possible_truncation, reason = "it may wrap")]
    fn milliseconds(&self, now: Instant) -> u32 {
        self.time(now).as_millis() as u32
    }
}

/// As exact as the time itself, so that whoever only looks never sees more than the breaker does; for 584 years.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(CLOSED - 1)
}

impl UnderWay {
    /// Whose it is.
    pub fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // Before the look at the queue: who joins it looks at the places afterwards, so one of the two sees the other.
        self.standing.active.fetch_sub(1, Ordering::SeqCst);
        if let Some((max, queue)) = &self.limit
            && queue.waiting() > 0
        {
            queue.offer(&self.standing, *max);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails as it likes")]

    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use openclaw_core::health::Rules;

    use super::Standing;

    const RULES: Rules = Rules {
        failures: 1,
        window: Duration::from_secs(10),
        open: Duration::from_secs(5),
    };

    #[test]
    fn who_looks_at_an_open_breaker_waits_for_nobody() {
        let standing = Arc::new(Standing::default());
        let now = standing.began();
        assert!(standing.allows(now) && standing.failed(&RULES, now));
        let (looked, told) = channel();
        let _held = standing.circuit.lock().unwrap();
        let other = Arc::clone(&standing);
        thread::spawn(move || {
            let later = now + RULES.open;
            let before = later.checked_sub(Duration::from_nanos(1)).unwrap();
            looked.send((other.allows(before), other.allows(later)))
        });
        let looks = told.recv_timeout(Duration::from_secs(15));
        assert_eq!(looks, Ok((false, true)));
    }

    #[test]
    fn whoever_may_look_in_may_try_and_nobody_beside() {
        let standing = Standing::default();
        let now = standing.began();
        assert!(standing.failed(&RULES, now));
        assert!(!standing.take(&RULES, now));
        let later = now + RULES.open;
        assert!(standing.allows(later) && standing.take(&RULES, later));
        assert!(!standing.allows(later) && !standing.take(&RULES, later));
        assert!(standing.succeeded(later) && standing.is_closed());
        assert!(standing.allows(now) && !standing.succeeded(later));
    }

    #[test]
    fn what_is_looked_at_is_what_the_breaker_says_whoever_came_last() {
        let standing = Standing::default();
        let now = standing.began();
        for _ in 0..2_000 {
            thread::scope(|scope| {
                standing.failed(&RULES, now);
                scope.spawn(|| standing.succeeded(now));
                scope.spawn(|| standing.failed(&RULES, now));
            });
            let is_open = standing.circuit.lock().unwrap().open_until().is_some();
            assert_eq!(!standing.is_closed(), is_open);
        }
    }
}
