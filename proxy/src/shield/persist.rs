//! The operator's lists over restarts: one JSON file in the state directory, replaced as a whole, and beside it a file for each big list,
//! written when that list changes. A file that cannot be read is set aside, never fatal: a proxy that starts without its lists is better
//! than one that does not start.

mod own;
mod read;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use openclaw_core::config::Prefix;
use serde::Serialize;

pub(super) use self::own::Files;
use self::own::{BIG, Written};
pub(super) use self::read::load;
use super::index::{ListId, Record};
use super::lists::{Kind, List, Lists, Origin};
use super::prefix::{AnyNet, show};
use super::store::Now;
use crate::privilege::leave_to_owner;

const FILE: &str = "lists.json";
/// All lists are in the one file.
const ALONE: u32 = 1;
/// Big lists have files of their own.
const VERSION: u32 = 2;
const SECOND: u64 = 1_000_000_000;

#[derive(Serialize)]
struct Saved<'a> {
    version: u32,
    lists: Vec<SavedList<'a>>,
}

#[derive(Serialize)]
struct SavedList<'a> {
    kind: Kind,
    name: &'a str,
    /// The entries are in the list's own file.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    own_file: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entries: Vec<SavedEntry<'a>>,
}

/// Times are seconds since 1970.
#[derive(Serialize)]
struct SavedEntry<'a> {
    address: String,
    added: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// A list as it was saved, without what has ended since.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) entries: Vec<Restored>,
    /// It came from a file of its own.
    pub(super) is_own: bool,
    /// Nothing of that file was left out.
    pub(super) is_whole: bool,
}

/// An entry as it was saved.
pub(super) type Restored = (Prefix, Record);

/// What was on the disk.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) lists: Vec<Kept>,
    /// Files of lists that are missing from it.
    pub(super) problems: Vec<PersistError>,
}

/// What a save writes.
#[derive(Debug)]
pub(super) struct Encoded {
    index: Vec<u8>,
    /// Big lists that have changed, by the name of their file.
    big: Vec<(String, Vec<u8>)>,
    /// Files that nothing refers to afterwards.
    gone: Vec<String>,
    /// What is on the disk afterwards.
    pub(super) files: Files,
}

/// Why the lists are not on the disk.
#[derive(Debug, thiserror::Error)]
pub(super) enum PersistError {
    #[error("cannot read {}; starting without it", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot read {}, which was moved to {}; starting without it", path.display(), aside.display())]
    Unread {
        path: PathBuf,
        aside: PathBuf,
        source: io::Error,
    },
    #[error("{} is damaged and was moved to {}; starting without it", path.display(), aside.display())]
    Damaged {
        path: PathBuf,
        aside: PathBuf,
        source: io::Error,
    },
    #[error(
        "{count} parts of {} cannot be used and are left out, the first: {first}; the whole is kept in {}",
        path.display(),
        aside.display()
    )]
    LeftOut {
        path: PathBuf,
        aside: PathBuf,
        count: usize,
        first: String,
    },
    #[error("cannot save the lists to {}; they hold until the next start only", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// The operator's lists as the bytes of their files; a big one that is on the disk as it is now is left out.
pub(super) fn encode(lists: &Lists, files: &Files, now: Now) -> Encoded {
    let operators = || {
        let all = lists.all();
        all.filter(|(_, list)| list.origin == Origin::Operator && list.v4 + list.v6 > 0)
    };
    let is_big = |list: &List| list.v4 + list.v6 >= BIG;
    let mut new = Files::default();
    let mut entries: BTreeMap<ListId, Vec<(AnyNet, &Record)>> = BTreeMap::new();
    for (id, list) in operators() {
        if !is_big(list) || !files.holds(id, list) {
            entries.insert(id, Vec::with_capacity(list.v4 + list.v6));
        }
        if is_big(list) {
            let written = Written {
                name: own::file_name(list.kind, &list.name),
                revision: Some(list.revision),
            };
            new.0.insert(id, written);
        }
    }
    // One walk for all of them: a walk for each would cost lists times entries.
    lists.each(|id, net, record| {
        if let Some(entries) = entries.get_mut(&id) {
            entries.push((net, record));
        }
    });
    let mut big = Vec::new();
    let mut small = Vec::new();
    for (id, list) in operators() {
        let mut of_list = entries.remove(&id);
        if let Some(written) = new.0.get(&id)
            && let Some(entries) = of_list.take()
        {
            big.push((written.name.clone(), own::encode(&entries, now)));
        }
        small.push(SavedList {
            kind: list.kind,
            name: &list.name,
            own_file: is_big(list),
            entries: saved_entries(&of_list.unwrap_or_default(), now),
        });
    }
    let is_alone = new.0.is_empty();
    let saved = Saved {
        version: if is_alone { ALONE } else { VERSION },
        lists: small,
    };
    let old = files.0.iter().filter(|(id, _)| !new.0.contains_key(id));
    Encoded {
        // Only a map with keys that are no strings, or a writer that fails, could make an error.
        index: serde_json::to_vec(&saved).unwrap_or_default(),
        big,
        gone: old.map(|(_, written)| written.name.clone()).collect(),
        files: new,
    }
}

/// One list for itself, as a big one has its file.
pub(super) fn encode_one(entries: &[(AnyNet, &Record)], now: Now) -> Vec<u8> {
    own::encode(entries, now)
}

/// What [`encode_one`] wrote, without what has ended since; nothing if it is not whole.
pub(super) fn decode_one(bytes: &[u8], now: Now) -> Option<Vec<Restored>> {
    let (entries, _) = own::decode(bytes, now).ok()?;
    Some(entries)
}

fn saved_entries<'a>(entries: &[(AnyNet, &'a Record)], now: Now) -> Vec<SavedEntry<'a>> {
    let entries = entries.iter().map(|(net, record)| SavedEntry {
        address: show(&net.to_prefix()),
        added: record.added,
        until: moment(record, now),
        reason: record.reason.as_deref(),
    });
    entries.collect()
}

/// The end of an entry in seconds since 1970.
fn moment(record: &Record, now: Now) -> Option<u64> {
    (record.until_ns != 0).then(|| now.unix.saturating_add(now.seconds_until(record.until_ns)))
}

/// Writes what has changed. Each file is the old or the new one whenever it crashes; the one that names the others comes after them,
/// and what it no longer names goes last.
pub(super) fn save(state_dir: &Path, encoded: &Encoded) -> Result<(), PersistError> {
    for (name, bytes) in &encoded.big {
        replace(state_dir, name, bytes)?;
    }
    replace(state_dir, FILE, &encoded.index)?;
    for name in &encoded.gone {
        // A file that nothing names only takes room.
        let _ = fs::remove_file(state_dir.join(name));
    }
    Ok(())
}

fn replace(state_dir: &Path, name: &str, bytes: &[u8]) -> Result<(), PersistError> {
    save_as(state_dir, name, bytes).map_err(|source| PersistError::Write {
        path: state_dir.join(name),
        source,
    })
}

/// Writes beside the file and moves it into place, so that a crash leaves the old or the new one.
pub fn save_as(state_dir: &Path, file: &str, bytes: &[u8]) -> io::Result<()> {
    let path = state_dir.join(file);
    let beside = state_dir.join(format!(".{file}.{}", std::process::id()));
    let written = fs::create_dir_all(state_dir)
        .and_then(|()| write(&beside, bytes, state_dir))
        .and_then(|()| fs::rename(&beside, &path))
        .and_then(|()| File::open(state_dir)?.sync_all());
    written.inspect_err(|_| {
        // Half a file on a full disk only takes room; that it may not be there is fine.
        let _ = fs::remove_file(&beside);
    })
}

fn write(path: &Path, bytes: &[u8], state_dir: &Path) -> io::Result<()> {
    let file = File::create(path)?;
    leave_to_owner(&file, state_dir);
    let mut file = BufWriter::new(file);
    file.write_all(bytes)?;
    file.into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()
}

#[cfg(test)]
mod tests;
