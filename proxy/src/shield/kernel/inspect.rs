//! Looking at the machine without changing it: what runs on an interface, which driver it has, what the kernel offers.

use std::io;
use std::path::Path;

pub use super::ethtool::{driver, has_lro, statistics};
use super::{AttachedMode, KernelError, Pins, interface, program_name, sys};

/// The XDP program of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupant {
    /// Its name, `?` if it cannot be read.
    pub program: String,
    /// The kernel's id of it.
    pub id: u32,
    /// How it is attached.
    pub mode: AttachedMode,
    /// Whether it is attached by the link of these pins.
    pub is_ours: bool,
}

/// What runs on an interface.
pub fn occupant(pins: &Pins, name: &str) -> Result<Option<Occupant>, KernelError> {
    let index = interface::index(name)?;
    let Some(state) = interface::xdp(name, index)? else {
        return Ok(None);
    };
    let link = pins.link_info(name).ok().flatten();
    Ok(Some(Occupant {
        program: program_name(state.program),
        id: state.program,
        mode: state.mode,
        is_ours: link.is_some_and(|link| link.program == state.program),
    }))
}

/// Whether a path, or what there is of it, is on a BPF file system.
pub fn is_on_bpffs(path: &Path) -> io::Result<bool> {
    let existing = path.ancestors().find(|path| path.exists());
    sys::is_bpffs(existing.unwrap_or(Path::new("/")))
}

/// `uname -r`.
pub fn release() -> String {
    sys::kernel_release()
}
