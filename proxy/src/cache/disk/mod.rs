//! Stored responses on disk: one file each, found by an index in memory. Workers never wait for it; where it fails or is behind, requests
//! go to their origins.

mod files;
mod format;
mod index;
mod place;
mod pool;
mod scan;
#[cfg(test)]
mod tests;
mod writing;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use openclaw_core::config;
use openclaw_core::message::Field;
use tokio::sync::oneshot;

pub use self::place::{DiskError, examine};
pub(super) use self::writing::Writing;

use self::index::{Entry, Index};
use self::place::Place;
use self::pool::Pool;
use super::{Key, Object, Purge};

/// Files take whole blocks.
const BLOCK: u64 = 4096;
/// So much is read at once.
const PART: u64 = 256 * 1024;
/// Nothing is written for so long after it could not be.
const PAUSE: Duration = Duration::from_secs(10);

/// The directory with what lies in it.
#[derive(Debug)]
pub struct Disk {
    place: Place,
    max: AtomicU64,
    max_index: AtomicU64,
    index: Index,
    pool: Pool,
    /// Bytes that files take.
    used: AtomicU64,
    /// The upper half of the ids of this process's files.
    own: u32,
    next: AtomicU64,
    evicted: AtomicU64,
    failed: AtomicU64,
    /// Held while this process has the directory.
    lock: OnceLock<File>,
    /// Since when nothing is written.
    paused: Mutex<Option<Instant>>,
    is_paused: AtomicBool,
}

/// Where a payload lies.
#[derive(Clone, Debug)]
pub(super) struct Source {
    disk: Arc<Disk>,
    id: u64,
    file: Arc<File>,
    /// Where it begins.
    room: u64,
}

/// What comes from the disk, some time.
pub(super) type Lying = oneshot::Receiver<io::Result<Bytes>>;

/// How full it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnDisk {
    pub objects: u64,
    pub bytes: u64,
    pub capacity: u64,
    /// Memory of the index.
    pub index: u64,
    pub evicted: u64,
    /// What could not be read or written.
    pub failed: u64,
}

impl Disk {
    /// Begins to use a directory; what is there is found meanwhile.
    ///
    /// # Errors
    /// If there are no threads for it.
    pub fn start(config: &config::CacheDisk) -> io::Result<Arc<Self>> {
        let disk = Arc::new(Self {
            place: Place(config.path.clone()),
            max: AtomicU64::new(config.max),
            max_index: AtomicU64::new(config.index),
            index: Index::default(),
            pool: Pool::start()?,
            used: AtomicU64::new(0),
            own: fastrand::u32(..),
            next: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            lock: OnceLock::new(),
            paused: Mutex::default(),
            is_paused: AtomicBool::new(false),
        });
        let scanned = Arc::downgrade(&disk);
        let thread = thread::Builder::new().name("disk-scan".to_owned());
        thread.spawn(move || scan::run(&scanned))?;
        Ok(disk)
    }

    /// Whether that is the directory.
    pub fn is_at(&self, path: &Path) -> bool {
        self.place.0 == path
    }

    /// Other bounds; what is above them goes with the next that comes.
    pub fn resize(&self, config: &config::CacheDisk) {
        self.max.store(config.max, Ordering::Relaxed);
        self.max_index.store(config.index, Ordering::Relaxed);
    }

    pub fn fullness(&self) -> OnDisk {
        OnDisk {
            objects: self.objects(),
            bytes: self.bytes(),
            capacity: self.max.load(Ordering::Relaxed),
            index: self.index.bytes(),
            evicted: self.evicted.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    /// The largest payload that it takes: one response must not push out all others.
    pub(super) fn most(&self) -> u64 {
        self.max.load(Ordering::Relaxed) / 2
    }

    /// Ends when all that was asked for before is on the disk.
    pub fn settled(&self) -> impl Future<Output = ()> + use<> {
        self.pool.settled()
    }

    /// The file for such a request.
    pub(super) fn find(&self, key: &str, route: &str, request: &[Field<'_>]) -> Option<u64> {
        self.is_open()
            .then(|| self.index.find(key, route, request))?
    }

    /// Reads what the index has found. `None`: it cannot be had.
    pub(super) fn load(self: &Arc<Self>, key: &Key, id: u64) -> oneshot::Receiver<Option<Object>> {
        let (tell, told) = oneshot::channel();
        if self.pool.is_busy() {
            return told;
        }
        let (disk, key) = (Arc::clone(self), Arc::clone(key));
        self.pool.run(id, move || {
            // Who has asked may be gone.
            let _ = tell.send(disk.read(&key, id));
        });
        told
    }

    /// Whether something new may be written.
    pub(super) fn takes(&self) -> bool {
        if !self.is_open() || self.pool.is_busy() {
            return false;
        }
        if !self.is_paused.load(Ordering::Relaxed) {
            return true;
        }
        let since = *self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = since.is_none_or(|since| since.elapsed() >= PAUSE);
        self.is_paused.store(!is_over, Ordering::Relaxed);
        is_over
    }

    /// Begins to write a response.
    pub(super) fn write(self: &Arc<Self>, key: &Key, object: &Arc<Object>) -> Option<Writing> {
        let next = self.next.fetch_add(1, Ordering::Relaxed) & u64::from(u32::MAX);
        let id = u64::from(self.own) << 32 | next;
        self.takes().then(|| Writing::begin(self, id, key, object))
    }

    /// Has another head before the same payload, as the origin has confirmed it.
    pub(super) fn renew(self: &Arc<Self>, key: &Key, object: &Arc<Object>) {
        let Some(id) = self.index.place(key, &object.route, &object.chosen) else {
            return;
        };
        let (disk, key, object) = (Arc::clone(self), Arc::clone(key), Arc::clone(object));
        self.pool.run(id, move || {
            let lines = format::lines(&key, &object);
            if let Err(error) = disk.rewrite(id, &lines) {
                disk.lose(&key, id);
                disk.trouble("written", &error);
            }
        });
    }

    /// Takes all of a URI out.
    pub(super) fn forget(self: &Arc<Self>, key: &str) {
        for entry in self.index.of(key) {
            self.drop_later(self.index.remove(key, entry.id));
        }
    }

    /// Takes out what is older than what memory has.
    pub(super) fn forget_one(self: &Arc<Self>, key: &str, object: &Object) {
        if let Some(id) = self.index.place(key, &object.route, &object.chosen) {
            self.drop_later(self.index.remove(key, id));
        }
    }

    /// Takes out what is meant, or has it asked for before it is used. Whose it was.
    pub(super) fn purge(self: &Arc<Self>, what: Purge<'_>, soft: bool) -> Vec<Key> {
        let tag = match what {
            Purge::Tag(tag) => index::hash(tag.as_bytes()),
            Purge::All | Purge::Url(_) | Purge::Prefix(_) => 0,
        };
        let is_meant = |key: &str, entry: &Entry| match what {
            Purge::All => true,
            Purge::Url(url) => key == url,
            Purge::Prefix(prefix) => key.starts_with(prefix),
            Purge::Tag(_) => entry.tags.contains(&tag),
        };
        if soft {
            let meant = self.index.meant(is_meant);
            let stale = meant.into_iter().map(|(key, id)| {
                self.grow_stale(&key, id);
                key
            });
            return stale.collect();
        }
        let gone = self.index.purge(is_meant).into_iter();
        gone.map(|(key, entry)| {
            self.drop_later(Some(entry));
            key
        })
        .collect()
    }

    fn grow_stale(self: &Arc<Self>, key: &Key, id: u64) {
        let (disk, key) = (Arc::clone(self), Arc::clone(key));
        self.pool.run(id, move || {
            let path = disk.place.whole(id);
            let opened = fs::OpenOptions::new().write(true).open(path);
            let written =
                opened.and_then(|file| file.write_all_at(&[format::STALE], format::FLAGS));
            if let Err(error) = written {
                disk.lose(&key, id);
                disk.trouble("written", &error);
            }
        });
    }
}
