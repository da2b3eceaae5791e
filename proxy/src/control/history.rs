//! Which configurations have served, so that the operator can go back: the one that serves, a few before it, and the one that was gone
//! back from. They are kept as text, in memory and in one file of the state directory that only this user can read.
//!
//! While a configuration waits for its confirmation the file holds what is gone back to without one, so that a process that dies
//! meanwhile, perhaps by the new configuration, starts with the old one.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::iter;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::load::{self, Origin, Reading};
use super::written::Written;
use crate::files;
use crate::telemetry::chain;

const FILE: &str = "history.json";
const VERSION: u32 = 1;
/// Configurations before the one that serves.
const KEPT: usize = 5;
/// A larger file is not ours.
const MAX_SIZE: u64 = 256 << 20;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct History {
    pub(super) serving: Written,
    /// The latest last; never equal to the one after it.
    before: Vec<Written>,
    /// What was gone back from. A start that finds it in the file goes on with what serves.
    set_aside: Option<Written>,
    place: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    serving: Written,
    before: Vec<Written>,
    set_aside: Option<Written>,
}

/// Why what has served before is not known.
#[derive(Debug, thiserror::Error)]
enum HistoryError {
    #[error("cannot read {}, so there is nothing to roll back to", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is of another version, so there is nothing to roll back to", path.display())]
    Version { path: PathBuf },
}

impl History {
    /// At the start: what is to serve, which is the file's text unless that was gone back from. `lasting`: there is a state
    /// directory to keep it in.
    pub(super) fn begin(file: Reading, lasting: bool) -> (Reading, Self) {
        let state_dir = &file.loaded.config.server.state_dir;
        let place = lasting.then(|| state_dir.join(FILE));
        let kept = place.as_deref().and_then(|place| {
            read(place).unwrap_or_else(|error| {
                tracing::warn!("{}", chain(&error));
                None
            })
        });
        let Some(kept) = kept.filter(|kept| kept.serving.name == file.written.name) else {
            let serving = file.written.clone();
            let history = Self {
                serving,
                place,
                ..Self::default()
            };
            return (file, history);
        };
        let mut history = Self {
            serving: kept.serving,
            before: kept.before,
            set_aside: kept.set_aside,
            place,
        };
        if history.set_aside.as_ref() == Some(&file.written) {
            match load::parse_written(&history.serving) {
                Ok(reading) => {
                    tracing::warn!(
                        "{} was gone back from, or never confirmed: this starts with the configuration before it; `openclaw reload` \
                         takes the file",
                        file.written.name
                    );
                    return (reading, history);
                }
                Err(refused) => tracing::error!(
                    "the last good configuration cannot be used, so this starts with the file\n{refused}"
                ),
            }
        }
        history.advance(file.written.clone());
        (file, history)
    }

    /// Another one serves from now on.
    pub(super) fn advance(&mut self, written: Written) {
        self.set_aside = None;
        if self.serving == written {
            return;
        }
        let old = std::mem::replace(&mut self.serving, written);
        self.before.push(old);
        let surplus = self.before.len().saturating_sub(KEPT);
        self.before.drain(..surplus);
    }

    /// What it is once the one before serves again.
    pub(super) fn one_back(&self) -> Option<Self> {
        let mut back = self.clone();
        let before = back.before.pop()?;
        back.set_aside = Some(std::mem::replace(&mut back.serving, before));
        Some(back)
    }

    /// What serves instead if the text that was taken next is not confirmed.
    pub(super) fn without(mut self, unconfirmed: &Written) -> Self {
        if self.serving != *unconfirmed {
            self.set_aside = Some(unconfirmed.clone());
        }
        self
    }

    /// How many can be gone back.
    pub(super) fn steps(&self) -> usize {
        self.before.len()
    }

    /// Whether the file holds, or held, what was gone back from.
    pub(super) fn is_back(&self) -> bool {
        self.set_aside.is_some()
    }

    /// Writes it down. What fails costs a later start its memory.
    pub(super) fn save(&self) -> Vec<String> {
        let Some(place) = &self.place else {
            return Vec::new();
        };
        let failed = |error| {
            format!(
                "cannot write {}: {error}; after a restart there is nothing to roll back to",
                place.display()
            )
        };
        self.write(place).err().map(failed).into_iter().collect()
    }

    fn write(&self, place: &Path) -> io::Result<()> {
        let bytes = serde_json::to_vec(&Saved {
            version: VERSION,
            serving: self.serving.clone(),
            before: self.before.clone(),
            set_aside: self.set_aside.clone(),
        })?;
        if files::read(place, MAX_SIZE).is_ok_and(|known| known == bytes) {
            return Ok(());
        }
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
        }
        let beside = place.with_extension(format!("{}.new", std::process::id()));
        let mut options = OpenOptions::new();
        // A configuration may hold passwords.
        let opened = options.write(true).create(true).truncate(true).mode(0o600);
        let written = opened
            .open(&beside)
            .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&beside, place));
        written.inspect_err(|_| {
            // Half a file on a full disk only takes room; that it may not be there is fine.
            let _ = fs::remove_file(&beside);
        })
    }
}

/// The admin sockets that a file has named while it was served, the latest first. A proxy keeps the one that it began with, whatever the
/// file says since.
pub fn former_sockets(origin: &Origin, state_dir: &Path) -> Vec<PathBuf> {
    // Who may not read it has to name the socket.
    let Ok(Some(saved)) = read(&state_dir.join(FILE)) else {
        return Vec::new();
    };
    let latest_first = iter::once(saved.serving).chain(saved.before.into_iter().rev());
    let mut sockets = Vec::new();
    for written in latest_first.filter(|one| origin.is_served_by(&one.name)) {
        let socket = load::parse_written(&written).map(|it| it.loaded.config.admin.socket);
        sockets.extend(socket.ok().filter(|socket| !sockets.contains(socket)));
    }
    sockets
}

fn read(path: &Path) -> Result<Option<Saved>, HistoryError> {
    let read = files::read(path, MAX_SIZE).and_then(|bytes| {
        serde_json::from_slice::<Saved>(&bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    });
    let path = path.to_owned();
    match read {
        Ok(saved) if saved.version == VERSION => Ok(Some(saved)),
        Ok(_) => Err(HistoryError::Version { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(HistoryError::Read { path, source }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn written(text: &str) -> Written {
        let mut written = Written::default();
        text.clone_into(&mut written.text);
        written
    }

    fn texts(history: &History) -> (String, Vec<&str>, bool) {
        let before = history.before.iter().map(|one| &*one.text).collect();
        (history.serving.text.clone(), before, history.is_back())
    }

    #[test]
    fn each_step_back_leads_to_the_one_before_and_a_new_one_leads_on() {
        let mut history = History::default();
        history.advance(written("a"));
        history.advance(written("b"));
        history.advance(written("b"));
        assert_eq!(texts(&history), ("b".into(), vec!["", "a"], false));
        history = history.one_back().unwrap();
        assert_eq!(texts(&history), ("a".into(), vec![""], true));
        history.advance(written("c"));
        assert_eq!(texts(&history), ("c".into(), vec!["", "a"], false));
        history = history.one_back().unwrap().one_back().unwrap();
        assert_eq!(texts(&history), (String::new(), vec![], true));
        assert_eq!(history.one_back(), None);
    }

    #[test]
    fn a_few_are_kept() {
        let mut history = History::default();
        for number in 0..20 {
            history.advance(written(&number.to_string()));
        }
        assert_eq!(history.steps(), KEPT);
        assert_eq!(history.one_back().unwrap().serving, written("18"));
    }
}
