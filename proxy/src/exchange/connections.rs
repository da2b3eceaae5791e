//! The open client connections of one worker, to be counted and to be closed.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::task::Waker;

use openclaw_core::reason::Reason;
use slab::Slab;
use tokio::task::AbortHandle;

use crate::snapshot::Permit;

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
    /// Where it is given back as soon as the connection ends.
    permit: Option<Permit>,
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
    pub fn enter(&self, peer: IpAddr, permit: Option<Permit>) -> (usize, Cut) {
        let cut = Cut::default();
        let key = self.0.borrow_mut().insert(Entry {
            peer,
            cut: cut.clone(),
            stop: None,
            permit,
        });
        (key, cut)
    }

    /// The connection is announced as a client's; false if that one has `max` already.
    pub fn pass_to(&self, key: usize, client: IpAddr, max: usize) -> bool {
        let mut entries = self.0.borrow_mut();
        let Some(entry) = entries.get_mut(key) else {
            return true;
        };
        entry.peer = client;
        let permit = entry.permit.as_mut();
        permit.is_none_or(|permit| permit.pass_to(client, max))
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
