//! Stored responses, shared by all workers. What may be stored and used is decided in [`openclaw_core::caching`]; here is where it
//! lies, how much of it there may be, and who fetches what is missing.

mod body;
mod fill;
mod object;
mod purge;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use openclaw_core::message::{Field, authority};
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

pub use self::body::{Body, Broken, Reader};
pub use self::fill::{Fill, Filling, Lead, Turn};
pub use self::object::Object;
pub use self::purge::{Purge, Purged};

/// Scheme, host and target of a request: `https://example.com/a?b`.
pub type Key = Arc<str>;

/// The key of a request: letters of a host have one case, a port that says nothing is left out, and a path begins with a slash.
pub fn uri(scheme: &str, host: &str, target: &str) -> String {
    let host = authority::without_usual_port(host, scheme);
    let mut key = String::with_capacity(scheme.len() + host.len() + target.len() + 4);
    key.push_str(scheme);
    key.push_str("://");
    key.extend(host.chars().map(|letter| letter.to_ascii_lowercase()));
    if !target.starts_with('/') {
        key.push('/');
    }
    key.push_str(target);
    key
}

/// What is stored of one URI: one response for each kind of request.
type Page = Arc<Vec<Arc<Object>>>;

/// More responses of one URI than these push the oldest out.
const MAX_VARIANTS: usize = 64;
/// How many keys are remembered of which nothing could be stored.
const PASSES: usize = 4096;
/// The part of the memory that responses may take while they come.
const FILLING_SHARE: u64 = 4;

/// The store.
#[derive(Debug)]
pub struct Store {
    pages: Cache<Key, Page, Weight, DefaultHashBuilder, Evictions>,
    /// Keys of which nothing was stored lately, and when that was: nobody waits for who fetches them.
    passes: Cache<Key, Instant>,
    fills: Mutex<HashMap<Key, Arc<Fill>>>,
    /// Bytes of responses that are coming.
    filling: AtomicU64,
    evicted: Arc<AtomicU64>,
}

/// What there is for a request.
#[derive(Clone, Debug)]
pub enum Found {
    Object(Arc<Object>),
    /// Of that URI, but for other requests.
    OtherVariant,
    Nothing,
}

/// How full the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fullness {
    pub uris: usize,
    pub bytes: u64,
    pub capacity: u64,
    pub evicted: u64,
}

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<Key, Page> for Weight {
    fn weight(&self, key: &Key, page: &Page) -> u64 {
        let objects: usize = page.iter().map(|object| object.size()).sum();
        // An entry of the store's own, and the allocations.
        (objects + key.len() + 128) as u64
    }
}

/// Counts what goes because of what comes.
#[derive(Clone, Debug)]
struct Evictions(Arc<AtomicU64>);

impl Lifecycle<Key, Page> for Evictions {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _key: Key, _page: Page) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Store {
    /// An empty store for so many bytes.
    pub fn new(memory: u64) -> Self {
        let evicted = Arc::new(AtomicU64::new(0));
        let pages = usize::try_from(memory / 16_384).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            // A shard has to have room for a large object.
            .shards(4)
            .estimated_items_capacity(pages)
            .weight_capacity(memory)
            .build();
        let evictions = Evictions(Arc::clone(&evicted));
        let pages = match options {
            Ok(options) => {
                Cache::with_options(options, Weight, DefaultHashBuilder::default(), evictions)
            }
            // All that is asked for above is given.
            Err(_) => Cache::with(
                pages,
                memory,
                Weight,
                DefaultHashBuilder::default(),
                evictions,
            ),
        };
        Self {
            pages,
            passes: Cache::new(PASSES),
            fills: Mutex::default(),
            filling: AtomicU64::new(0),
            evicted,
        }
    }

    /// Makes room, or gives it back.
    pub fn resize(&self, memory: u64) {
        if self.pages.capacity() != memory {
            self.pages.set_capacity(memory);
        }
    }

    /// What is stored for such a request, taken by that route.
    pub fn find(&self, key: &str, route: &str, request: &[Field<'_>]) -> Found {
        let Some(page) = self.pages.get(key) else {
            return Found::Nothing;
        };
        let mut of_route = page
            .iter()
            .filter(|object| &*object.route == route)
            .peekable();
        if of_route.peek().is_none() {
            return Found::Nothing;
        }
        of_route
            .find(|object| object.chosen.matches(request))
            .map_or(Found::OtherVariant, |object| {
                Found::Object(Arc::clone(object))
            })
    }

    /// Stores a response, in the place of the one for the same requests. Of two that come at the same moment for one URI one may be
    /// lost.
    pub fn put(&self, key: &Key, object: &Arc<Object>) {
        let mut page = vec![Arc::clone(object)];
        if let Some(before) = self.pages.peek(&**key) {
            let others = before
                .iter()
                .filter(|known| known.route != object.route || known.chosen != object.chosen);
            page.extend(others.take(MAX_VARIANTS - 1).cloned());
        }
        self.passes.remove(&**key);
        self.pages.insert(Arc::clone(key), Arc::new(page));
    }

    /// Takes all that is stored of a URI out.
    pub fn forget(&self, key: &str) -> bool {
        self.pages.remove(key).is_some()
    }

    pub fn fullness(&self) -> Fullness {
        Fullness {
            uris: self.pages.len(),
            bytes: self.pages.weight(),
            capacity: self.pages.capacity(),
            evicted: self.evicted.load(Ordering::Relaxed),
        }
    }

    fn fills(&self) -> MutexGuard<'_, HashMap<Key, Arc<Fill>>> {
        self.fills.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes room for bytes of a response that is coming; false if too much is on its way.
    fn reserve(&self, bytes: usize) -> bool {
        let bytes = bytes as u64;
        let before = self.filling.fetch_add(bytes, Ordering::Relaxed);
        let fits = before + bytes <= self.pages.capacity() / FILLING_SHARE;
        if !fits {
            self.release(bytes);
        }
        fits
    }

    /// Gives room back that was taken.
    fn release(&self, bytes: u64) {
        self.filling.fetch_sub(bytes, Ordering::Relaxed);
    }
}
