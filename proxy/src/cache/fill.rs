//! Who fetches what is missing. Of those who want the same at the same time one goes to the origin, and the others read what that one
//! gets while it comes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use openclaw_core::caching::Asked;
use quick_cache::sync::Cache;
use tokio::sync::Notify;

use super::{Key, Moment, Object, Store};

/// How long after nothing could be stored everybody goes to the origin at once.
const PASS_FOR: Duration = Duration::from_secs(10);

/// A response that somebody fetches.
#[derive(Debug)]
pub struct Fill {
    /// What has changed since may be in it as it was before.
    since: Moment,
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

impl Store {
    /// Whose turn it is to fetch.
    pub fn turn(self: &Arc<Self>, key: &Key, asked: Asked, now: Instant) -> Turn {
        let is_passed = |passes: &Cache<Key, Instant>| {
            let passed = passes.get(&**key);
            passed.is_some_and(|passed| now.saturating_duration_since(passed) < PASS_FOR)
        };
        if is_passed(&self.passes) || (asked.has_credentials && is_passed(&self.known_pass)) {
            return Turn::Pass;
        }
        let mut fills = self.fills();
        let coming = fills.get(key).filter(|fill| !self.is_outdated(key, fill));
        if let Some(fill) = coming {
            return Turn::Follow(Arc::clone(fill));
        }
        let fill = Arc::new(Fill::new(self.moment()));
        fills.insert(Arc::clone(key), Arc::clone(&fill));
        Turn::Lead(Lead {
            store: Arc::clone(self),
            key: Arc::clone(key),
            fill,
        })
    }

    /// Whether who asks now may not get it: it was asked for before a change.
    fn is_outdated(&self, key: &str, fill: &Fill) -> bool {
        // As long as its tags are not known it may have any.
        let has_tag = |tag| fill.object.get().is_none_or(|object| object.has_tag(tag));
        self.changes.has_changed(fill.since, key, has_tag)
    }
}

impl Fill {
    fn new(since: Moment) -> Self {
        Self {
            since,
            object: OnceLock::new(),
            is_over: AtomicBool::new(false),
            changed: Notify::new(),
        }
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

    /// What came is not stored, so that nobody has to wait for the next one.
    pub fn pass(self) {
        self.store
            .passes
            .insert(Arc::clone(&self.key), Instant::now());
    }

    /// The same for who has credentials: for others it may be stored.
    pub fn pass_with_credentials(self) {
        self.store
            .known_pass
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
        let mut fills = self.store.fills();
        // Where it has changed meanwhile another one has the place.
        let in_place = fills.get(&self.key);
        if in_place.is_some_and(|fill| Arc::ptr_eq(fill, &self.fill)) {
            fills.remove(&self.key);
        }
        drop(fills);
        self.fill.is_over.store(true, Ordering::Release);
        self.fill.changed.notify_waiters();
    }
}
