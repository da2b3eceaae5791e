//! The directory of the cache: whether it may be used, what is ours in it, and that nobody else uses it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, OFlags, access};

/// Files are spread over so many directories.
pub(super) const FOLDERS: u64 = 256;
const PREFIX: &str = "openclaw-";
/// Of what is not whole.
const PART: &str = ".part";
const LOCK: &str = "openclaw.lock";

/// Why a directory cannot be the cache's.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    #[error("cannot use {}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is no directory", path.display())]
    NoDirectory { path: PathBuf },
    #[error(
        "others than its owner may write into {} (mode {mode:o}): what they put there would be served; close it with chmod go-w",
        path.display()
    )]
    OpenToOthers { path: PathBuf, mode: u32 },
}

/// Whether the directory can be used, or made.
///
/// # Errors
/// Why not.
pub fn examine(path: &Path) -> Result<(), DiskError> {
    let failed = |source| DiskError::Io {
        path: path.to_owned(),
        source,
    };
    let found = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or_else(|| Path::new("."));
            return access(parent, Access::WRITE_OK | Access::EXEC_OK)
                .map_err(|error| failed(error.into()));
        }
        found => found.map_err(failed)?,
    };
    if !found.is_dir() {
        let path = path.to_owned();
        return Err(DiskError::NoDirectory { path });
    }
    let mode = found.permissions().mode() & 0o7777;
    if mode & 0o022 != 0 {
        let path = path.to_owned();
        return Err(DiskError::OpenToOthers { path, mode });
    }
    access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| failed(error.into()))
}

/// The directory.
#[derive(Debug)]
pub(super) struct Place(pub(super) PathBuf);

/// A file of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) id: u64,
    pub(super) is_part: bool,
}

impl Place {
    /// Takes it for this process, and makes it where it is missing; `None` while another one has it.
    pub(super) fn lock(&self) -> io::Result<Option<File>> {
        make(&self.0)?;
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).write(true).mode(0o600);
        let file = options.custom_flags(at_once()).open(self.0.join(LOCK))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether it is still the directory in which that was locked.
    pub(super) fn has(&self, lock: &File) -> bool {
        let held = lock.metadata();
        let found = fs::metadata(self.0.join(LOCK));
        held.and_then(|held| found.map(|found| (held, found)))
            .is_ok_and(|(held, found)| (held.dev(), held.ino()) == (found.dev(), found.ino()))
    }

    pub(super) fn folder(&self, number: u64) -> PathBuf {
        self.0.join(format!("{:02x}", number % FOLDERS))
    }

    pub(super) fn whole(&self, id: u64) -> PathBuf {
        self.folder(id).join(format!("{PREFIX}{id:016x}"))
    }

    pub(super) fn part(&self, id: u64) -> PathBuf {
        self.folder(id).join(format!("{PREFIX}{id:016x}{PART}"))
    }

    /// A new file, for what is to come.
    pub(super) fn create(&self, id: u64) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let options = options.create_new(true).read(true).write(true).mode(0o600);
        let path = self.part(id);
        match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(&self.folder(id))?;
                options.open(&path)
            }
            opened => opened,
        }
    }
}

/// What a name says, if we have given it.
pub(super) fn named(name: &str) -> Option<Named> {
    let rest = name.strip_prefix(PREFIX)?;
    let (digits, is_part) = match rest.strip_suffix(PART) {
        Some(digits) => (digits, true),
        None => (rest, false),
    };
    let is_ours = digits.len() == 16
        && digits
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let id = u64::from_str_radix(digits, 16).ok().filter(|_| is_ours)?;
    Some(Named { id, is_part })
}

/// Opens a file to read it. Nobody waits for the other end of a pipe.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(at_once()).open(path)
}

/// What is named like a file of ours is none where it is a pipe or a link.
const fn at_once() -> i32 {
    OFlags::NONBLOCK
        .union(OFlags::NOFOLLOW)
        .bits()
        .cast_signed()
}

fn make(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}
