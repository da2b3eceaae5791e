//! Follows a file: it is looked at a few times a second, which works on every file system and with files that are replaced by links,
//! and read when it has been left alone for a look.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use openclaw_core::discovery::file::{Format, endpoints};
use openclaw_core::discovery::{Answer, Endpoint};

use super::error::DiscoverError;
use super::follower::Follower;
use super::http::MAX_ANSWER;
use crate::files;

const LOOK: Duration = Duration::from_millis(250);

/// What changes when somebody writes.
type Stamp = Option<(u64, u64, i64, i64)>;

pub(super) async fn follow(follower: Rc<Follower>, path: PathBuf) {
    let mut taken = stamp(&path);
    let mut seen = taken;
    // What is wrong is told, and asked for again when it changes: nothing else would make it right.
    let _ = follower.learn(read(&path).map(Answer::from));
    loop {
        follower.rest(LOOK).await;
        let now = stamp(&path);
        // A writer that is under way would show half a file.
        if now == seen && now != taken {
            taken = now;
            // The same as of the first.
            let _ = follower.learn(read(&path).map(Answer::from));
        } else if now == taken {
            follower.confirm();
        }
        seen = now;
    }
}

fn stamp(path: &Path) -> Stamp {
    // A file that is not there is one more state of it.
    let file = fs::metadata(path).ok()?;
    Some((file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
}

/// The endpoints in it.
pub(super) fn read(path: &Path) -> Result<Vec<Endpoint>, DiscoverError> {
    let unreadable = |source: io::Error| DiscoverError::Read {
        path: path.to_owned(),
        source,
    };
    let bytes = match files::read(path, MAX_ANSWER as u64) {
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            let path = path.to_owned();
            return Err(DiscoverError::Large { path });
        }
        read => read.map_err(unreadable)?,
    };
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let text = String::from_utf8(bytes).map_err(|error| unreadable(invalid(error)))?;
    let is_toml = path.extension().is_some_and(|name| name == "toml");
    let format = if is_toml { Format::Toml } else { Format::Json };
    endpoints(&text, format).map_err(|source| DiscoverError::File {
        path: path.to_owned(),
        source,
    })
}
