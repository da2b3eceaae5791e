//! What sources said last, on the disk: a proxy that starts while a registry is dead begins with the last good sets. The file is
//! replaced as a whole, and one that cannot be read is as good as none.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openclaw_core::config::Registry;
use openclaw_core::discovery::{Answer, Endpoint};
use serde::{Deserialize, Serialize};

use super::follower::{Follower, Last};
use super::source::key_of;
use crate::files;
use crate::shield::save_as;

const FILE: &str = "discovered.json";
const VERSION: u32 = 1;
/// Nothing that is written here comes near.
const MAX_FILE: u64 = 64 << 20;

/// The file, and what stood in it at the start.
#[derive(Debug)]
pub(super) struct Kept {
    state_dir: PathBuf,
    sets: HashMap<String, Set>,
    is_unwritable: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Document {
    version: u32,
    sets: HashMap<String, Set>,
}

/// The time is in seconds since 1970.
#[derive(Debug, Serialize, Deserialize)]
struct Set {
    at: u64,
    endpoints: Vec<Endpoint>,
}

impl Kept {
    pub(super) fn read(state_dir: &Path) -> Self {
        let path = state_dir.join(FILE);
        let sets = match read(&path) {
            Ok(sets) => sets,
            Err(error) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
            Err(error) => {
                tracing::warn!(%error, "{} is not used: sources are asked without it", path.display());
                HashMap::new()
            }
        };
        Self {
            state_dir: state_dir.to_owned(),
            sets,
            is_unwritable: false,
        }
    }

    /// What an earlier process knew of a source.
    pub(super) fn of(&self, source: &Registry) -> Option<Last> {
        let kept = self.sets.get(&key_of(source))?;
        // Somebody may have edited it.
        let taken = Answer::from(kept.endpoints.clone()).settle().ok()?;
        Some(Last {
            endpoints: taken.endpoints.into(),
            before_empty: Rc::default(),
            at: UNIX_EPOCH.checked_add(Duration::from_secs(kept.at))?,
        })
    }

    /// Writes what the sources said last. A directory that cannot be written to is told of once.
    pub(super) fn write<'a>(&mut self, followers: impl Iterator<Item = &'a Follower>) {
        let sets = followers.filter_map(|follower| {
            let last = follower.last()?;
            let set = Set {
                at: seconds(last.at),
                endpoints: last.endpoints.to_vec(),
            };
            Some((key_of(&follower.source), set))
        });
        let document = Document {
            version: VERSION,
            sets: sets.collect(),
        };
        let written = serde_json::to_vec(&document)
            .map_err(io::Error::from)
            .and_then(|bytes| save_as(&self.state_dir, FILE, &bytes));
        if let Err(error) = &written
            && !self.is_unwritable
        {
            let path = self.state_dir.join(FILE);
            tracing::warn!(%error, "cannot write {}; found endpoints are not kept over a restart", path.display());
        }
        self.is_unwritable = written.is_err();
    }
}

fn read(path: &Path) -> io::Result<HashMap<String, Set>> {
    let text = files::read(path, MAX_FILE)?;
    let document: Document = serde_json::from_slice(&text)?;
    if document.version != VERSION {
        return Err(io::Error::other(format!(
            "version {} is not known",
            document.version
        )));
    }
    Ok(document.sets)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
