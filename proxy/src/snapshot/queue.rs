//! Who waits for a place at an endpoint while all endpoints of an upstream are full, on whichever worker.
//!
//! The lock is taken only by those who wait, and by whoever gives a place back while somebody waits; everybody else sees
//! that nobody does and goes on. A place that comes free goes to whoever has waited longest of those who want it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::standing::{Standing, UnderWay};

/// The line of one upstream. Goes on from snapshot to snapshot while the upstream keeps its name.
#[derive(Debug, Default)]
pub struct Queue {
    /// Those in the line who have no place yet.
    waiting: AtomicUsize,
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    next: u64,
    /// By the order in which they came.
    entries: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// The endpoints that will do.
    wanted: Vec<Arc<Standing>>,
    waker: Waker,
    /// What it has been given.
    place: Option<UnderWay>,
}

/// One who waits; leaves the line when dropped.
#[derive(Debug)]
pub struct Waiter {
    queue: Arc<Queue>,
    ticket: u64,
}

impl Queue {
    /// Joins the line for a place at one of these endpoints, unless `bound` wait already. Whoever has joined must look for
    /// a place once more: one may have come free before anybody could know.
    pub fn join(self: &Arc<Self>, wanted: Vec<Arc<Standing>>, bound: usize) -> Option<Waiter> {
        let mut line = self.line();
        if line.entries.len() >= bound {
            return None;
        }
        let ticket = line.next;
        line.next += 1;
        let entry = Entry {
            wanted,
            waker: Waker::noop().clone(),
            place: None,
        };
        line.entries.insert(ticket, entry);
        // Together with the look at the places afterwards this is the other half of what `UnderWay` does when it ends:
        // one of the two sees the other.
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Some(Waiter {
            queue: Arc::clone(self),
            ticket,
        })
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// A place has come free at an endpoint: gives it to the first who wants it.
    pub(super) fn offer(self: &Arc<Self>, standing: &Arc<Standing>, max: u32) {
        let mut line = self.line();
        let first = line.entries.values_mut().find(|entry| {
            let is_wanted = |wanted: &Arc<Standing>| Arc::ptr_eq(wanted, standing);
            entry.place.is_none() && entry.wanted.iter().any(is_wanted)
        });
        // Where somebody else has taken the place meanwhile, its end is the next offer.
        if let Some(entry) = first
            && let Some(place) = standing.enter(max, self)
        {
            entry.place = Some(place);
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            entry.waker.wake_by_ref();
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    /// Goes on waiting where it stands in the line, for a place at one of these. As after joining, one may be free already.
    pub fn want(&self, wanted: Vec<Arc<Standing>>) {
        let mut line = self.queue.line();
        if let Some(entry) = line.entries.get_mut(&self.ticket) {
            entry.wanted = wanted;
            return;
        }
        // The place that it was given was of no use.
        let entry = Entry {
            wanted,
            waker: Waker::noop().clone(),
            place: None,
        };
        line.entries.insert(self.ticket, entry);
        self.queue.waiting.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits for a place.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<UnderWay> {
        let mut line = self.queue.line();
        let Some(entry) = line.entries.get_mut(&self.ticket) else {
            return Poll::Pending;
        };
        if let Some(place) = entry.place.take() {
            line.entries.remove(&self.ticket);
            return Poll::Ready(place);
        }
        entry.waker.clone_from(cx.waker());
        Poll::Pending
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut line = self.queue.line();
        let left = line.entries.remove(&self.ticket);
        if left.as_ref().is_some_and(|entry| entry.place.is_none()) {
            self.queue.waiting.fetch_sub(1, Ordering::SeqCst);
        }
        // A place that was given and not fetched is offered to the next, which takes the lock.
        drop(line);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Waker};
    use std::thread;

    use super::{Queue, Waiter};
    use crate::snapshot::{Standing, UnderWay};

    fn poll(waiter: &Waiter) -> Poll<UnderWay> {
        waiter.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn places_are_given_in_the_order_of_coming() {
        let (queue, standing) = (Arc::new(Queue::default()), Arc::new(Standing::default()));
        let first = standing.enter(1, &queue).unwrap();
        assert!(standing.enter(1, &queue).is_none());
        let wait = || queue.join(vec![Arc::clone(&standing)], 2);
        let (one, two) = (wait().unwrap(), wait().unwrap());
        assert!(wait().is_none(), "two may wait");
        assert!(poll(&one).is_pending() && poll(&two).is_pending());
        drop(first);
        assert!(poll(&two).is_pending());
        let Poll::Ready(place) = poll(&one) else {
            unreachable!("it was free")
        };
        assert_eq!((standing.active(), queue.waiting()), (1, 1));
        drop(place);
        assert!(poll(&two).is_ready());
        assert_eq!((standing.active(), queue.waiting()), (0, 0));
    }

    #[test]
    fn who_leaves_hands_on_what_it_was_given() {
        let (queue, standing) = (Arc::new(Queue::default()), Arc::new(Standing::default()));
        let first = standing.enter(1, &queue).unwrap();
        let wait = || queue.join(vec![Arc::clone(&standing)], 3).unwrap();
        let (one, two, three) = (wait(), wait(), wait());
        drop(two);
        drop(first);
        drop(one);
        assert_eq!(standing.active(), 1, "it is with the third");
        assert!(poll(&three).is_ready());
        drop(three);
        assert_eq!((standing.active(), queue.waiting()), (0, 0));
    }

    #[test]
    fn a_place_goes_to_the_first_who_wants_that_endpoint() {
        let queue = Arc::new(Queue::default());
        let [here, there] = [(); 2].map(|()| Arc::new(Standing::default()));
        let place = here.enter(1, &queue).unwrap();
        let one = queue.join(vec![Arc::clone(&there)], 2).unwrap();
        let two = queue
            .join(vec![Arc::clone(&there), Arc::clone(&here)], 2)
            .unwrap();
        drop(place);
        assert!(poll(&one).is_pending());
        assert!(poll(&two).is_ready());
    }

    #[test]
    fn who_waits_for_others_keeps_its_place_in_the_line() {
        let queue = Arc::new(Queue::default());
        let [here, there] = [(); 2].map(|()| Arc::new(Standing::default()));
        let places = [&here, &there].map(|one| one.enter(1, &queue).unwrap());
        let one = queue.join(vec![Arc::clone(&here)], 2).unwrap();
        let two = queue.join(vec![Arc::clone(&there)], 2).unwrap();
        one.want(vec![Arc::clone(&there)]);
        drop(places);
        assert!(poll(&two).is_pending());
        let Poll::Ready(place) = poll(&one) else {
            unreachable!("it came first")
        };
        // What it was given is of no use to it.
        drop(place);
        let Poll::Ready(place) = poll(&two) else {
            unreachable!("it was handed on")
        };
        one.want(vec![Arc::clone(&there)]);
        assert_eq!(queue.waiting(), 1);
        drop(place);
        assert!(poll(&one).is_ready());
        assert_eq!((there.active(), queue.waiting()), (0, 0));
    }

    #[test]
    fn over_threads_no_place_is_lost_and_none_is_given_twice() {
        const ROUNDS: usize = 2_000;
        struct Unpark(thread::Thread);
        impl std::task::Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let (queue, standing) = (Arc::new(Queue::default()), Arc::new(Standing::default()));
        let inside = AtomicUsize::new(0);
        let work = || {
            let waker = Waker::from(Arc::new(Unpark(thread::current())));
            for _ in 0..ROUNDS {
                let place = standing.enter(2, &queue).unwrap_or_else(|| {
                    let waiter = queue.join(vec![Arc::clone(&standing)], 4).unwrap();
                    // The look after joining.
                    standing.enter(2, &queue).unwrap_or_else(|| {
                        loop {
                            match waiter.poll(&mut Context::from_waker(&waker)) {
                                Poll::Ready(place) => break place,
                                Poll::Pending => thread::park(),
                            }
                        }
                    })
                });
                assert!(inside.fetch_add(1, Ordering::SeqCst) < 2);
                inside.fetch_sub(1, Ordering::SeqCst);
                drop(place);
            }
        };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(work);
            }
        });
        assert_eq!((standing.active(), queue.waiting()), (0, 0));
    }
}
