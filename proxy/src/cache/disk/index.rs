//! What lies on the disk, as far as it has to be known without reading it. Its size is bounded, and so is the time for which a part of it
//! is locked: workers ask it where memory has nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use openclaw_core::caching::Chosen;
use openclaw_core::message::Field;

use crate::cache::changes::hash;
use crate::cache::{Key, MAX_VARIANTS, Object};

const SHARDS: usize = 16;
/// What an entry takes beside its URI, the fields it was chosen by and its tags.
const ENTRY: usize = 256;

/// A file that is whole.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    /// Bytes of the disk.
    pub(super) size: u64,
    pub(super) route: Arc<str>,
    pub(super) chosen: Chosen,
    pub(super) tags: Box<[u64]>,
    /// When it came to lie there, or was confirmed; none for what lay there before.
    pub(super) since: Option<Instant>,
    /// Since it was looked at for its age.
    pub(super) is_used: bool,
}

#[derive(Debug, Default)]
pub(super) struct Index {
    shards: [Mutex<Shard>; SHARDS],
    /// Whose turn it is to lose something.
    next: AtomicUsize,
    bytes: AtomicU64,
    objects: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    /// Of each the oldest first.
    uris: HashMap<Key, Vec<Entry>>,
    /// By age; what is not there any more is passed over.
    order: VecDeque<(u64, Key)>,
    count: usize,
}

impl Entry {
    /// Whether it is for the same requests as another one.
    fn is_in_place_of(&self, other: &Self) -> bool {
        self.route == other.route && self.chosen == other.chosen
    }
}

impl Index {
    /// Bytes of memory that it takes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn objects(&self) -> u64 {
        self.objects.load(Ordering::Relaxed)
    }

    /// The file for such a request.
    pub(super) fn find(&self, key: &str, route: &str, request: &[Field<'_>]) -> Option<u64> {
        let mut shard = self.shard(key);
        let entries = shard.uris.get_mut(key)?;
        let is_it = |entry: &&mut Entry| &*entry.route == route && entry.chosen.matches(request);
        // The newest first.
        let entry = entries.iter_mut().rev().find(is_it)?;
        entry.is_used = true;
        Some(entry.id)
    }

    /// The same among those that have come, or were confirmed, since then.
    pub(super) fn find_newer(
        &self,
        (key, route): (&str, &str),
        request: &[Field<'_>],
        than: Instant,
    ) -> Option<u64> {
        let shard = self.shard(key);
        let mut entries = shard.uris.get(key)?.iter().rev();
        let is_it = |entry: &&Entry| {
            let is_newer = entry.since.is_some_and(|since| since >= than);
            is_newer && &*entry.route == route && entry.chosen.matches(request)
        };
        entries.find(is_it).map(|entry| entry.id)
    }

    /// What is in a file was confirmed, with these fields; nothing if it is not there. Nobody finds it between that and `first`.
    pub(super) fn renew(&self, key: &Key, id: u64, object: &Object, first: impl FnOnce()) {
        let mut shard = self.shard(key);
        first();
        let Some(entry) = self.take(&mut shard, key, id) else {
            return;
        };
        let entry = Entry {
            chosen: object.chosen.clone(),
            tags: object.tags.clone(),
            since: Some(Instant::now()),
            ..entry
        };
        self.add(&mut shard, key, entry, usize::MAX);
    }

    /// The file for exactly those requests.
    pub(super) fn place(&self, key: &str, route: &str, chosen: &Chosen) -> Option<u64> {
        let shard = self.shard(key);
        let mut entries = shard.uris.get(key)?.iter();
        let is_it = |entry: &&Entry| &*entry.route == route && entry.chosen == *chosen;
        entries.find(is_it).map(|entry| entry.id)
    }

    /// Puts one in; gives what makes room for it: the one in whose place it is, or the oldest where there are too many of a URI.
    pub(super) fn put(&self, key: &Key, entry: Entry) -> Option<Entry> {
        let mut shard = self.shard(key);
        let known = shard.uris.get(key).map_or(&[][..], Vec::as_slice);
        let same = known.iter().find(|known| known.is_in_place_of(&entry));
        let is_full = known.len() >= MAX_VARIANTS;
        let oldest = known.first().filter(|_| is_full);
        let gone = same.or(oldest).map(|gone| gone.id);
        let gone = gone.and_then(|gone| self.take(&mut shard, key, gone));
        self.add(&mut shard, key, entry, usize::MAX);
        gone
    }

    /// Puts one in that lay there before all that came since; false if there is one in its place, or no more room for that URI.
    pub(super) fn put_found(&self, key: &Key, entry: Entry) -> bool {
        let mut shard = self.shard(key);
        let known = shard.uris.get(key).map_or(&[][..], Vec::as_slice);
        let is_there = known.iter().any(|known| known.is_in_place_of(&entry));
        let is_put = !is_there && known.len() < MAX_VARIANTS;
        if is_put {
            self.add(&mut shard, key, entry, 0);
        }
        is_put
    }

    /// Adds one at such a place among those of its URI: the newest are last.
    fn add(&self, shard: &mut Shard, key: &Key, entry: Entry, at: usize) {
        self.bytes.fetch_add(weight(key, &entry), Ordering::Relaxed);
        self.objects.fetch_add(1, Ordering::Relaxed);
        shard.count += 1;
        shard.order.push_back((entry.id, Arc::clone(key)));
        let entries = shard.uris.entry(Arc::clone(key)).or_default();
        entries.insert(at.min(entries.len()), entry);
        shard.tidy();
    }

    /// Whether that file is there, and known as what the response in it says.
    pub(super) fn has(&self, key: &str, id: u64, object: &Object) -> bool {
        let shard = self.shard(key);
        let mut entries = shard.uris.get(key).into_iter().flatten();
        let is_so = |entry: &Entry| entry.chosen == object.chosen && entry.tags == object.tags;
        entries.any(|entry| entry.id == id && is_so(entry))
    }

    pub(super) fn remove(&self, key: &str, id: u64) -> Option<Entry> {
        self.take(&mut self.shard(key), key, id)
    }

    /// Takes out what is meant.
    pub(super) fn purge(&self, is_meant: impl Fn(&str, &Entry) -> bool) -> Vec<(Key, Entry)> {
        let mut gone = Vec::new();
        for shard in &self.shards {
            let mut shard = lock(shard);
            let mut ids = Vec::new();
            for (key, entries) in &shard.uris {
                // With one response of a URI the others go as well: they are the same thing in other words.
                if entries.iter().any(|entry| is_meant(key, entry)) {
                    ids.extend(entries.iter().map(|entry| (Arc::clone(key), entry.id)));
                }
            }
            for (key, id) in ids {
                let entry = self.take(&mut shard, &key, id);
                gone.extend(entry.map(|entry| (key, entry)));
            }
        }
        gone
    }

    /// The files of one URI.
    pub(super) fn of(&self, key: &str) -> Vec<u64> {
        let shard = self.shard(key);
        let entries = shard.uris.get(key).into_iter().flatten();
        entries.map(|entry| entry.id).collect()
    }

    /// What is meant, and stays.
    pub(super) fn meant(&self, is_meant: impl Fn(&str, &Entry) -> bool) -> Vec<(Key, u64)> {
        let mut found = Vec::new();
        for shard in &self.shards {
            for (key, entries) in &lock(shard).uris {
                let meant = entries.iter().filter(|entry| is_meant(key, entry));
                found.extend(meant.map(|entry| (Arc::clone(key), entry.id)));
            }
        }
        found
    }

    /// Takes out one of the oldest that nobody has asked for since it was looked at last.
    pub(super) fn evict(&self) -> Option<Entry> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        (0..SHARDS).find_map(|step| {
            let shard = self.shards.get((first + step) % SHARDS)?;
            self.evict_of(&mut lock(shard))
        })
    }

    fn evict_of(&self, shard: &mut Shard) -> Option<Entry> {
        loop {
            let (id, key) = shard.order.pop_front()?;
            let entries = shard
                .uris
                .get_mut(&key)
                .map_or(&mut [][..], Vec::as_mut_slice);
            match entries.iter_mut().find(|entry| entry.id == id) {
                // It has another round.
                Some(entry) if entry.is_used => {
                    entry.is_used = false;
                    shard.order.push_back((id, key));
                }
                Some(_) => return self.take(shard, &key, id),
                None => {}
            }
        }
    }

    fn take(&self, shard: &mut Shard, key: &str, id: u64) -> Option<Entry> {
        let entries = shard.uris.get_mut(key)?;
        let index = entries.iter().position(|entry| entry.id == id)?;
        let entry = entries.remove(index);
        if entries.is_empty() {
            shard.uris.remove(key);
        }
        shard.count = shard.count.saturating_sub(1);
        self.bytes.fetch_sub(weight(key, &entry), Ordering::Relaxed);
        self.objects.fetch_sub(1, Ordering::Relaxed);
        Some(entry)
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, Shard> {
        let index = hash(key.as_bytes()) as usize % SHARDS;
        // The remainder is one of them.
        lock(self.shards.get(index).unwrap_or(&self.shards[0]))
    }
}

impl Shard {
    /// Forgets the age of what has gone, before that is more than what is there.
    fn tidy(&mut self) {
        if self.order.len() > 2 * self.count + 64 {
            let uris = &self.uris;
            self.order.retain(|(id, key)| {
                let entries = uris.get(key).map_or(&[][..], Vec::as_slice);
                entries.iter().any(|entry| entry.id == *id)
            });
        }
    }
}

fn weight(key: &str, entry: &Entry) -> u64 {
    (ENTRY + key.len() + entry.chosen.size() + 8 * entry.tags.len()) as u64
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
