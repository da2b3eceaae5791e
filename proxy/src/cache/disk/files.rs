//! What the threads of the disk do with its files, and what it costs.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use super::format::{self, Head};
use super::index::Entry;
use super::parts::Parts;
use super::{Disk, Lying, PAUSE, SMALL, Source, place, scan};
use crate::cache::{Body, Key, Object};

impl Disk {
    /// Whether the directory is this process's, now if not before; it is made where it is missing.
    pub(super) fn take_over(&self) -> io::Result<bool> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if lock.as_ref().is_some_and(|lock| self.place.has(lock)) {
            return Ok(true);
        }
        *lock = self.place.lock()?;
        self.is_open.store(lock.is_some(), Ordering::Relaxed);
        Ok(lock.is_some())
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    /// A new file. Where the directory has gone with all that was in it, there is another one afterwards.
    pub(super) fn create(&self, id: u64) -> io::Result<File> {
        let created = self.place.create(id);
        match &created {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => return created,
        }
        if !self.take_over()? {
            return Err(io::Error::other("another process has made it anew"));
        }
        let path = self.place.0.display();
        tracing::warn!(%path, "the directory of the cache had gone, and is made anew");
        self.place.create(id)
    }

    /// Whether a file is of this process.
    pub(super) fn is_own(&self, id: u64) -> bool {
        id >> 32 == u64::from(self.own)
    }

    pub(super) fn objects(&self) -> u64 {
        self.index.objects()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// What comes after something was put into the index in the place of that.
    pub(super) fn follow(&self, before: Option<Entry>) {
        if let Some(before) = before {
            self.remove(&before);
        }
        while self.index.bytes() > self.max_index.load(Ordering::Relaxed) && self.evict() {}
    }

    /// Takes room for bytes, from the oldest if there is no other.
    pub(super) fn take(&self, bytes: u64) -> io::Result<()> {
        let fit = |used: u64| {
            let after = used.checked_add(bytes)?;
            (after <= self.max.load(Ordering::Relaxed)).then_some(after)
        };
        loop {
            let taken = self
                .used
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fit);
            if taken.is_ok() {
                return Ok(());
            }
            if !self.evict() {
                return Err(io::ErrorKind::QuotaExceeded.into());
            }
        }
    }

    pub(super) fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn evict(&self) -> bool {
        let Some(entry) = self.index.evict() else {
            return false;
        };
        self.remove(&entry);
        self.evicted.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Takes the file of an entry away that is not in the index any more. Whether it has gone.
    pub(super) fn remove(&self, entry: &Entry) -> bool {
        self.give_back(entry.size);
        self.unlink(&self.place.whole(entry.id))
    }

    /// The same by a thread that may wait.
    pub(super) fn drop_later(self: &Arc<Self>, key: &str, entry: Option<Entry>) {
        let Some(entry) = entry else { return };
        let disk = Arc::clone(self);
        self.pool.run(key, move || {
            disk.remove(&entry);
        });
    }

    /// What cannot be used is not kept. Whether it has gone.
    pub(super) fn lose(&self, key: &Key, id: u64) -> bool {
        let entry = self.index.remove(key, id);
        entry.is_none_or(|entry| self.remove(&entry))
    }

    /// Whether it has gone.
    pub(super) fn unlink(&self, path: &Path) -> bool {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.trouble("removed", &error);
                false
            }
            _ => true,
        }
    }

    /// Counts what went wrong, and leaves the disk alone for a while. The log is told of the first.
    pub(super) fn trouble(&self, what: &'static str, error: &io::Error) {
        // Something larger than all there may be is no trouble of the disk's.
        if error.kind() == io::ErrorKind::QuotaExceeded && error.raw_os_error().is_none() {
            return;
        }
        self.failed.fetch_add(1, Ordering::Relaxed);
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = paused.is_none_or(|since| since.elapsed() >= PAUSE);
        *paused = Some(Instant::now());
        drop(paused);
        self.is_paused.store(true, Ordering::Relaxed);
        if is_news {
            let path = self.place.0.display();
            let seconds = PAUSE.as_secs();
            tracing::warn!(%path, %error, "a file of the cache cannot be {what}: nothing is written there for {seconds} s, responses pass");
        }
    }

    /// Throws away what is not what was written. The log is told of the first, and of another one now and then.
    fn discard(&self, key: &Key, id: u64, error: &io::Error) {
        self.lose(key, id);
        let is = |kinds: &[io::ErrorKind]| kinds.contains(&error.kind());
        // One that is not there has made room for something else just now.
        if is(&[io::ErrorKind::NotFound]) {
            return;
        }
        if !is(&[io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof]) {
            self.trouble("read", error);
            return;
        }
        self.failed.fetch_add(1, Ordering::Relaxed);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= PAUSE) {
            *told = Some(Instant::now());
            let path = self.place.whole(id);
            tracing::warn!(path = %path.display(), uri = &**key, %error, "a file of the cache is damaged, and thrown away");
        }
    }

    /// A file with its head.
    fn open(self: &Arc<Self>, key: &Key, id: u64) -> io::Result<(Head, Source)> {
        let mut file = place::open(&self.place.whole(id))?;
        let damaged = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let head = scan::head(&mut file)?.ok_or_else(|| damaged("its head is none"))?;
        // The index took the file's word for it when it was found.
        if head.key != *key {
            return Err(damaged("it was changed"));
        }
        let source = Source {
            disk: Arc::clone(self),
            key: Arc::clone(key),
            id,
            parts: Parts::of(file, id, head.payload.room, head.payload.length),
        };
        Ok((head, source))
    }

    /// Writes other lines into the head of a file; false if there is no head, or no room for these.
    pub(super) fn rewrite(&self, id: u64, lines: &[u8]) -> io::Result<bool> {
        let mut options = fs::OpenOptions::new();
        let mut file = options.read(true).write(true).open(self.place.whole(id))?;
        let head = scan::head(&mut file)?;
        let head = head.and_then(|head| format::head(lines, head.payload));
        head.map_or(Ok(false), |head| file.write_all_at(&head, 0).map(|()| true))
    }

    /// The response in a file.
    pub(super) fn read(self: &Arc<Self>, key: &Key, id: u64) -> Option<Object> {
        let read = self.open(key, id).and_then(|(head, source)| {
            let length = head.payload.length;
            let body = if length > SMALL {
                Body::lying(source, length)
            } else {
                Body::here(source.parts.all()?, id)
            };
            Ok(head.into_object(body))
        });
        read.inspect_err(|error| self.discard(key, id, error)).ok()
    }
}

impl Source {
    /// Which file it is.
    pub(in crate::cache) const fn file(&self) -> u64 {
        self.id
    }

    /// What lies at the beginning of a range, or some of it.
    pub(in crate::cache) fn read(&self, range: Range<u64>) -> Lying {
        let (tell, told) = oneshot::channel();
        let source = self.clone();
        self.disk.pool.run(&self.key, move || {
            let read = source.parts.read(&range);
            if let Err(error) = &read {
                // Who looks for it next finds that it is gone.
                source.disk.discard(&source.key, source.id, error);
            }
            // Who has asked may be gone.
            let _ = tell.send(read);
        });
        told
    }
}
