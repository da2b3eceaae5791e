//! Stored responses on disk: one file each, found by an index in memory. Workers never wait for it; where it fails or is behind, requests
//! go to their origins.

mod files;
mod format;
mod index;
mod parts;
mod place;
mod pool;
mod purging;
mod scan;
#[cfg(test)]
mod tests;
mod writing;

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use openclaw_core::config;
use openclaw_core::message::Field;
use tokio::sync::{oneshot, watch};

pub use self::place::{DiskError, examine};
pub use self::purging::Purging;
pub(super) use self::writing::Writing;

use self::index::Index;
use self::parts::Parts;
use self::place::Place;
use self::pool::Pool;
use self::purging::{Meanwhile, Stuck};
use super::changes::Changes;
use super::{Key, Moment, Object};

/// Files take whole blocks.
const BLOCK: u64 = 4096;
/// What is no longer than this is read whole, and memory has it then.
const SMALL: u64 = 256 * 1024;
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
    lock: Mutex<Option<File>>,
    is_open: AtomicBool,
    /// Whether all is found that lay there from before.
    known: watch::Sender<bool>,
    meanwhile: Meanwhile,
    stuck: Stuck,
    /// Since when nothing is written.
    paused: Mutex<Option<Instant>>,
    is_paused: AtomicBool,
    /// When the log was told of damage last.
    told: Mutex<Option<Instant>>,
}

/// Where a payload lies.
#[derive(Clone, Debug)]
pub(super) struct Source {
    disk: Arc<Disk>,
    key: Key,
    id: u64,
    parts: Parts,
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
    /// What could not be read or written, or was damaged.
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
            lock: Mutex::default(),
            is_open: AtomicBool::new(false),
            known: watch::Sender::new(false),
            meanwhile: Meanwhile::default(),
            stuck: Stuck::default(),
            paused: Mutex::default(),
            is_paused: AtomicBool::new(false),
            told: Mutex::default(),
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
        let (disk, of) = (Arc::clone(self), Arc::clone(key));
        self.pool.run(key, move || {
            // Who has asked may be gone.
            let _ = tell.send(disk.read(&of, id));
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

    /// Whether the index still has that file, as what the response says that was read from it.
    pub(super) fn has(&self, key: &str, id: u64, object: &Object) -> bool {
        self.index.has(key, id, object)
    }

    /// The file in the place of a response.
    pub(super) fn place(&self, key: &str, object: &Object) -> Option<u64> {
        self.index.place(key, &object.route, &object.chosen)
    }

    /// What has come to lie there for such a request since then.
    pub(super) fn find_newer(
        &self,
        (key, route): (&str, &str),
        request: &[Field<'_>],
        since: Instant,
    ) -> Option<u64> {
        self.is_open()
            .then(|| self.index.find_newer((key, route), request, since))?
    }

    /// Begins to write a response, whose origin was asked `since`.
    pub(super) fn write(
        self: &Arc<Self>,
        key: &Key,
        object: &Arc<Object>,
        since: (&Arc<Changes>, Moment),
    ) -> Option<Writing> {
        let next = self.next.fetch_add(1, Ordering::Relaxed) & u64::from(u32::MAX);
        let id = u64::from(self.own) << 32 | next;
        self.takes()
            .then(|| Writing::begin((self, id), key, object, since))
    }

    /// Has another head before the same payload, as the origin has confirmed it, unless another payload has its place by now.
    pub(super) fn renew(self: &Arc<Self>, key: &Key, object: &Arc<Object>) {
        let Some(id) = object.body.file() else {
            return;
        };
        let (disk, of, renewed) = (Arc::clone(self), Arc::clone(key), Arc::clone(object));
        let rewrite = move || {
            let lines = format::lines(&of, &renewed);
            match disk.rewrite(id, &lines) {
                Ok(true) if disk.has(&of, id, &renewed) => {}
                // Without room for the head, or not yet known when it was confirmed: by its old tags a purge of the new ones misses it.
                Ok(_) => {
                    disk.lose(&of, id);
                }
                Err(error) => {
                    disk.lose(&of, id);
                    // One that is not there has made room for something else just now.
                    if error.kind() != io::ErrorKind::NotFound {
                        disk.trouble("written", &error);
                    }
                }
            }
        };
        // Queued before it is found as what it is then: who reads it reads the new head.
        let first = || self.pool.run(key, rewrite);
        self.index.renew(key, id, object, first);
    }
}
