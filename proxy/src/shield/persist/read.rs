//! What the files of the lists hold: every list and entry that can be used. What cannot is named, and the file kept as it was beside
//! the one that the next save writes; of a file that is no such file at all nothing is taken.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use openclaw_core::config::Prefix;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ALONE, FILE, Kept, Loaded, PersistError, Restored, SECOND, VERSION, own};
use crate::files;
use crate::shield::index::Record;
use crate::shield::lists::Kind;
use crate::shield::prefix::{self, shorten};
use crate::shield::rules::check_name;
use crate::shield::store::Now;

#[derive(Deserialize)]
struct Saved<'a> {
    version: u32,
    #[serde(borrow)]
    lists: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct SavedList<'a> {
    kind: Kind,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default)]
    own_file: bool,
    #[serde(borrow, default)]
    entries: Vec<&'a RawValue>,
}

/// Times are seconds since 1970.
#[derive(Deserialize)]
struct SavedEntry<'a> {
    #[serde(borrow)]
    address: Cow<'a, str>,
    added: u64,
    #[serde(default)]
    until: Option<u64>,
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
}

/// What of a file cannot be used.
#[derive(Debug, Default)]
pub(super) struct Faults {
    count: usize,
    first: Option<String>,
}

impl Faults {
    pub(super) fn add(&mut self, what: String) {
        self.count += 1;
        self.first.get_or_insert(what);
    }

    /// Keeps a copy of the file, and says what is missing.
    fn told(self, path: &Path, now: Now) -> Option<PersistError> {
        let first = self.first?;
        let aside = aside(path, now);
        // Without the copy the warning is the same.
        let _ = fs::copy(path, &aside);
        Some(PersistError::LeftOut {
            path: path.to_owned(),
            aside,
            count: self.count,
            first,
        })
    }
}

/// Reads what was saved; nothing if there is no file.
pub(in crate::shield) fn load(state_dir: &Path, now: Now) -> Result<Loaded, PersistError> {
    sweep(state_dir);
    let path = state_dir.join(FILE);
    let bytes = match files::read(&path, files::KEPT) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Loaded::default()),
        Err(source) => return Err(unread(path, now, source)),
    };
    let (mut lists, faults) = match decode(&bytes, now) {
        Ok(decoded) => decoded,
        Err(source) => return Err(set_aside(path, now, io::Error::from(source))),
    };
    let mut problems = Vec::new();
    problems.extend(faults.told(&path, now));
    lists.retain_mut(|list| {
        if !list.is_own {
            return true;
        }
        let known = problems.len();
        match load_own(state_dir, list, now, &mut problems) {
            Ok(entries) => {
                list.entries = entries;
                list.is_whole = problems.len() == known;
            }
            Err(problem) => {
                problems.push(problem);
                return false;
            }
        }
        true
    });
    Ok(Loaded { lists, problems })
}

/// Takes out what processes that are gone have left half written: `.NAME.PROCESS`.
fn sweep(state_dir: &Path) {
    for entry in fs::read_dir(state_dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let parts = name
            .to_str()
            .and_then(|name| name.strip_prefix('.')?.rsplit_once('.'));
        let is_over = |process: &str| {
            process.parse::<u32>().is_ok() && !Path::new("/proc").join(process).exists()
        };
        if parts.is_some_and(|(_, process)| is_over(process)) {
            // It only takes room.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn load_own(
    state_dir: &Path,
    list: &Kept,
    now: Now,
    problems: &mut Vec<PersistError>,
) -> Result<Vec<Restored>, PersistError> {
    let path = state_dir.join(own::file_name(list.kind, &list.name));
    let bytes = match files::read(&path, files::KEPT) {
        Ok(bytes) => bytes,
        Err(source) => return Err(unread(path, now, source)),
    };
    match own::decode(&bytes, now) {
        Ok((entries, faults)) => {
            problems.extend(faults.told(&path, now));
            Ok(entries)
        }
        Err(what) => {
            let source = io::Error::new(io::ErrorKind::InvalidData, what);
            Err(set_aside(path, now, source))
        }
    }
}

fn aside(path: &Path, now: Now) -> PathBuf {
    path.with_added_extension(format!("damaged-{}", now.unix))
}

/// The next save would replace what may well be whole.
fn unread(path: PathBuf, now: Now, source: io::Error) -> PersistError {
    let aside = aside(&path, now);
    match fs::rename(&path, &aside) {
        Ok(()) => PersistError::Unread {
            path,
            aside,
            source,
        },
        // Whoever may not rename it may not replace it either.
        Err(_) => PersistError::Read { path, source },
    }
}

fn set_aside(path: PathBuf, now: Now, source: io::Error) -> PersistError {
    let aside = aside(&path, now);
    // If it cannot be moved, the next save replaces it; the warning is the same.
    let _ = fs::rename(&path, &aside);
    PersistError::Damaged {
        path,
        aside,
        source,
    }
}

/// Lists as they stand in the one file, and what of it cannot be used.
fn decode(bytes: &[u8], now: Now) -> Result<(Vec<Kept>, Faults), serde_json::Error> {
    use serde::de::Error as _;
    let saved: Saved<'_> = serde_json::from_slice(bytes)?;
    if ![ALONE, VERSION].contains(&saved.version) {
        let text = format!("version {} is unknown", saved.version);
        return Err(serde_json::Error::custom(text));
    }
    let mut faults = Faults::default();
    let mut lists = Vec::new();
    for raw in saved.lists {
        let list: SavedList<'_> = match serde_json::from_str(raw.get()) {
            Ok(list) => list,
            Err(error) => {
                faults.add(format!("a list: {error}"));
                continue;
            }
        };
        // It becomes a part of a path.
        if list.own_file && check_name(list.kind, &list.name).is_err() {
            faults.add(format!("`{}` is no name of a list", shorten(&list.name)));
            continue;
        }
        let mut entries = Vec::with_capacity(list.entries.len());
        for raw in list.entries {
            match restore(raw.get(), now) {
                Ok(entry) => entries.extend(entry),
                Err(error) => {
                    let what = shorten(raw.get());
                    faults.add(format!("`{what}` on the list `{}`: {error}", list.name));
                }
            }
        }
        lists.push(Kept {
            kind: list.kind,
            name: list.name.into_owned(),
            entries,
            is_own: list.own_file,
            is_whole: true,
        });
    }
    Ok((lists, faults))
}

/// Nothing if it has ended.
fn restore(raw: &str, now: Now) -> Result<Option<Restored>, serde_json::Error> {
    let entry: SavedEntry<'_> = serde_json::from_str(raw)?;
    let reading = prefix::read(&entry.address).map_err(serde::de::Error::custom)?;
    let reason = entry.reason.map(|reason| Arc::from(reason.as_ref()));
    let (prefix, added, until) = (reading.prefix, entry.added, entry.until);
    Ok(restored(prefix, added, until, reason, now))
}

/// Nothing if it has ended. The monotonic clock may be that of another boot.
pub(super) fn restored(
    prefix: Prefix,
    added: u64,
    until: Option<u64>,
    reason: Option<Arc<str>>,
    now: Now,
) -> Option<Restored> {
    let until_ns = match until {
        None => 0,
        Some(until) => {
            let left = until.checked_sub(now.unix).filter(|left| *left > 0)?;
            let left_ns = left.saturating_mul(SECOND);
            now.mono_ns.saturating_add(left_ns).min(u64::MAX - 1)
        }
    };
    let record = Record {
        until_ns,
        added,
        reason,
    };
    Some((prefix, record))
}
