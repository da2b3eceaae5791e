//! The open client connections of one worker, to be counted and to be closed.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;

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
    task: Option<AbortHandle>,
}

impl Connections {
    /// Takes a connection in; gives the key by which it leaves.
    pub fn enter(&self, peer: IpAddr) -> (usize, Cut) {
        let cut = Cut::default();
        let key = self.0.borrow_mut().insert(Entry {
            peer,
            cut: cut.clone(),
            task: None,
        });
        (key, cut)
    }

    /// The task that serves it, and with which it ends.
    pub fn served_by(&self, key: usize, task: AbortHandle) {
        if let Some(entry) = self.0.borrow_mut().get_mut(key) {
            entry.task = Some(task);
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
                && let Some(task) = &entry.task
                && let Some(reason) = reason(entry.peer)
            {
                entry.cut.set(Some(reason));
                task.abort();
                closed += 1;
            }
        }
        closed
    }
}
