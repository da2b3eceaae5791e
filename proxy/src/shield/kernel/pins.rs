//! The pin directory: where maps and links of the kernel program live while no process holds them.

use std::{
    fs, io,
    os::{
        fd::AsFd as _,
        unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
};

use openclaw_common::abi::ABI_VERSION;

use super::{AttachedMode, KernelError, interface, sys};
use crate::privilege::has_bpf;

/// Where a BPF file system is mounted by convention, and by us if it is not.
pub const BPFFS: &str = "/sys/fs/bpf";
const LINK_PREFIX: &str = "link-";

/// The directory of the pins of this build's layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pins {
    directory: PathBuf,
}

/// An interface that the shield is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its name.
    pub interface: String,
    /// Its number in its network namespace; 0 if it is gone.
    pub index: u32,
    /// Native or generic; nothing if the interface is gone or in another network namespace.
    pub mode: Option<AttachedMode>,
    /// Kernel's id of the attached program.
    pub program: u32,
}

impl Pins {
    /// The pins below `pin_dir`, in a directory of their own for each layout.
    pub fn new(pin_dir: &Path) -> Self {
        Self {
            directory: pin_dir.join(format!("v{ABI_VERSION}")),
        }
    }

    /// Those of a directory, whatever its layout.
    pub(super) fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The directory itself.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes the directory, and mounts the BPF file system on its usual place where that is missing.
    ///
    /// # Errors
    ///
    /// [`KernelError::NoBpffs`] if the place is not and cannot be put on a BPF file system.
    pub fn create(&self) -> Result<(), KernelError> {
        let failed = |source| KernelError::PinDir {
            path: self.directory.clone(),
            source,
        };
        self.mount_if_missing()?;
        match fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
        {
            Ok(()) => {}
            Err(source) if source.kind() == io::ErrorKind::PermissionDenied => {
                return Err(denied(&self.directory, "create", source));
            }
            Err(source) => return Err(failed(source)),
        }
        // An existing directory keeps the mode it had.
        match fs::set_permissions(&self.directory, fs::Permissions::from_mode(0o700)) {
            Err(source) if source.kind() == io::ErrorKind::PermissionDenied => {
                Err(denied(&self.directory, "use", source))
            }
            result => result.map_err(failed),
        }
    }

    /// Puts the BPF file system where it belongs. Only root can.
    pub fn mount_if_missing(&self) -> Result<(), KernelError> {
        let failed = |source| KernelError::PinDir {
            path: self.directory.clone(),
            source,
        };
        let existing = self
            .directory
            .ancestors()
            .find(|path| path.exists())
            .unwrap_or(Path::new("/"));
        if sys::is_bpffs(existing).map_err(failed)? {
            return Ok(());
        }
        self.mount()
    }

    fn mount(&self) -> Result<(), KernelError> {
        let refused = |source| KernelError::NoBpffs {
            path: self.directory.clone(),
            source,
        };
        if !self.directory.starts_with(BPFFS) {
            return Err(refused(io::Error::new(
                io::ErrorKind::NotFound,
                format!("only {BPFFS} is mounted on demand"),
            )));
        }
        sys::mount_bpffs(Path::new(BPFFS)).map_err(refused)?;
        tracing::info!(path = BPFFS, "mounted the BPF file system");
        Ok(())
    }

    pub(super) fn map(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(super) fn link(&self, interface: &str) -> PathBuf {
        self.directory.join(format!("{LINK_PREFIX}{interface}"))
    }

    /// Every interface that the shield is attached to by these pins, by name.
    pub fn attachments(&self) -> Result<Vec<Attachment>, KernelError> {
        let names = self.links()?;
        names.iter().map(|name| self.attachment(name)).collect()
    }

    /// Numbers of the interfaces of all pinned links.
    pub(super) fn linked(&self) -> Result<Vec<u32>, KernelError> {
        let mut linked = Vec::new();
        for name in self.links()? {
            linked.extend(self.link_info(&name)?.map(|link| link.interface));
        }
        Ok(linked)
    }

    /// Interfaces whose program filters, wherever a link is pinned; without the right to ask, all that have a pin.
    pub fn filtering(&self) -> Vec<String> {
        match self.attachments() {
            Ok(attachments) => attachments
                .into_iter()
                .filter(|one| one.mode.is_some())
                .map(|one| one.interface)
                .collect(),
            // Who may not even list them is told of that by whatever needs them.
            Err(_) => self.links().unwrap_or_default(),
        }
    }

    /// Interfaces that have a pinned link, by name.
    pub(super) fn links(&self) -> Result<Vec<String>, KernelError> {
        let failed = |source| KernelError::PinDir {
            path: self.directory.clone(),
            source,
        };
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut links = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            if let Some(interface) = name
                .to_str()
                .and_then(|name| name.strip_prefix(LINK_PREFIX))
            {
                links.push(interface.to_owned());
            }
        }
        links.sort();
        Ok(links)
    }

    fn attachment(&self, interface: &str) -> Result<Attachment, KernelError> {
        let link = self
            .link_info(interface)?
            .ok_or_else(|| KernelError::NotAttached {
                interface: interface.into(),
            })?;
        let mut mode = None;
        if link.interface != 0 && sys::interface_index(interface) == Some(link.interface) {
            mode = interface::xdp(interface, link.interface)?
                .filter(|state| state.program == link.program)
                .map(|state| state.mode);
        }
        Ok(Attachment {
            interface: interface.into(),
            index: link.interface,
            mode,
            program: link.program,
        })
    }

    /// What the pinned link of an interface says; nothing if there is none.
    pub(super) fn link_info(&self, interface: &str) -> Result<Option<sys::LinkInfo>, KernelError> {
        let path = self.link(interface);
        let link = match sys::open_pin(&path) {
            Ok(link) => link,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(unopened(&path, source)),
        };
        sys::link_info(link.as_fd())
            .map(Some)
            .map_err(|source| KernelError::PinDir { path, source })
    }

    /// Takes the shield off an interface. Needs no running proxy and no kernel program in the binary.
    ///
    /// # Errors
    ///
    /// [`KernelError::NotAttached`] if it is not attached there.
    pub fn detach(&self, interface: &str) -> Result<(), KernelError> {
        let path = self.link(interface);
        let link = match sys::open_pin(&path) {
            Ok(link) => link,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(KernelError::NotAttached {
                    interface: interface.into(),
                });
            }
            Err(source) => return Err(unopened(&path, source)),
        };
        let failed = |source| KernelError::PinDir {
            path: path.clone(),
            source,
        };
        sys::detach_link(link.as_fd()).map_err(failed)?;
        fs::remove_file(&path).map_err(failed)
    }
}

/// The error where the system says no: the directory is another user's, or the process may do nothing with BPF anyway.
fn denied(path: &Path, verb: &str, source: io::Error) -> KernelError {
    if has_bpf() {
        KernelError::Foreign {
            path: path.into(),
            source,
        }
    } else {
        KernelError::Privilege {
            attempt: format!("cannot {verb} {}", path.display()),
            source,
        }
    }
}

/// The error for a pin that did not open.
pub(super) fn unopened(path: &Path, source: io::Error) -> KernelError {
    if source.kind() == io::ErrorKind::NotFound {
        KernelError::NotLoaded { path: path.into() }
    } else if source.kind() == io::ErrorKind::PermissionDenied {
        denied(path, "open", source)
    } else {
        KernelError::PinDir {
            path: path.into(),
            source,
        }
    }
}
