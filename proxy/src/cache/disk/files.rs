//! What the threads of the disk do with its files, and what it costs.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::format::{self, Head, Payload};
use super::index::Entry;
use super::{Disk, Lying, PART, PAUSE, Source, scan};
use crate::cache::{Body, Key, Object};

impl Disk {
    /// Whether the directory is this process's, now if not before.
    pub(super) fn take_over(&self) -> io::Result<bool> {
        let Some(lock) = self.place.lock()? else {
            return Ok(false);
        };
        // It is taken once.
        let _ = self.lock.set(lock);
        Ok(true)
    }

    pub(super) fn is_open(&self) -> bool {
        self.lock.get().is_some()
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

    /// Puts a whole file into the index, in the place of the one for the same requests.
    pub(super) fn put(&self, key: &Key, entry: Entry) {
        if let Some(before) = self.index.put(key, entry) {
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

    /// Takes the file of an entry away that is not in the index any more.
    fn remove(&self, entry: &Entry) {
        self.unlink(&self.place.whole(entry.id));
        self.give_back(entry.size);
    }

    /// The same by a thread that may wait.
    pub(super) fn drop_later(self: &Arc<Self>, entry: Option<Entry>) {
        let Some(entry) = entry else { return };
        let disk = Arc::clone(self);
        self.pool.run(entry.id, move || disk.remove(&entry));
    }

    /// What cannot be used is not kept.
    pub(super) fn lose(&self, key: &Key, id: u64) {
        if let Some(entry) = self.index.remove(key, id) {
            self.remove(&entry);
        }
    }

    pub(super) fn unlink(&self, path: &Path) {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.trouble("removed", &error);
            }
            _ => {}
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

    /// A file with its head.
    pub(super) fn open(self: &Arc<Self>, id: u64) -> io::Result<(Head, Source)> {
        let mut file = File::open(self.place.whole(id))?;
        let head = scan::head(&mut file)?;
        let head = head.ok_or_else(|| io::Error::other("a file of the cache is damaged"))?;
        let source = Source {
            disk: Arc::clone(self),
            id,
            file: Arc::new(file),
            room: head.payload.room,
        };
        Ok((head, source))
    }

    /// Writes other lines into the head of a file.
    pub(super) fn rewrite(&self, id: u64, lines: &[u8]) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let mut file = options.read(true).write(true).open(self.place.whole(id))?;
        let head = scan::head(&mut file)?;
        let head = head.and_then(|head| format::head(lines, head.payload));
        let head = head.ok_or_else(|| io::Error::other("the head has outgrown its room"))?;
        file.write_all_at(&head, 0)
    }

    /// The response in a file.
    pub(super) fn read(self: &Arc<Self>, key: &Key, id: u64) -> Option<Object> {
        let read = self.open(id).and_then(|(head, source)| {
            // The index took the file's word for it when it was found.
            if head.key != *key {
                return Err(io::Error::other("a file of the cache was changed"));
            }
            let payload = head.payload;
            let body = if payload.length > PART {
                Body::lying(source, payload.length)
            } else {
                Body::here(source.all(payload)?)
            };
            Ok(head.into_object(body))
        });
        read.inspect_err(|error| {
            self.lose(key, id);
            // One that is gone has made room for something else just now.
            if error.kind() != io::ErrorKind::NotFound {
                self.trouble("read", error);
            }
        })
        .ok()
    }
}

impl Source {
    /// What lies at the beginning of a range, or some of it.
    pub(in crate::cache) fn read(&self, range: std::ops::Range<u64>) -> Lying {
        let (tell, told) = oneshot::channel();
        let (source, length) = (self.clone(), (range.end - range.start).min(PART));
        self.disk.pool.run(self.id, move || {
            let read = source.part(range.start, length);
            if let Err(error) = &read {
                // Who looks for it next finds that it is gone.
                source.disk.unlink(&source.disk.place.whole(source.id));
                source.disk.trouble("read", error);
            }
            // Who has asked may be gone.
            let _ = tell.send(read);
        });
        told
    }

    fn part(&self, from: u64, length: u64) -> io::Result<Bytes> {
        // No more than PART.
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        self.file.read_exact_at(&mut bytes, self.room + from)?;
        Ok(bytes.into())
    }

    /// A payload that is read at once, as it was written.
    fn all(&self, payload: Payload) -> io::Result<Bytes> {
        let bytes = self.part(0, payload.length)?;
        if crc32fast::hash(&bytes) == payload.checksum {
            return Ok(bytes);
        }
        Err(io::Error::other("a file of the cache is damaged"))
    }
}
