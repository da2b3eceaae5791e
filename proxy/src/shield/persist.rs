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

use super::index::{ListId, Record};
use super::lists::{Kind, Lists, Origin};
use super::prefix::{self, show};
use super::store::Now;
use crate::privilege::leave_to_owner;

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
    save_as(state_dir, FILE, bytes).map_err(|source| PersistError::Write {
        path: state_dir.join(FILE),
        source,
    })
}

/// The same for another file.
pub(super) fn save_as(state_dir: &Path, file: &str, bytes: &[u8]) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::super::prefix::{AnyNet, tests::prefix};
    use super::*;

    const NOW: Now = Now {
        mono_ns: 5_000_000_000,
        unix: 1_700_000_000,
    };

    /// A directory that goes with its value.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir()
                .join(format!("openclaw-persist-{}-{name}", std::process::id()));
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            // It may never have been made.
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn lists() -> Lists {
        let mut lists = Lists::default();
        let record = |until_ns, reason: Option<&str>| Record {
            until_ns,
            added: 1_600_000_000,
            reason: reason.map(Arc::from),
        };
        for (kind, name, origin, text, record) in [
            (
                Kind::Block,
                "manual",
                Origin::Operator,
                "203.0.113.7",
                record(65_000_000_000, Some("said \"hi\"")),
            ),
            (
                Kind::Block,
                "manual",
                Origin::Operator,
                "2001:db8::/32",
                record(0, None),
            ),
            (
                Kind::Allow,
                "office",
                Origin::Operator,
                "198.51.100.0/24",
                record(0, None),
            ),
            (
                Kind::Block,
                "config",
                Origin::Config,
                "192.0.2.0/24",
                record(0, None),
            ),
        ] {
            let id = lists.find_or_make(kind, name, origin).unwrap();
            lists.insert(AnyNet::from(prefix(text)), id, record);
        }
        lists
    }

    #[test]
    fn lists_come_back_with_what_is_left_of_their_time() {
        let directory = Directory::new("back");
        assert_eq!(load(&directory.0, NOW).unwrap(), []);
        save(&directory.0, &encode(&lists(), NOW)).unwrap();
        // Another boot: the monotonic clock begins again, ten seconds have passed.
        let later = Now {
            mono_ns: 1_000_000_000,
            unix: NOW.unix + 10,
        };
        let kept = load(&directory.0, later).unwrap();
        let names: Vec<_> = kept
            .iter()
            .map(|list| (list.kind, list.name.as_str(), list.entries.len()))
            .collect();
        assert_eq!(
            names,
            [(Kind::Block, "manual", 2), (Kind::Allow, "office", 1)]
        );
        let (address, record) = kept.first().unwrap().entries.first().unwrap();
        assert_eq!(*address, prefix("203.0.113.7"));
        assert_eq!(
            (record.until_ns, record.added),
            (51_000_000_000, 1_600_000_000)
        );
        assert_eq!(record.reason.as_deref(), Some("said \"hi\""));
        let ended = Now {
            mono_ns: 1,
            unix: NOW.unix + 60,
        };
        let kept = load(&directory.0, ended).unwrap();
        assert_eq!(kept.first().unwrap().entries.len(), 1);
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        for (name, content) in [
            ("cut", r#"{"version":1,"lists":[{"#),
            ("new", r#"{"version":9,"lists":[]}"#),
            ("bytes", "\0"),
        ] {
            let directory = Directory::new(name);
            save(&directory.0, content.as_bytes()).unwrap();
            let error = load(&directory.0, NOW).unwrap_err();
            let PersistError::Damaged { path, aside, .. } = &error else {
                unreachable!("{error}")
            };
            assert_eq!(fs::read_to_string(aside).unwrap(), content);
            assert!(!path.exists());
            assert_eq!(load(&directory.0, NOW).unwrap(), []);
        }
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error_and_leaves_the_old_file() {
        let directory = Directory::new("full");
        save(&directory.0, b"old").unwrap();
        let below_a_file = directory.0.join(FILE).join("state");
        let error = save(&below_a_file, b"new").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("they hold until the next start only"),
            "{error}"
        );
        assert_eq!(fs::read(directory.0.join(FILE)).unwrap(), b"old");
        let names: Vec<_> = fs::read_dir(&directory.0).unwrap().collect();
        assert_eq!(names.len(), 1);
    }
}
