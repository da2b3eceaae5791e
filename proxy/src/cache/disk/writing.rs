//! A response on its way to the disk: into a file without a name that counts, which gets one when it is whole.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use super::format::{self, Payload};
use super::index::Entry;
use super::parts::{self, Parts};
use super::{Disk, Source};
use crate::cache::changes::{Changes, Purges};
use crate::cache::{Key, Moment, Object};

/// Whose it is; dropped before its end it leaves nothing behind.
#[derive(Debug)]
pub(in crate::cache) struct Writing(Arc<Part>);

#[derive(Debug)]
struct Part {
    disk: Arc<Disk>,
    id: u64,
    /// Where the payload begins.
    room: u64,
    key: Key,
    object: Arc<Object>,
    changes: Arc<Changes>,
    /// When its origin was asked.
    since: Moment,
    file: Mutex<Progress>,
    is_broken: AtomicBool,
}

/// Touched by the thread of the key alone.
#[derive(Debug, Default)]
struct Progress {
    file: Option<Parts>,
    /// Bytes of the disk that it has taken.
    taken: u64,
}

impl Writing {
    pub(super) fn begin(
        (disk, id): (&Arc<Disk>, u64),
        key: &Key,
        object: &Arc<Object>,
        (changes, since): (&Arc<Changes>, Moment),
    ) -> Self {
        let part = Arc::new(Part {
            disk: Arc::clone(disk),
            id,
            room: format::room(&format::lines(key, object)),
            key: Arc::clone(key),
            object: Arc::clone(object),
            changes: Arc::clone(changes),
            since,
            file: Mutex::default(),
            is_broken: AtomicBool::new(false),
        });
        let begun = Self(part);
        begun.run(Part::create);
        begun
    }

    /// Writes what comes next; `after` lasts until it lies there.
    pub(in crate::cache) fn push(&self, piece: Bytes, after: impl Send + 'static) {
        self.run(move |part, progress| {
            let written = part.write(progress, &piece);
            drop(after);
            written
        });
    }

    /// Whether it has come to nothing.
    pub(in crate::cache) fn is_broken(&self) -> bool {
        self.0.is_broken.load(Ordering::Relaxed)
    }

    /// That was all; `after` lasts until it can be found.
    pub(in crate::cache) fn finish(self, after: impl Send + 'static) {
        self.run(move |part, progress| {
            let finished = part.finish(progress);
            drop(after);
            finished
        });
    }

    fn run(&self, job: impl FnOnce(&Part, &mut Progress) -> io::Result<()> + Send + 'static) {
        let part = Arc::clone(&self.0);
        self.0.disk.pool.run(&self.0.key, move || {
            let mut progress = part.file.lock().unwrap_or_else(PoisonError::into_inner);
            if part.is_broken.load(Ordering::Relaxed) {
                return;
            }
            if let Err(error) = job(&part, &mut progress) {
                part.is_broken.store(true, Ordering::Relaxed);
                part.give_up(&mut progress);
                // What is there is older than this.
                part.disk.forget_one(&part.key, &part.object);
                part.disk.trouble("written", &error);
            }
        });
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        // Behind all that was asked for; where it was finished there is nothing left to give up.
        self.run(|part, progress| {
            part.give_up(progress);
            Ok(())
        });
    }
}

impl Part {
    fn create(&self, progress: &mut Progress) -> io::Result<()> {
        self.take(progress, self.room)?;
        let file = self.disk.create(self.id)?;
        let parts = Parts::begin(file, self.id, self.room);
        self.object.body.lie_in(Source {
            disk: Arc::clone(&self.disk),
            key: Arc::clone(&self.key),
            id: self.id,
            parts: parts.clone(),
        });
        progress.file = Some(parts);
        Ok(())
    }

    fn write(&self, progress: &mut Progress, piece: &Bytes) -> io::Result<()> {
        let Some(file) = progress.file.clone() else {
            return Ok(());
        };
        let before = file.length();
        let after = before + piece.len() as u64;
        self.take(progress, parts::stored(after) - parts::stored(before))?;
        file.write(piece)?;
        self.object.body.lies_until(after);
        Ok(())
    }

    fn finish(&self, progress: &mut Progress) -> io::Result<()> {
        let Some(file) = progress.file.clone() else {
            return Ok(());
        };
        let has_tag = |tag| self.object.has_tag(tag);
        // A kill behind the end of a purge finds no file with a name that counts.
        if self.changes.has_changed(self.since, &self.key, has_tag) {
            self.give_up(progress);
            return Ok(());
        }
        let payload = Payload {
            room: self.room,
            length: file.finish()?,
        };
        let lines = format::lines(&self.key, &self.object);
        let head = format::head(&lines, payload)
            .ok_or_else(|| io::Error::other("the head has outgrown its room"))?;
        file.file().write_all_at(&head, 0)?;
        if payload.length == 0 {
            // So long is the file of a head alone, too.
            file.file().set_len(self.room)?;
        }
        // What a file takes is whole blocks.
        let whole = payload.file_length().next_multiple_of(super::BLOCK);
        self.take(progress, whole.saturating_sub(progress.taken))?;
        fs::rename(
            self.disk.place.part(self.id),
            self.disk.place.whole(self.id),
        )?;
        progress.file = None;
        let entry = Entry {
            id: self.id,
            size: std::mem::take(&mut progress.taken),
            route: Arc::clone(&self.object.route),
            chosen: self.object.chosen.clone(),
            tags: self.object.tags.clone(),
            since: Some(Instant::now()),
            is_used: false,
        };
        self.known(entry);
        Ok(())
    }

    /// From now on it can be found, unless it has changed since its origin was asked.
    fn known(&self, entry: Entry) {
        let file = entry.clone();
        let has_tag = |tag| file.tags.contains(&tag);
        let put = |_: &Purges| self.disk.index.put(&self.key, entry);
        match self.changes.keep(self.since, (&self.key, has_tag), put) {
            Some(before) => self.disk.follow(before),
            None => self.disk.take_away(&file),
        }
    }

    fn take(&self, progress: &mut Progress, bytes: u64) -> io::Result<()> {
        self.disk.take(bytes)?;
        progress.taken += bytes;
        Ok(())
    }

    /// Leaves nothing behind. Who reads what is there reads on: the file is open.
    fn give_up(&self, progress: &mut Progress) {
        if progress.file.take().is_some() {
            self.disk.unlink(&self.disk.place.part(self.id));
        }
        self.disk.give_back(std::mem::take(&mut progress.taken));
    }
}
