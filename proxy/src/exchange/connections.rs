//! The open client connections of one worker, to be counted and to be closed.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::task::Waker;

use openclaw_core::reason::Reason;
use slab::Slab;
use tokio::task::AbortHandle;

/// Why a connection was closed from outside, if it was. The socket resets then, and the exchange under way logs it.
pub type Cut = Rc<Cell<Option<Reason>>>;

/// See the module.
#[derive(Debug, Default)]
pub struct Connections(RefCell<Slab<Entry>>);

#[derive(Debug)]
struct Entry {
    peer: IpAddr,
    cut: Cut,
    stop: Option<Stop>,
}

/// How whoever serves a connection learns that it is cut.
#[derive(Debug)]
pub enum Stop {
    /// A task of its own, which is ended.
    Task(AbortHandle),
    /// One that serves others as well: it is woken, and looks.
    Wake(Waker),
}

impl Connections {
    /// Takes a connection in; gives the key by which it leaves.
    pub fn enter(&self, peer: IpAddr) -> (usize, Cut) {
        let cut = Cut::default();
        let key = self.0.borrow_mut().insert(Entry {
            peer,
            cut: cut.clone(),
            stop: None,
        });
        (key, cut)
    }

    /// Who serves it.
    pub fn served_by(&self, key: usize, stop: Stop) {
        if let Some(entry) = self.0.borrow_mut().get_mut(key) {
            entry.stop = Some(stop);
        }
    }

    /// Its client has another address now.
    pub fn moved(&self, key: usize, peer: IpAddr) {
        if let Some(entry) = self.0.borrow_mut().get_mut(key) {
            entry.peer = peer;
        }
    }

    pub fn leave(&self, key: usize) {
        self.0.borrow_mut().try_remove(key);
    }

    pub fn count(&self) -> usize {
        self.0.borrow().len()
    }

    /// Closes those of peers for whom there is a reason; tells how many.
    pub fn close(&self, reason: impl Fn(IpAddr) -> Option<Reason>) -> usize {
        let mut closed = 0;
        for (_, entry) in &*self.0.borrow() {
            if entry.cut.get().is_none()
                && let Some(stop) = &entry.stop
                && let Some(reason) = reason(entry.peer)
            {
                entry.cut.set(Some(reason));
                match stop {
                    Stop::Task(task) => task.abort(),
                    Stop::Wake(waker) => waker.wake_by_ref(),
                }
                closed += 1;
            }
        }
        closed
    }
}
