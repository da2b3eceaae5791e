//! Who fetches what is missing. Of those who want the same at the same time one goes to the origin, and the others wait for him.

use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::{Key, Store};

/// How long after nothing could be stored everybody goes to the origin at once.
const PASS_FOR: Duration = Duration::from_secs(10);

/// A response that somebody fetches.
#[derive(Debug, Default)]
pub struct Fill {
    is_over: AtomicBool,
    over: Notify,
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
    /// Waits for who does.
    Wait(Arc<Fill>),
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
            Entry::Occupied(fill) => Turn::Wait(Arc::clone(fill.get())),
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
    /// Waits until whoever fetches is done with it, well or not.
    pub async fn wait(&self) {
        loop {
            let notified = self.over.notified();
            if self.is_over.load(Ordering::Acquire) {
                return;
            }
            notified.await;
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
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.store.fills().remove(&*self.key);
        self.fill.is_over.store(true, Ordering::Release);
        self.fill.over.notify_waiters();
    }
}
