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
    /// What is fetched has changed meanwhile.
    is_spoilt: AtomicBool,
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
}

impl Fill {
    /// It is not to be stored.
    pub(super) fn spoil(&self) {
        self.is_spoilt.store(true, Ordering::Relaxed);
    }

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
    /// What the others wait for.
    pub fn fill(&self) -> Arc<Fill> {
        Arc::clone(&self.fill)
    }

    /// Whether what it fetches has changed meanwhile.
    pub(super) fn is_spoilt(&self) -> bool {
        self.fill.is_spoilt.load(Ordering::Relaxed)
    }

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
