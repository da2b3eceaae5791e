//! The process as the system sees it: its limits, its user, and the places where its admin socket may be.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};

use super::error::ControlError;
use crate::net::descriptors;

/// Raises the limit of open files to what the system allows; each proxied connection needs two. Some are kept back for the control
/// plane.
pub(super) fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    if let Some(limit) = getrlimit(Resource::Nofile).current {
        descriptors::reserve(limit);
    }
}

/// What the limit of open files leaves for connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) limit: Option<u64>,
    /// Descriptors; a proxied connection takes two.
    pub(super) left: usize,
    /// How many connections one address may have at a listener.
    pub(super) share: usize,
}

/// Once everything that is always open is open.
///
/// # Errors
/// No connection could be served.
pub(super) fn share_files(listeners: usize) -> Result<Room, ControlError> {
    let limit = getrlimit(Resource::Nofile).current;
    // Without a descriptor for the question there is none for a connection either.
    let left = descriptors::measure(limit.unwrap_or(u64::MAX)).unwrap_or(0);
    if left < 2 {
        return Err(ControlError::TooFewFiles { limit });
    }
    let share = descriptors::share_among(listeners);
    Ok(Room { limit, left, share })
}

/// Where a socket goes when `/run/openclaw` is not ours to use: the user's runtime directory, else one of his own in /tmp.
pub fn fallback_socket() -> PathBuf {
    let folder = std::env::var_os("XDG_RUNTIME_DIR")
        .filter(|path| Path::new(path).is_absolute())
        .map_or_else(
            || PathBuf::from(format!("/tmp/openclaw-{}", geteuid().as_raw())),
            |path| Path::new(&path).join("openclaw"),
        );
    folder.join("admin.sock")
}

/// Whether a socket there can be trusted: its directory belongs to this user or to root. Anyone may make one in /tmp.
pub fn is_trusted(socket: &Path) -> bool {
    let owner = socket
        .parent()
        .and_then(|folder| fs::symlink_metadata(folder).ok())
        .filter(fs::Metadata::is_dir)
        .map(|folder| folder.uid());
    owner.is_some_and(|owner| owner == 0 || owner == geteuid().as_raw())
}

/// Makes the directory of a socket, closed to strangers.
///
/// # Errors
/// When it cannot be made, or a stranger owns it.
pub(super) fn make_socket_folder(socket: &Path) -> io::Result<()> {
    let Some(folder) = socket.parent().filter(|path| !path.as_os_str().is_empty()) else {
        return Ok(());
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(folder)?;
    if is_trusted(socket) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("{} belongs to another user", folder.display()),
    ))
}
