//! The timer wheel of a worker: 100 ms a tick, one entry a connection, no timer object and no system call a request.
//!
//! Arming only writes the entry's due tick. The entry sits in the slot of the earliest tick it was ever filed for and
//! moves on when that slot comes up, so a keep-alive connection is filed about once per timeout, not once per request.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use slab::Slab;

/// How coarse timeouts are.
pub const TICK: Duration = Duration::from_millis(100);

const SLOTS: u64 = 1024;
const NEVER: u64 = u64::MAX;

/// All timeouts of one worker.
#[derive(Debug)]
pub struct Wheel(RefCell<Inner>);

#[derive(Debug)]
struct Inner {
    now: u64,
    slots: Vec<Vec<usize>>,
    timers: Slab<Timer>,
}

#[derive(Debug)]
struct Timer {
    due: u64,
    filed: u64,
    waker: Option<Waker>,
}

impl Wheel {
    pub fn new() -> Rc<Self> {
        let slots = (0..SLOTS).map(|_| Vec::new()).collect();
        Rc::new(Self(RefCell::new(Inner {
            now: 0,
            slots,
            timers: Slab::new(),
        })))
    }

    /// Moves on by one tick and wakes whoever is due.
    pub fn tick(&self) {
        let due = self.0.borrow_mut().advance();
        for waker in due {
            waker.wake();
        }
    }

    /// Wakes every task that waits with a deadline: they look at the world anew, for example when draining.
    pub fn wake_all(&self) {
        let wakers: Vec<Waker> = self
            .0
            .borrow_mut()
            .timers
            .iter_mut()
            .filter_map(|(_, timer)| timer.waker.take())
            .collect();
        for waker in wakers {
            waker.wake();
        }
    }
}

impl Inner {
    fn file(&mut self, key: usize, due: u64) {
        let tick = due.min(self.now + SLOTS - 1).max(self.now + 1);
        if let Some(timer) = self.timers.get_mut(key) {
            timer.filed = tick;
        }
        if let Some(slot) = self.slots.get_mut((tick % SLOTS) as usize) {
            slot.push(key);
        }
    }

    fn advance(&mut self) -> Vec<Waker> {
        self.now += 1;
        let now = self.now;
        let keys = self
            .slots
            .get_mut((now % SLOTS) as usize)
            .map(std::mem::take)
            .unwrap_or_default();
        let mut due = Vec::new();
        for key in keys {
            // The key may have been given to another timer since: only what is filed for this tick counts.
            let Some(timer) = self.timers.get_mut(key).filter(|timer| timer.filed == now) else {
                continue;
            };
            timer.filed = NEVER;
            if timer.due <= now {
                due.extend(timer.waker.take());
            } else if timer.due != NEVER {
                let next = timer.due;
                self.file(key, next);
            }
        }
        due
    }
}

/// One task's timeout; armed, disarmed and armed again at no cost to speak of.
#[derive(Debug)]
pub struct Deadline {
    wheel: Rc<Wheel>,
    key: usize,
    /// The tick at which everything is due, whatever is armed.
    end: Cell<u64>,
}

impl Deadline {
    pub fn new(wheel: &Rc<Wheel>) -> Self {
        let key = wheel.0.borrow_mut().timers.insert(Timer {
            due: NEVER,
            filed: NEVER,
            waker: None,
        });
        Self {
            wheel: wheel.clone(),
            key,
            end: Cell::new(NEVER),
        }
    }

    /// Another one, for what is done beside what this one bounds, in the same time as a whole.
    #[must_use]
    pub fn beside(&self) -> Self {
        let other = Self::new(&self.wheel);
        other.end.set(self.end.get());
        other
    }

    /// From now on everything is due after `whole` at the latest; nothing: no more than is armed.
    pub fn cap(&self, whole: Option<Duration>) {
        let now = self.wheel.0.borrow().now;
        self.end
            .set(whole.map_or(NEVER, |whole| now + ticks(whole) + 1));
    }

    /// Whether the time of [`Self::cap`] is up.
    pub fn is_over(&self) -> bool {
        self.end.get() <= self.wheel.0.borrow().now
    }

    /// Due after `timeout`, rounded up to ticks.
    pub fn arm(&self, timeout: Duration) {
        let mut inner = self.wheel.0.borrow_mut();
        let due = (inner.now + ticks(timeout) + 1).min(self.end.get());
        let Some(timer) = inner.timers.get_mut(self.key) else {
            return;
        };
        timer.due = due;
        if timer.filed > due {
            inner.file(self.key, due);
        }
    }

    /// The wheel's clock, which stands still while the worker does: time in which nobody was served counts against nobody.
    pub fn now(&self) -> Duration {
        let ticks = self.wheel.0.borrow().now;
        TICK * u32::try_from(ticks).unwrap_or(u32::MAX)
    }

    pub fn disarm(&self) {
        if let Some(timer) = self.wheel.0.borrow_mut().timers.get_mut(self.key) {
            timer.due = NEVER;
        }
    }

    /// Whether the time is up; if not, the task is woken when it is.
    pub fn poll_expired(&self, cx: &mut Context<'_>) -> bool {
        let mut inner = self.wheel.0.borrow_mut();
        let now = inner.now;
        let Some(timer) = inner.timers.get_mut(self.key) else {
            return false;
        };
        if timer.due <= now {
            return true;
        }
        match &mut timer.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
        false
    }

    /// What was polled, or `None` where it is pending and the time is up.
    pub fn bound<T>(&self, cx: &mut Context<'_>, polled: Poll<T>) -> Poll<Option<T>> {
        match polled {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if self.poll_expired(cx) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Polls until there is a value, for at most `limit`.
    pub async fn within<T>(
        &self,
        limit: Duration,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Option<T> {
        self.arm(limit);
        let result = poll_fn(|cx| {
            let polled = poll(cx);
            self.bound(cx, polled)
        })
        .await;
        self.disarm();
        result
    }
}

fn ticks(timeout: Duration) -> u64 {
    let ticks = timeout.as_millis().div_ceil(TICK.as_millis());
    ticks.min(u128::from(u32::MAX)) as u64
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.wheel.0.borrow_mut().timers.try_remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use super::{Deadline, Wheel};

    fn ticks_until_expiry(wheel: &Wheel, deadline: &Deadline) -> u32 {
        let mut cx = Context::from_waker(Waker::noop());
        let mut ticks = 0;
        while !deadline.poll_expired(&mut cx) && ticks < 5000 {
            wheel.tick();
            ticks += 1;
        }
        ticks
    }

    #[test]
    fn a_deadline_expires_once_its_time_is_up_even_beyond_one_turn_of_the_wheel() {
        for millis in [100u64, 1000, 102_400, 300_000] {
            let wheel = Wheel::new();
            let deadline = Deadline::new(&wheel);
            deadline.arm(Duration::from_millis(millis));
            assert_eq!(
                u64::from(ticks_until_expiry(&wheel, &deadline)),
                millis / 100 + 1,
                "{millis}"
            );
        }
    }

    #[test]
    fn an_earlier_deadline_takes_over_and_a_later_one_waits() {
        let wheel = Wheel::new();
        let deadline = Deadline::new(&wheel);
        deadline.arm(Duration::from_secs(75));
        deadline.arm(Duration::from_secs(1));
        assert_eq!(ticks_until_expiry(&wheel, &deadline), 11);
        deadline.arm(Duration::from_secs(2));
        assert_eq!(ticks_until_expiry(&wheel, &deadline), 21);
    }

    #[test]
    fn what_is_ready_is_taken_even_when_the_time_is_up() {
        let wheel = Wheel::new();
        let deadline = Deadline::new(&wheel);
        deadline.arm(Duration::from_millis(100));
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(deadline.bound(&mut cx, Poll::<u8>::Pending), Poll::Pending);
        ticks_until_expiry(&wheel, &deadline);
        assert_eq!(
            deadline.bound(&mut cx, Poll::Ready(1)),
            Poll::Ready(Some(1))
        );
        assert_eq!(
            deadline.bound(&mut cx, Poll::<u8>::Pending),
            Poll::Ready(None)
        );
    }

    #[test]
    fn a_waiting_task_is_woken_when_its_slot_comes_up() {
        struct Flag(std::sync::atomic::AtomicBool);
        impl std::task::Wake for Flag {
            fn wake(self: std::sync::Arc<Self>) {
                self.0.store(true, std::sync::atomic::Ordering::SeqCst);
            }
        }
        let flag = std::sync::Arc::new(Flag(false.into()));
        let waker = Waker::from(flag.clone());
        let wheel = Wheel::new();
        let deadline = Deadline::new(&wheel);
        deadline.arm(Duration::from_millis(200));
        assert!(!deadline.poll_expired(&mut Context::from_waker(&waker)));
        for _ in 0..3 {
            wheel.tick();
        }
        assert!(flag.0.load(std::sync::atomic::Ordering::SeqCst));
    }
}
