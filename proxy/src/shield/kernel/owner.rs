//! Whose the pins are. A proxy without root's rights on files works on its own alone, and root itself may have pinned them.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown},
    path::Path,
};

use rustix::process::geteuid;

use super::{KernelError, Pins, sys};

/// May pass through a directory, whoever it is.
const SEARCH: u32 = 0o001;

impl Pins {
    /// Makes the directory the user's, with what is pinned in it, and opens his way to it. Only root can.
    pub fn give(&self, uid: u32, gid: u32) -> Result<(), KernelError> {
        self.create()?;
        let given = self.chown(uid, gid).and_then(|()| self.open_way());
        given.map_err(|source| self.failed(source))
    }

    /// Takes what another user left; nothing where there is nothing. Only root can.
    pub fn take_over(&self) -> Result<(), KernelError> {
        let root = geteuid().as_raw();
        match fs::symlink_metadata(self.directory()) {
            Ok(found) if found.uid() != root => {
                self.chown(root, 0).map_err(|source| self.failed(source))
            }
            _ => Ok(()),
        }
    }

    /// What root has pinned in the directory of a user becomes that user's, whose proxy has to go on with it.
    pub(super) fn leave_to_owner(&self) -> Result<(), KernelError> {
        if !geteuid().is_root() {
            return Ok(());
        }
        let Some(above) = self.directory().parent() else {
            return Ok(());
        };
        let left = fs::symlink_metadata(above).and_then(|owner| match owner.uid() {
            0 => Ok(()),
            uid => self.chown(uid, owner.gid()),
        });
        left.map_err(|source| self.failed(source))
    }

    /// The directory, its pins, and the directory above it unless others have that, too.
    fn chown(&self, uid: u32, gid: u32) -> io::Result<()> {
        for entry in fs::read_dir(self.directory())? {
            lchown(entry?.path(), Some(uid), Some(gid))?;
        }
        lchown(self.directory(), Some(uid), Some(gid))?;
        match self.directory().parent() {
            Some(above) if sys::is_bpffs(above)? && !is_mount_point(above)? => {
                lchown(above, Some(uid), Some(gid))
            }
            _ => Ok(()),
        }
    }

    /// Lets everybody pass through the directories above, up to the mount point, which systemd closes. It shows them nothing.
    fn open_way(&self) -> io::Result<()> {
        for above in self.directory().ancestors().skip(2) {
            if !sys::is_bpffs(above)? {
                break;
            }
            let mode = fs::metadata(above)?.permissions().mode();
            if mode & SEARCH == 0 {
                fs::set_permissions(above, fs::Permissions::from_mode(mode | SEARCH))?;
                tracing::info!(path = %above.display(), "opened for passing through to the pins");
            }
        }
        Ok(())
    }

    fn failed(&self, source: io::Error) -> KernelError {
        KernelError::PinDir {
            path: self.directory().to_owned(),
            source,
        }
    }
}

fn is_mount_point(path: &Path) -> io::Result<bool> {
    let above = path.parent().unwrap_or(path);
    Ok(fs::metadata(path)?.dev() != fs::metadata(above)?.dev())
}
