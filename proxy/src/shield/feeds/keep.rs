//! The last good copy of every URL and of the decisions of a `CrowdSec`, so that a start without a network has its lists.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use openclaw_core::config::ShieldList;
use serde::{Deserialize, Serialize};

use super::{Validators, kind};
use crate::files;

/// The directory below the state directory.
const DIRECTORY: &str = "feeds";

/// What stands beside a copy.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) url: String,
    /// Seconds since 1970 of the last answer that confirmed it.
    pub(super) confirmed: u64,
    pub(super) validators: Validators,
    /// Of the copy; another length is another copy.
    #[serde(default)]
    pub(super) bytes: u64,
}

fn path(state_dir: &Path, list: &ShieldList, extension: &str) -> PathBuf {
    let kind = kind(list).word();
    let name = format!("{kind}-{}.{extension}", list.name);
    state_dir.join(DIRECTORY).join(name)
}

/// Writes what a source has, and then the note that vouches for it.
pub(super) fn save(
    state_dir: &Path,
    list: &ShieldList,
    bytes: &[u8],
    note: &Note,
) -> io::Result<()> {
    fs::create_dir_all(state_dir.join(DIRECTORY))?;
    // Without its note a copy is nothing, so a crash between the two leaves none rather than one with the wrong validators.
    match fs::remove_file(path(state_dir, list, "json")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    replace(&path(state_dir, list, "copy"), bytes)?;
    confirm(state_dir, list, note)
}

/// Writes the note alone: the copy is still right.
pub(super) fn confirm(state_dir: &Path, list: &ShieldList, note: &Note) -> io::Result<()> {
    let bytes = serde_json::to_vec(note).map_err(io::Error::other)?;
    replace(&path(state_dir, list, "json"), &bytes)
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_added_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// The copy and its note; nothing if there is none of this URL.
pub(super) fn load(state_dir: &Path, list: &ShieldList, url: &str) -> Option<(String, Note)> {
    let note = files::read(&path(state_dir, list, "json"), files::KEPT).ok()?;
    let note: Note = serde_json::from_slice(&note).ok()?;
    if note.url != url {
        return None;
    }
    let text = files::read_text(&path(state_dir, list, "copy"), files::KEPT).ok()?;
    Some((text, note))
}
