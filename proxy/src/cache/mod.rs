//! Stored responses, shared by all workers. What may be stored and used is decided in [`openclaw_core::caching`]; here is where it
//! lies, how much of it there may be, and who fetches what is missing.

mod body;
mod disk;
mod fill;
mod filling;
mod object;
mod purge;
mod reader;
mod room;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use openclaw_core::message::{Field, authority};
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

pub use self::body::{Body, Broken};
pub use self::disk::{Disk, DiskError, OnDisk, Purging, examine};
pub use self::fill::{Fill, Lead, Turn};
pub use self::filling::Filling;
pub use self::object::Object;
pub use self::purge::{Purge, Purged};
pub use self::reader::Reader;
pub use self::room::Fullness;

use self::room::Room;

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

/// The key of a slice of something large. Not to be taken for a request's: no target has a line break.
pub fn slice(key: &str, size: u64, number: u64) -> Key {
    format!("{key}\n{size}/{number}").into()
}

/// The key of what the slices of a URI are of: a head without a body, which says what they have to agree with.
pub fn of_slices(key: &str) -> Key {
    format!("{key}\n").into()
}

/// The URI of a key.
fn uri_of(key: &str) -> &str {
    key.split_once('\n').map_or(key, |(uri, _)| uri)
}

/// What is stored of one URI: one response for each kind of request.
type Page = Arc<Vec<Arc<Object>>>;

/// More responses of one URI than these push the oldest out.
const MAX_VARIANTS: usize = 64;
/// How many keys are remembered of which nothing could be stored.
const PASSES: usize = 4096;
/// The store.
#[derive(Debug)]
pub struct Store {
    pages: Cache<Key, Page, Weight, DefaultHashBuilder, Evictions>,
    /// Keys of which nothing was stored lately, and when that was: nobody waits for who fetches them.
    passes: Cache<Key, Instant>,
    fills: Mutex<HashMap<Key, Arc<Fill>>>,
    room: Room,
    /// How often something was purged: what was on its way then is not stored.
    purges: AtomicU64,
    disk: RwLock<Option<Arc<Disk>>>,
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
            .shards(room::SHARDS as usize)
            .estimated_items_capacity(pages)
            .weight_capacity(room::of_stored(memory))
            .build();
        let evictions = Evictions(Arc::clone(&evicted));
        let pages = match options {
            Ok(options) => {
                Cache::with_options(options, Weight, DefaultHashBuilder::default(), evictions)
            }
            // All that is asked for above is given.
            Err(_) => Cache::with(
                pages,
                room::of_stored(memory),
                Weight,
                DefaultHashBuilder::default(),
                evictions,
            ),
        };
        Self {
            pages,
            passes: Cache::new(PASSES),
            fills: Mutex::default(),
            room: Room::new(memory),
            purges: AtomicU64::new(0),
            disk: RwLock::default(),
            evicted,
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

    /// The disk behind the memory, if there is one.
    pub fn disk(&self) -> Option<Arc<Disk>> {
        self.disk
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// From now on this is it.
    pub fn set_disk(&self, disk: Option<Arc<Disk>>) {
        *self.disk.write().unwrap_or_else(PoisonError::into_inner) = disk;
    }

    /// The file of what is on the disk for such a request.
    pub fn on_disk(&self, key: &str, route: &str, request: &[Field<'_>]) -> Option<u64> {
        self.disk()?.find(key, route, request)
    }

    /// Reads such a file; what is small is in memory then.
    pub async fn load(&self, key: &Key, file: u64) -> Option<Arc<Object>> {
        let disk = self.disk()?;
        let object = Arc::new(disk.load(key, file).await.ok()??);
        if object.body.is_whole() {
            self.put(key, &object);
        }
        Some(object)
    }

    /// Stores a response in memory, in the place of the one for the same requests. Of two that come at the same moment for one URI one
    /// may be lost.
    pub fn put(&self, key: &Key, object: &Arc<Object>) {
        let mut page = vec![Arc::clone(object)];
        if let Some(before) = self.pages.peek(&**key) {
            let others = before
                .iter()
                .filter(|known| known.route != object.route || known.chosen != object.chosen);
            page.extend(others.take(MAX_VARIANTS - 1).cloned());
        }
        // What each client has to ask about on its own is nothing to wait for.
        if object.is_for_others(Instant::now()) {
            self.passes.remove(&**key);
        }
        self.pages.insert(Arc::clone(key), Arc::new(page));
    }

    /// Stores what its origin has confirmed.
    pub fn renew(&self, key: &Key, object: &Arc<Object>) {
        if object.body.is_whole() {
            self.put(key, object);
        }
        if let Some(disk) = self.disk() {
            disk.renew(key, object);
        }
    }

    /// Takes all that is stored of a URI out, and what is on its way.
    pub fn forget(&self, key: &str) {
        if let Some(fill) = self.fills().get(key) {
            fill.spoil();
        }
        // Without what its slices have to agree with, they are of nothing.
        let slices = of_slices(key);
        for key in [key, &*slices] {
            self.pages.remove(key);
            if let Some(disk) = self.disk() {
                disk.forget(key);
            }
        }
    }

    fn fills(&self) -> MutexGuard<'_, HashMap<Key, Arc<Fill>>> {
        self.fills.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
