//! Room for the connections of one small server. A caller that finds none takes the place of the one that has kept the server waiting
//! longest, so that nobody is held up by connections that ask for nothing.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::sync::Notify;

/// Calls of one server at a time.
const MAX_CALLS: usize = 64;

/// See the module. On the control thread only.
#[derive(Clone, Debug)]
pub(super) struct Slots(Rc<Table>);

#[derive(Debug)]
struct Table {
    limit: usize,
    entries: RefCell<Vec<Rc<Entry>>>,
    /// A place is free, or can be freed.
    changed: Notify,
    /// Somebody has gone.
    gone: Notify,
    /// Counts the phases that were entered: which of two began earlier.
    turn: Cell<u64>,
}

#[derive(Debug)]
struct Entry {
    phase: Cell<Phase>,
    since: Cell<u64>,
    cut: Notify,
}

/// Whose turn it is, in the order in which a place is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// The caller's, to send its request with its body.
    Asking,
    /// The caller's, to take its answer or to ask again.
    Answered,
    /// The server's, to find the answer; nobody pushes it out.
    Working,
    /// Both: lines come for as long as the caller listens; nobody pushes it out.
    Following,
}

/// The place of one connection, until dropped.
#[derive(Debug)]
pub(super) struct Slot {
    table: Rc<Table>,
    entry: Rc<Entry>,
}

impl Slots {
    fn new(limit: usize) -> Self {
        Self(Rc::new(Table {
            limit,
            entries: RefCell::default(),
            changed: Notify::new(),
            gone: Notify::new(),
            turn: Cell::new(0),
        }))
    }

    /// Waits only while the server is at work for, or followed by, as many as it may have.
    pub(super) async fn take(&self) -> Slot {
        loop {
            if let Some(slot) = self.take_now() {
                return slot;
            }
            self.0.changed.notified().await;
        }
    }

    /// Waits until everybody has gone but those who follow.
    pub(super) async fn settled(&self) {
        loop {
            let gone = self.0.gone.notified();
            if self.only_follow() {
                return;
            }
            gone.await;
        }
    }

    fn only_follow(&self) -> bool {
        let entries = self.0.entries.borrow();
        let mut phases = entries.iter().map(|entry| entry.phase.get());
        phases.all(|phase| phase == Phase::Following)
    }

    fn take_now(&self) -> Option<Slot> {
        let mut entries = self.0.entries.borrow_mut();
        if entries.len() >= self.0.limit {
            let (index, _) = entries
                .iter()
                .enumerate()
                .filter(|(_, entry)| entry.phase.get() <= Phase::Answered)
                .min_by_key(|(_, entry)| (entry.phase.get(), entry.since.get()))?;
            entries.swap_remove(index).cut.notify_one();
        }
        let entry = Rc::new(Entry {
            phase: Cell::new(Phase::Asking),
            since: Cell::new(self.0.next_turn()),
            cut: Notify::new(),
        });
        entries.push(Rc::clone(&entry));
        Some(Slot {
            table: Rc::clone(&self.0),
            entry,
        })
    }
}

impl Default for Slots {
    fn default() -> Self {
        Self::new(MAX_CALLS)
    }
}

impl Table {
    fn next_turn(&self) -> u64 {
        self.turn.replace(self.turn.get() + 1)
    }
}

impl Slot {
    /// A request begins.
    pub(super) fn asking(&self) {
        self.enter(Phase::Asking);
    }

    /// The request is there, whole.
    pub(super) fn working(&self) {
        self.enter(Phase::Working);
    }

    /// The answer is on its way.
    pub(super) fn answered(&self) {
        self.enter(Phase::Answered);
    }

    /// Lines follow without an end. Whoever sends them bounds how many listen, below the number of places.
    pub(super) fn following(&self) {
        self.enter(Phase::Following);
    }

    pub(super) fn is_following(&self) -> bool {
        self.entry.phase.get() == Phase::Following
    }

    /// Waits until another caller has taken the place.
    pub(super) async fn cut(&self) {
        self.entry.cut.notified().await;
    }

    fn enter(&self, phase: Phase) {
        self.entry.phase.set(phase);
        self.entry.since.set(self.table.next_turn());
        self.table.changed.notify_one();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut entries = self.table.entries.borrow_mut();
        // One that was pushed out is not there any more.
        entries.retain(|entry| !Rc::ptr_eq(entry, &self.entry));
        self.table.changed.notify_one();
        self.table.gone.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use futures_util::FutureExt;

    use super::*;

    fn is_cut(slot: &Slot) -> bool {
        slot.cut().now_or_never().is_some()
    }

    #[test]
    fn the_place_goes_that_kept_the_server_waiting_longest() {
        let slots = Slots::new(4);
        let held: Vec<Slot> = (0..4).map(|_| slots.take_now().unwrap()).collect();
        held[0].working();
        held[1].answered();
        held[2].asking();
        let cut = || held.iter().map(is_cut).collect::<Vec<_>>();
        let _fifth = slots.take_now().unwrap();
        assert_eq!(cut(), [false, false, false, true], "asking for longest");
        let _sixth = slots.take_now().unwrap();
        assert_eq!(cut(), [false, false, true, false], "asking, too");
        assert_eq!(slots.0.entries.borrow().len(), 4);
    }

    #[test]
    fn who_is_served_keeps_the_place_and_one_who_ends_leaves_it() {
        let slots = Slots::new(2);
        let first = slots.take_now().unwrap();
        let second = slots.take_now().unwrap();
        first.working();
        second.following();
        assert!(slots.take_now().is_none());
        let mut third = Box::pin(slots.take());
        assert!(third.as_mut().now_or_never().is_none());
        drop(first);
        assert!(third.now_or_never().is_some());
        assert!(slots.settled().now_or_never().is_some(), "one follows");
        let fourth = slots.take_now().unwrap();
        let mut settled = Box::pin(slots.settled());
        assert!(settled.as_mut().now_or_never().is_none());
        drop(fourth);
        assert!(settled.now_or_never().is_some());
    }
}
