//! Finding what lies in the directory from before, behind everything else.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::format::{self, Head};
use super::index::Entry;
use super::place::{self, FOLDERS, Named};
use super::{BLOCK, Disk};
use crate::cache::purge;

/// How often another process is asked whether it still has the directory.
const AGAIN: Duration = Duration::from_millis(500);
/// How often is told how far it is.
const TELL: Duration = Duration::from_secs(10);

/// What was found.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    objects: u64,
    bytes: u64,
    /// Of ours that are not whole, or older than what is there.
    removed: u64,
}

/// Begins to use the directory, and finds what is there. Ends when nobody has a use for the cache any more.
pub(super) fn run(disk: &Weak<Disk>) {
    let Some(()) = take_over(disk) else { return };
    let began = Instant::now();
    let mut told = began;
    let mut found = Found::default();
    for folder in 0..FOLDERS {
        let Some(path) = disk.upgrade().map(|disk| disk.place.folder(folder)) else {
            return;
        };
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a directory of the cache cannot be read");
                continue;
            }
        };
        for entry in entries.flatten() {
            // It goes with the last who has a use for it, not with the last file.
            let Some(disk) = disk.upgrade() else { return };
            // What has the name of a file and is none is somebody else's.
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            let name = entry.file_name();
            let named = name.to_str().and_then(place::named);
            if let Some(named) = named.filter(|_| is_file) {
                found.look(&disk, named, &entry.path());
            }
            if told.elapsed() > TELL {
                told = Instant::now();
                let Found { objects, bytes, .. } = found;
                tracing::info!(
                    objects,
                    bytes,
                    folder,
                    of = FOLDERS,
                    "the cache on disk is read"
                );
            }
        }
    }
    if let Some(disk) = disk.upgrade() {
        disk.meanwhile.end();
        disk.known.send_replace(true);
    }
    let Found {
        objects,
        bytes,
        removed,
    } = found;
    let ms = began.elapsed().as_millis();
    tracing::info!(objects, bytes, removed, ms, "the cache on disk is known");
}

/// Waits until the directory is this process's.
fn take_over(disk: &Weak<Disk>) -> Option<()> {
    let mut is_told = false;
    loop {
        let disk = disk.upgrade()?;
        match disk.take_over() {
            Ok(true) => return Some(()),
            Ok(false) if !is_told => {
                is_told = true;
                let path = disk.place.0.display();
                tracing::info!(%path, "another process uses the cache on disk: without it until that one ends");
            }
            Ok(false) => {}
            Err(error) => disk.trouble("opened", &error),
        }
        drop(disk);
        thread::sleep(AGAIN);
    }
}

impl Found {
    fn look(&mut self, disk: &Arc<Disk>, named: Named, path: &Path) {
        if disk.is_own(named.id) {
            return;
        }
        let read = if named.is_part { Ok(None) } else { read(path) };
        let kept = match read {
            Ok(Some((head, size))) => keep(disk, named.id, &head, size),
            Ok(None) => false,
            Err(error) => {
                disk.trouble("read", &error);
                return;
            }
        };
        if kept {
            self.objects = disk.objects();
            self.bytes = disk.bytes();
        } else {
            self.removed += 1;
            disk.unlink(path);
        }
    }
}

/// Whether it is as good as what is there, and there is room for it.
fn keep(disk: &Arc<Disk>, id: u64, head: &Head, size: u64) -> bool {
    let (route, chosen) = head.place();
    if disk.index.place(&head.key, &route, &chosen).is_some() || disk.take(size).is_err() {
        return false;
    }
    let tags = purge::tags(head.fields());
    let entry = Entry {
        id,
        size,
        route,
        chosen,
        tags: tags.clone(),
        since: None,
        is_used: false,
    };
    let put = || disk.index.put_found(&head.key, entry);
    let is_put = disk.meanwhile.keep(&head.key, &tags, put) == Some(true);
    if is_put {
        disk.follow(None);
    } else {
        disk.give_back(size);
    }
    is_put
}

/// The head of a file, and what it takes; `None` if it is not whole.
fn read(path: &Path) -> io::Result<Option<(Head, u64)>> {
    let mut file = place::open(path)?;
    let Some(head) = head(&mut file)? else {
        return Ok(None);
    };
    let whole = head.payload.file_length();
    let is_whole = file.metadata()?.size() == whole;
    Ok(is_whole.then(|| (head, whole.next_multiple_of(BLOCK))))
}

/// The head at the beginning of a file.
pub(super) fn head(file: &mut File) -> io::Result<Option<Head>> {
    let mut bytes = vec![0; 4096];
    let mut read = 0;
    loop {
        let count = file.read(bytes.get_mut(read..).unwrap_or_default())?;
        read += count;
        let Some(length) = format::length(bytes.get(..read).unwrap_or_default()) else {
            // Too short for a head, or none.
            if count == 0 || read >= format::PRELUDE {
                return Ok(None);
            }
            continue;
        };
        if read >= length {
            return Ok(format::read(&bytes));
        }
        if count == 0 {
            return Ok(None);
        }
        bytes.resize(length.max(4096), 0);
    }
}
