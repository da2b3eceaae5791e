//! Stored responses, shared by all workers. What may be stored and used is decided in [`openclaw_core::caching`]; here is where it
//! lies, how much of it there may be, and who fetches what is missing.

mod body;
mod changes;
mod coming;
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
pub use self::changes::Moment;
pub use self::disk::{Disk, DiskError, OnDisk, Purging, examine};
pub use self::fill::{Fill, Lead, Turn};
pub use self::filling::Filling;
pub use self::object::Object;
pub use self::purge::{Purge, Purged};
pub use self::reader::Reader;
pub use self::room::Fullness;

use self::changes::{Changes, Purges};
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
    /// The same for clients with credentials alone.
    known_pass: Cache<Key, Instant>,
    fills: Mutex<HashMap<Key, Arc<Fill>>>,
    room: Room,
    /// What was on its way then is not stored.
    changes: Arc<Changes>,
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
            known_pass: Cache::new(PASSES),
            fills: Mutex::default(),
            room: Room::new(memory),
            changes: Arc::default(),
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

    /// The same of what has come to lie there, or was confirmed, since then.
    pub fn newer_on_disk(
        &self,
        of: (&str, &str),
        request: &[Field<'_>],
        since: Instant,
    ) -> Option<u64> {
        self.disk()?.find_newer(of, request, since)
    }

    /// As of when is known what an origin is asked for now.
    pub fn moment(&self) -> Moment {
        self.changes.now()
    }

    /// Reads such a file; what is small is in memory then.
    pub async fn load(&self, key: &Key, file: u64) -> Option<Arc<Object>> {
        let disk = self.disk()?;
        let since = self.moment();
        // A disk that is behind says nothing, and drops the question.
        let object = Arc::new(disk.load(key, file).await.ok()??);
        if object.body.is_whole() {
            self.keep(since, key, &object, |purges| {
                // What memory has is never older, and what has its place on the disk by now is newer.
                let is_here = self.pages.peek(&**key).is_some_and(|page| {
                    let mut known = page.iter();
                    known.any(|known| object.is_in_place_of(known))
                });
                if !is_here && disk.has(key, file, &object) {
                    self.insert(key, &object, purges);
                }
            });
        }
        Some(object)
    }

    /// Puts a response in, unless it has changed since then; one after another of one URI.
    fn keep<T>(
        &self,
        since: Moment,
        key: &str,
        object: &Object,
        keep: impl FnOnce(&Purges) -> T,
    ) -> Option<T> {
        let has_tag = |tag| object.has_tag(tag);
        self.changes.keep(since, (key, has_tag), keep)
    }

    fn insert(&self, key: &Key, object: &Arc<Object>, purges: &Purges) {
        let mut page = vec![Arc::clone(object)];
        if let Some(before) = self.pages.peek(&**key) {
            page.extend(beside(key, &before, object, purges).take(MAX_VARIANTS - 1));
        }
        // What each client has to ask about on its own is nothing to wait for.
        if object.is_for_others(Instant::now()) {
            self.passes.remove(&**key);
        }
        self.pages.insert(Arc::clone(key), Arc::new(page));
    }

    /// Takes out what memory has in the place of a response that is too large for it.
    fn make_way(&self, key: &Key, object: &Object, purges: &Purges) {
        let Some(before) = self.pages.peek(&**key) else {
            return;
        };
        let others: Vec<_> = beside(key, &before, object, purges).collect();
        if others.is_empty() {
            self.pages.remove(&**key);
        } else if others.len() < before.len() {
            self.pages.insert(Arc::clone(key), Arc::new(others));
        }
    }

    /// Stores what its origin has confirmed, in the place of what it was asked about. False if that has changed since, or something
    /// newer has its place.
    pub fn renew(
        &self,
        key: &Key,
        (before, object): (&Object, &Arc<Object>),
        since: Moment,
    ) -> bool {
        let has_tag = |tag| before.has_tag(tag) || object.has_tag(tag);
        let renewed = self.changes.keep(since, (key, has_tag), |purges| {
            if self.is_replaced(key, before) {
                return false;
            }
            if object.chosen != before.chosen {
                // It is for fewer requests than it was stored for.
                self.take_out(key, object.body.file());
            }
            if object.body.is_whole() {
                self.insert(key, object, purges);
            }
            if let Some(disk) = self.disk() {
                disk.renew(key, object);
            }
            true
        });
        renewed == Some(true)
    }

    /// Whether something else has come into the place of a response.
    fn is_replaced(&self, key: &Key, object: &Object) -> bool {
        let page = self.pages.peek(&**key).unwrap_or_default();
        let mut known = page.iter().filter(|known| known.is_in_place_of(object));
        if let Some(known) = known.next() {
            return !known.body.is(&object.body);
        }
        let file = self.disk().and_then(|disk| disk.place(key, object));
        file.is_some() && file != object.body.file()
    }

    /// Takes all that is stored of a URI out, and what is on its way: it has changed.
    pub fn forget(&self, key: &str) {
        self.changes.change(key, || self.take_out(key, None));
    }

    /// Takes all that is stored of a URI out. What is on its way may be stored.
    pub fn discard(&self, key: &str) {
        self.changes.alone(key, || self.take_out(key, None));
    }

    /// All but one file.
    fn take_out(&self, key: &str, but: Option<u64>) {
        // Without what its slices have to agree with, they are of nothing.
        let slices = of_slices(key);
        for key in [key, &*slices] {
            self.pages.remove(key);
            if let Some(disk) = self.disk() {
                disk.forget(key, but);
            }
        }
    }

    fn fills(&self) -> MutexGuard<'_, HashMap<Key, Arc<Fill>>> {
        self.fills.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stays of a page where something is put in or makes way. A purge that is under way finds another page in place of the one that it
/// has looked at, and takes nothing out of that.
fn beside<'a>(
    key: &'a Key,
    page: &'a [Arc<Object>],
    object: &'a Object,
    purges: &'a Purges,
) -> impl Iterator<Item = Arc<Object>> + 'a {
    let stays = |known: &&Arc<Object>| {
        let is_meant = purges.take(key, |tag| known.has_tag(tag));
        !object.is_in_place_of(known) && !is_meant
    };
    page.iter().filter(stays).cloned()
}
