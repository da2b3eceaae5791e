//! Taking out what lies on the disk: at once as far as it is known, else when it is found; and knowing whether it has gone.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::index::Entry;
use super::{Disk, format};
use crate::cache::changes::hash;
use crate::cache::purge::Meant;
use crate::cache::{Key, Object, Purge, uri_of};

/// With more purges than this before all is known, nothing that is found then is believed in.
const NOTES: usize = 1024;
/// Marks for URIs. Clients may change as many as they like: one that was not changed is taken for one in proportion to that.
const MARKS: usize = 1 << 23;
/// So many files that could not be removed are tried again with the next purge.
const STUCK: usize = 4096;

/// What is purged while it is being found out what lies there: whatever is found is older than that. Nothing once all is known.
#[derive(Debug)]
pub(super) struct Meanwhile(Mutex<Option<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    /// A bit for the hash of each URI that is meant; of [`MARKS`], or none.
    uris: Vec<u64>,
    /// All but URIs.
    meant: Vec<Meant>,
    all: bool,
}

/// Files that should have gone, and are there.
#[derive(Debug, Default)]
pub(super) struct Stuck(Mutex<Vec<u64>>);

/// A purge on its way to the disk.
#[derive(Debug)]
pub struct Purging {
    disk: Arc<Disk>,
    left: Arc<AtomicUsize>,
}

impl Purging {
    /// Ends when all of it is on the disk. So many files are left that a restart would find.
    pub async fn settled(self) -> usize {
        let mut known = self.disk.known.subscribe();
        // It is dropped with the disk alone.
        let _ = known.wait_for(|known| *known).await;
        self.disk.pool.settled().await;
        self.left.load(Ordering::Relaxed)
    }
}

impl Disk {
    /// Takes all of a URI out, but for one file.
    pub(in crate::cache) fn forget(self: &Arc<Self>, key: &str, but: Option<u64>) {
        self.meanwhile.note(Purge::Url(key));
        for id in self.index.of(key) {
            if Some(id) != but {
                self.drop_later(key, self.index.remove(key, id));
            }
        }
    }

    /// Takes the file of what is meant by a purge away before it could be found.
    pub(super) fn take_away(&self, entry: &Entry) {
        if !self.remove(entry) {
            self.stuck.put(entry.id);
        }
    }

    /// Takes out what is older than what memory has.
    pub(in crate::cache) fn forget_one(self: &Arc<Self>, key: &str, object: &Object) {
        if let Some(id) = self.place(key, object) {
            self.drop_later(key, self.index.remove(key, id));
        }
    }

    /// Takes out what is meant, or has it asked for before it is used. Whose it was.
    pub(in crate::cache) fn purge(
        self: &Arc<Self>,
        what: Purge<'_>,
        soft: bool,
    ) -> (Vec<Key>, Purging) {
        // What is not known yet goes also where the others only grow stale: it is not read twice.
        self.meanwhile.note(what);
        let left = Arc::new(AtomicUsize::new(0));
        for id in self.stuck.take() {
            let unlink = move |disk: &Self| disk.unlink(&disk.place.whole(id));
            let job = self.purging(id, &left, unlink);
            self.pool.run_at(id, job);
        }
        let meant = Meant::from(what);
        let is_meant = |key: &str, entry: &Entry| meant.means(key, |tag| entry.tags.contains(&tag));
        let mut keys = Vec::new();
        if soft {
            for (key, id) in self.index.meant(is_meant) {
                let of = Arc::clone(&key);
                let job = self.purging(id, &left, move |disk| disk.grow_stale(&of, id));
                self.pool.run(&key, job);
                keys.push(key);
            }
        } else {
            for (key, entry) in self.index.purge(is_meant) {
                let job = self.purging(entry.id, &left, move |disk| disk.remove(&entry));
                self.pool.run(&key, job);
                keys.push(key);
            }
        }
        let disk = Arc::clone(self);
        (keys, Purging { disk, left })
    }

    /// What is to be done about a file after which nobody may get it, not even after a restart.
    fn purging(
        self: &Arc<Self>,
        id: u64,
        left: &Arc<AtomicUsize>,
        job: impl FnOnce(&Self) -> bool + Send + 'static,
    ) -> impl FnOnce() + Send + 'static {
        let (disk, left) = (Arc::clone(self), Arc::clone(left));
        move || {
            if !job(&disk) {
                disk.stuck.put(id);
                left.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Whether it is asked for before it is used from now on, or has gone.
    fn grow_stale(&self, key: &Key, id: u64) -> bool {
        let opened = OpenOptions::new().write(true).open(self.place.whole(id));
        let written = opened.and_then(|file| file.write_all_at(&[format::STALE], format::FLAGS));
        match written {
            Ok(()) => true,
            // It has made room for something else just now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.lose(key, id),
            Err(error) => {
                self.trouble("written", &error);
                self.lose(key, id)
            }
        }
    }
}

impl Default for Meanwhile {
    fn default() -> Self {
        Self(Mutex::new(Some(Notes::default())))
    }
}

impl Meanwhile {
    /// All is known.
    pub(super) fn end(&self) {
        *self.notes() = None;
    }

    /// Keeps something that was found, unless it was purged before it was known.
    pub(super) fn keep<T>(&self, key: &str, tags: &[u64], keep: impl FnOnce() -> T) -> Option<T> {
        let notes = self.notes();
        let is_purged = notes.as_ref().is_some_and(|notes| notes.mean(key, tags));
        // Under the lock: a purge sees it, or is seen here.
        (!is_purged).then(keep)
    }

    fn note(&self, what: Purge<'_>) {
        if let Some(notes) = &mut *self.notes() {
            match what {
                Purge::All => notes.all = true,
                Purge::Url(url) => notes.mark(url),
                Purge::Prefix(_) | Purge::Tag(_) if notes.meant.len() == NOTES => notes.all = true,
                Purge::Prefix(_) | Purge::Tag(_) => notes.meant.push(what.into()),
            }
        }
    }

    fn notes(&self) -> MutexGuard<'_, Option<Notes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    fn mean(&self, key: &str, tags: &[u64]) -> bool {
        let mut meant = self.meant.iter();
        self.all
            || self.is_marked(uri_of(key))
            || meant.any(|meant| meant.means(key, |tag| tags.contains(&tag)))
    }

    fn mark(&mut self, uri: &str) {
        self.uris.resize(MARKS / 64, 0);
        let (index, bit) = mark_of(uri);
        if let Some(word) = self.uris.get_mut(index) {
            *word |= bit;
        }
    }

    fn is_marked(&self, uri: &str) -> bool {
        let (index, bit) = mark_of(uri);
        self.uris.get(index).is_some_and(|word| word & bit != 0)
    }
}

/// The word of a mark, and which of its bits.
fn mark_of(uri: &str) -> (usize, u64) {
    let mark = hash(uri.as_bytes()) as usize % MARKS;
    (mark / 64, 1 << (mark % 64))
}

impl Stuck {
    fn put(&self, id: u64) {
        let mut stuck = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if stuck.len() < STUCK {
            stuck.push(id);
        }
    }

    fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_purged_before_it_is_found_is_not_kept() {
        let meanwhile = Meanwhile::default();
        let tag = hash(b"t");
        let is_kept = |url: &str, tags: &[u64]| meanwhile.keep(url, tags, || ()).is_some();
        assert!(is_kept("http://a/1", &[tag]));
        meanwhile.note(Purge::Url("http://a/1"));
        meanwhile.note(Purge::Prefix("http://b/"));
        meanwhile.note(Purge::Tag("t"));
        for (url, tags, expected) in [
            ("http://a/1", &[][..], false),
            ("http://a/1\n65536/3", &[], false),
            ("http://a/12", &[], true),
            ("http://b/x", &[], false),
            ("http://c/", &[tag], false),
            ("http://c/", &[tag + 1], true),
        ] {
            assert_eq!(is_kept(url, tags), expected, "{url}");
        }
        for number in 0..NOTES {
            meanwhile.note(Purge::Tag(&number.to_string()));
        }
        // More than is remembered: nothing is believed in.
        assert!(!is_kept("http://e/", &[]));
        meanwhile.end();
        assert!(is_kept("http://a/1", &[tag]));
    }

    #[test]
    fn as_many_uris_as_clients_change_take_little_else_with_them() {
        let meanwhile = Meanwhile::default();
        let is_kept = |url: &str| meanwhile.keep(url, &[], || ()).is_some();
        for number in 0..100_000 {
            meanwhile.note(Purge::Url(&format!("http://a/{number}")));
        }
        for number in 0..100_000 {
            assert!(!is_kept(&format!("http://a/{number}")));
        }
        let others = (0..10_000).filter(|number| is_kept(&format!("http://b/{number}")));
        assert!(others.count() > 9_700);
    }
}
