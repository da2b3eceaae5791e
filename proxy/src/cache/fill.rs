//! Who fetches what is missing. Of those who want the same at the same time one goes to the origin, and the others read what that one
//! gets while it comes.

use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::{Key, Object, Store};

/// How long after nothing could be stored everybody goes to the origin at once.
const PASS_FOR: Duration = Duration::from_secs(10);

/// A response that somebody fetches.
#[derive(Debug, Default)]
pub struct Fill {
    /// As soon as its head is there and says that it may be stored.
    object: OnceLock<Arc<Object>>,
    is_over: AtomicBool,
    changed: Notify,
}

/// The place of the one who fetches; it is free again when dropped.
#[derive(Debug)]
pub struct Lead {
    store: Arc<Store>,
    key: Key,
    fill: Arc<Fill>,
}

/// What a request for something that is missing does.
#[derive(Debug)]
pub enum Turn {
    /// Fetches it.
    Lead(Lead),
    /// Takes it from who does.
    Follow(Arc<Fill>),
    /// Fetches it for itself: the last one of its kind was not stored.
    Pass,
}

/// A response on its way into the store. Dropped before its end it breaks for all who read it.
#[derive(Debug)]
pub struct Filling {
    store: Arc<Store>,
    key: Key,
    object: Arc<Object>,
    lead: Option<Lead>,
    /// The longest that is stored.
    most: u64,
    taken: u64,
    /// Bytes of the store's that are held meanwhile.
    held: u64,
    is_stored: bool,
}

impl Store {
    /// Whose turn it is to fetch.
    pub fn turn(self: &Arc<Self>, key: &Key, now: Instant) -> Turn {
        let passed = self.passes.get(&**key);
        if passed.is_some_and(|passed| now.saturating_duration_since(passed) < PASS_FOR) {
            return Turn::Pass;
        }
        match self.fills().entry(Arc::clone(key)) {
            Entry::Occupied(fill) => Turn::Follow(Arc::clone(fill.get())),
            Entry::Vacant(place) => {
                let fill = Arc::clone(place.insert(Arc::default()));
                Turn::Lead(Lead {
                    store: Arc::clone(self),
                    key: Arc::clone(key),
                    fill,
                })
            }
        }
    }

    /// Begins to store a response, whose payload is to come.
    pub fn fill(
        self: &Arc<Self>,
        key: &Key,
        object: Object,
        lead: Option<Lead>,
        most: u64,
    ) -> Filling {
        let object = Arc::new(object);
        if let Some(lead) = &lead {
            lead.publish(Arc::clone(&object));
        }
        Filling {
            store: Arc::clone(self),
            key: Arc::clone(key),
            object,
            lead,
            most,
            taken: 0,
            held: 0,
            is_stored: true,
        }
    }
}

impl Fill {
    /// Waits until it is known what comes; `None` if that is nothing to be shared.
    pub async fn object(&self) -> Option<Arc<Object>> {
        loop {
            let changed = self.changed.notified();
            if let Some(object) = self.object.get() {
                return Some(Arc::clone(object));
            }
            if self.is_over.load(Ordering::Acquire) {
                return None;
            }
            changed.await;
        }
    }
}

impl Lead {
    /// What came is not stored, so that nobody has to wait for the next one.
    pub fn pass(self) {
        self.store
            .passes
            .insert(Arc::clone(&self.key), Instant::now());
    }

    /// This is what the others get.
    pub fn publish(&self, object: Arc<Object>) {
        // It is told once.
        let _ = self.fill.object.set(object);
        self.fill.changed.notify_waiters();
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.store.fills().remove(&*self.key);
        self.fill.is_over.store(true, Ordering::Release);
        self.fill.changed.notify_waiters();
    }
}

impl Filling {
    /// Takes payload; false once nobody has a use for it.
    pub fn take(&mut self, payload: &[u8]) -> bool {
        self.taken += payload.len() as u64;
        if self.is_stored {
            if self.taken <= self.most && self.store.reserve(payload.len()) {
                self.held += payload.len() as u64;
            } else {
                self.is_stored = false;
                // Who reads it reads on, out of as much memory as it has taken until now.
                self.object.body.let_go(self.held);
                if let Some(lead) = self.lead.take() {
                    lead.pass();
                }
            }
        }
        self.object.body.push(payload)
    }

    /// Whether somebody reads along.
    pub fn is_read(&self) -> bool {
        self.object.body.is_read()
    }

    /// That was all of it.
    pub fn finish(self) {
        if self.object.body.finish() {
            self.store.put(&self.key, &self.object);
        }
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.object.body.break_off();
        self.store.release(self.held);
    }
}
