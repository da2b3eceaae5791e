//! The operator's lists over restarts: one JSON file in the state directory, replaced as a whole. A file that cannot be read is set
//! aside, never fatal: a proxy that starts without its lists is better than one that does not start.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use openclaw_core::config::Prefix;
use serde::{Deserialize, Serialize};

use super::lists::{Kind, ListId, Lists, Origin, Record};
use super::prefix::{self, show};
use super::store::Now;

const FILE: &str = "lists.json";
const VERSION: u32 = 1;
const SECOND: u64 = 1_000_000_000;

#[derive(Serialize, Deserialize)]
struct Saved<'a> {
    version: u32,
    #[serde(borrow)]
    lists: Vec<SavedList<'a>>,
}

#[derive(Serialize, Deserialize)]
struct SavedList<'a> {
    kind: Kind,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    entries: Vec<SavedEntry<'a>>,
}

/// Times are seconds since 1970.
#[derive(Serialize, Deserialize)]
struct SavedEntry<'a> {
    address: String,
    added: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
}

/// A list as it was saved, without what has ended since.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) entries: Vec<(Prefix, Record)>,
}

/// Why the lists are not on the disk.
#[derive(Debug, thiserror::Error)]
pub(super) enum PersistError {
    #[error("cannot read {}; starting without it", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is damaged and was moved to {}; starting without it", path.display(), aside.display())]
    Damaged {
        path: PathBuf,
        aside: PathBuf,
        source: serde_json::Error,
    },
    #[error("cannot save the lists to {}; they hold until the next start only", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// The operator's lists as the bytes of the file.
pub(super) fn encode(lists: &Lists, now: Now) -> Vec<u8> {
    let saved = Saved {
        version: VERSION,
        lists: lists
            .all()
            .filter(|(_, list)| list.origin == Origin::Operator && list.v4 + list.v6 > 0)
            .map(|(id, list)| SavedList {
                kind: list.kind,
                name: (&list.name).into(),
                entries: entries(lists, id, now),
            })
            .collect(),
    };
    // Only a map with keys that are no strings, or a writer that fails, could make an error.
    serde_json::to_vec(&saved).unwrap_or_default()
}

fn entries(lists: &Lists, id: ListId, now: Now) -> Vec<SavedEntry<'_>> {
    let entries = lists.entries(id).map(|(net, record)| SavedEntry {
        address: show(&net.to_prefix()),
        added: record.added,
        until: (record.until_ns != 0)
            .then(|| now.unix.saturating_add(now.seconds_until(record.until_ns))),
        reason: record.reason.as_deref().map(Cow::Borrowed),
    });
    entries.collect()
}

/// Writes beside the file and moves it into place, so that a crash leaves the old or the new one.
pub(super) fn save(state_dir: &Path, bytes: &[u8]) -> Result<(), PersistError> {
    let path = state_dir.join(FILE);
    let beside = state_dir.join(format!(".{FILE}.{}", std::process::id()));
    let written = fs::create_dir_all(state_dir)
        .and_then(|()| write(&beside, bytes))
        .and_then(|()| fs::rename(&beside, &path))
        .and_then(|()| File::open(state_dir)?.sync_all());
    written.map_err(|source| {
        // Half a file on a full disk only takes room; that it may not be there is fine.
        let _ = fs::remove_file(&beside);
        PersistError::Write { path, source }
    })
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(bytes)?;
    file.into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()
}

/// Reads what was saved; nothing if there is no file.
pub(super) fn load(state_dir: &Path, now: Now) -> Result<Vec<Kept>, PersistError> {
    let path = state_dir.join(FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(PersistError::Read { path, source }),
    };
    decode(&bytes, now).map_err(|source| {
        let aside = state_dir.join(format!("{FILE}.damaged-{}", now.unix));
        // If it cannot be moved, the next save replaces it; the warning is the same.
        let _ = fs::rename(&path, &aside);
        PersistError::Damaged {
            path,
            aside,
            source,
        }
    })
}

fn decode(bytes: &[u8], now: Now) -> Result<Vec<Kept>, serde_json::Error> {
    let saved: Saved<'_> = serde_json::from_slice(bytes)?;
    if saved.version != VERSION {
        return Err(serde::de::Error::custom(format!(
            "version {} is unknown",
            saved.version
        )));
    }
    let lists = saved.lists.into_iter().map(|list| {
        let entries = list
            .entries
            .into_iter()
            .filter_map(|entry| restore(entry, now).transpose());
        Ok(Kept {
            kind: list.kind,
            name: list.name.into_owned(),
            entries: entries.collect::<Result<_, _>>()?,
        })
    });
    lists.collect()
}

/// Nothing if it has ended.
fn restore(entry: SavedEntry<'_>, now: Now) -> Result<Option<(Prefix, Record)>, serde_json::Error> {
    let prefix = prefix::read(&entry.address)
        .map_err(serde::de::Error::custom)?
        .prefix;
    let until_ns = match entry.until {
        None => 0,
        Some(until) if until <= now.unix => return Ok(None),
        Some(until) => {
            let left = Duration::from_secs(until - now.unix)
                .as_secs()
                .saturating_mul(SECOND);
            now.mono_ns.saturating_add(left).min(u64::MAX - 1)
        }
    };
    let reason = entry.reason.map(|reason| Arc::from(reason.as_ref()));
    Ok(Some((
        prefix,
        Record {
            until_ns,
            added: entry.added,
            reason,
        },
    )))
}
