//! Who may use a state directory: one proxy, or command lines without a proxy one after the other. The kernel releases the locks
//! when a process ends, however it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::privilege::leave_to_owner;

/// Held by the proxy for as long as it runs; the text is its process id.
const PROXY: &str = "lock";
/// Held while somebody without a proxy works on the lists, and while a proxy begins.
const LISTS: &str = "lists.lock";

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("the state directory {} is in use by another openclaw{}", path.display(), process(pid))]
    InUse { path: PathBuf, pid: String },
    #[error("cannot use the state directory {}", path.display())]
    Unusable { path: PathBuf, source: io::Error },
}

fn process(pid: &str) -> String {
    if pid.is_empty() {
        return String::new();
    }
    format!(" (process {pid})")
}

/// The lock of a proxy.
#[derive(Debug)]
pub struct ProxyLock {
    file: File,
}

impl ProxyLock {
    /// One that another process has taken; its locks are those of an open file, whichever process has it.
    pub fn inherited(file: File) -> Self {
        Self { file }
    }

    /// For the process that takes over.
    ///
    /// # Errors
    /// There are no more descriptors.
    pub fn copy(&self) -> io::Result<OwnedFd> {
        Ok(self.file.try_clone()?.into())
    }

    /// Writes down whose it is, for people; the lock counts.
    pub fn sign(&mut self) {
        let _ = self
            .file
            .set_len(0)
            .and_then(|()| writeln!(self.file, "{}", std::process::id()));
    }

    /// Takes the directory for this process. Waits for command lines that are at work on it.
    ///
    /// # Errors
    /// Another proxy has it, or it cannot be used.
    pub fn take(directory: &Path) -> Result<Self, LockError> {
        let _alone = lists(directory)?;
        let mut lock = Self {
            file: proxy(directory)?,
        };
        lock.sign();
        Ok(lock)
    }
}

/// Takes the directory for a command line without a proxy. Waits for others.
pub(super) fn offline(directory: &Path) -> Result<File, LockError> {
    let alone = lists(directory)?;
    // A proxy that starts now waits for the lists, so this one need not be kept.
    drop(proxy(directory)?);
    Ok(alone)
}

/// A pipe that nobody reads would be waited for.
const WAITLESS: i32 = OFlags::NONBLOCK.bits().cast_signed();

fn lists(directory: &Path) -> Result<File, LockError> {
    fs::create_dir_all(directory)
        .and_then(|()| {
            let mut options = OpenOptions::new();
            let options = options.write(true).create(true).truncate(true);
            options.custom_flags(WAITLESS).open(directory.join(LISTS))
        })
        .inspect(|file| leave_to_owner(file, directory))
        .and_then(|file| file.lock().map(|()| file))
        .map_err(|source| unusable(directory, source))
}

fn proxy(directory: &Path) -> Result<File, LockError> {
    let path = directory.join(PROXY);
    let mut options = OpenOptions::new();
    let file = options
        .append(true)
        .create(true)
        .custom_flags(WAITLESS)
        .open(&path)
        .map_err(|source| unusable(directory, source))?;
    leave_to_owner(&file, directory);
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::Error(source)) => Err(unusable(directory, source)),
        Err(TryLockError::WouldBlock) => Err(LockError::InUse {
            path: directory.to_owned(),
            pid: fs::read_to_string(&path)
                .unwrap_or_default()
                .trim()
                .to_owned(),
        }),
    }
}

fn unusable(directory: &Path, source: io::Error) -> LockError {
    LockError::Unusable {
        path: directory.to_owned(),
        source,
    }
}
