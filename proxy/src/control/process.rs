//! The process as the system sees it: its limits, its user, and the places where its admin socket may be.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};

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
