//! What can go wrong between user space and the kernel program. Each variant is one thing that an operator can do something about.

use std::{io, path::PathBuf};

use aya::{
    EbpfError,
    maps::MapError,
    pin::PinError,
    programs::{ProgramError, links::LinkError},
};
use thiserror::Error;

use super::sys::interface_index;

/// A failure of the shield's kernel side.
#[derive(Debug, Error)]
pub enum KernelError {
    /// The binary carries no kernel program.
    #[error(
        "this openclaw was built without the kernel program; build it with `cargo xtask build`"
    )]
    NoObject,
    /// Root, or `CAP_BPF` with `CAP_NET_ADMIN`, is missing.
    #[error(
        "{attempt}: no privilege; the shield needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
    )]
    Privilege {
        /// What was tried.
        attempt: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The pin directory is not on a BPF file system.
    #[error("{} is not on a BPF file system; `mount -t bpf bpf /sys/fs/bpf` as root, or choose another pin_dir", path.display())]
    NoBpffs {
        /// The pin directory.
        path: PathBuf,
        /// Why mounting it failed, where that was tried.
        source: io::Error,
    },
    /// The pin directory cannot be made or read.
    #[error("cannot use the pin directory {}", path.display())]
    PinDir {
        /// The directory or a file in it.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The capabilities are there, the permission on the files is not.
    #[error(
        "the user of this process may not use {}: make the pin directory his, with all in it (`chown -R`), and let him pass through \
         the directories above it (`chmod o+x`)",
        path.display()
    )]
    Foreign {
        /// The directory or a file in it.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// No program is loaded under that pin directory.
    #[error("no shield is loaded: {} does not exist", path.display())]
    NotLoaded {
        /// The missing pin.
        path: PathBuf,
    },
    /// A pinned map has another layout than this build.
    #[error("the pinned map {} has {found}, this build needs {expected}; remove the pin or choose another pin_dir", path.display())]
    Layout {
        /// The pin.
        path: PathBuf,
        /// Key size, value size and capacity found.
        found: String,
        /// Key size, value size and capacity wanted.
        expected: String,
    },
    /// aya or the kernel refused the object.
    #[error("the kernel program could not be set up on kernel {release}")]
    Object {
        /// `uname -r`.
        release: String,
        /// The cause.
        source: Box<EbpfError>,
    },
    /// The verifier refused the program.
    #[error("kernel {release} refused the kernel program; it needs Linux 5.18 or later")]
    Verifier {
        /// `uname -r`.
        release: String,
        /// The cause, with the verifier's last words.
        source: Box<ProgramError>,
    },
    /// No such interface in this network namespace.
    #[error("there is no network interface `{interface}`; `ip link` lists those that there are")]
    NoInterface {
        /// Its name.
        interface: String,
    },
    /// Somebody else's XDP program is attached.
    #[error(
        "interface `{interface}` already runs the XDP program `{program}` (id {id}){}; detach that first, or displace it with \
         `openclaw shield attach {interface} --replace`",
        kin(program)
    )]
    Busy {
        /// The interface.
        interface: String,
        /// Name of the program that is there, `?` if it cannot be read.
        program: String,
        /// Its id.
        id: u32,
    },
    /// Somebody else's XDP program is attached by a link, which only its owner can take off.
    #[error(
        "interface `{interface}` runs the XDP program `{program}` (id {id}) by a bpf_link, which nobody but its owner can take off: end the \
         program that holds it (`bpftool link` names it), or remove its pin"
    )]
    Held {
        /// The interface.
        interface: String,
        /// Name of the program that is there, `?` if it cannot be read.
        program: String,
        /// Its id.
        id: u32,
    },
    /// Another program made way, and this one was refused.
    #[error(
        "took the XDP program `{program}` (id {id}) off interface `{interface}`, could not attach, and may not put it back: NOTHING filters \
         there now"
    )]
    NotPutBack {
        /// The interface.
        interface: String,
        /// Name of the program that was there, `?` if it cannot be read.
        program: String,
        /// Its id.
        id: u32,
        /// Why this program is not attached.
        source: Box<Self>,
    },
    /// The pin belongs to an interface of the same name somewhere else.
    #[error(
        "the pinned link {} belongs to an interface `{interface}` of another network namespace; use another pin_dir here",
        path.display()
    )]
    Elsewhere {
        /// The pin.
        path: PathBuf,
        /// The interface asked for.
        interface: String,
    },
    /// The interface did not take the program.
    #[error("cannot attach to interface `{interface}` in {mode} mode")]
    Attach {
        /// The interface.
        interface: String,
        /// `native` or `generic`.
        mode: &'static str,
        /// The kernel's answer.
        source: Box<ProgramError>,
    },
    /// The kernel attached without a link, so that the attachment could not be pinned.
    #[error("the kernel attached to `{interface}` without a link; it needs Linux 5.18 or later")]
    NoLink {
        /// The interface.
        interface: String,
    },
    /// The link could not be pinned.
    #[error("cannot pin the link {}", path.display())]
    Pin {
        /// Where to.
        path: PathBuf,
        /// The cause.
        source: Box<PinError>,
    },
    /// The pinned link is not what we put there.
    #[error("cannot open the pinned link {}", path.display())]
    Link {
        /// The pin.
        path: PathBuf,
        /// The cause.
        source: Box<LinkError>,
    },
    /// Nothing of ours is attached there.
    #[error("the shield is not attached to interface `{interface}`")]
    NotAttached {
        /// The interface.
        interface: String,
    },
    /// A question to the kernel about interfaces failed.
    #[error("cannot ask the kernel about interface `{interface}`")]
    Netlink {
        /// The interface.
        interface: String,
        /// The cause.
        source: io::Error,
    },
    /// A map operation failed.
    #[error("cannot {operation} the map {map}")]
    Map {
        /// Name of the map.
        map: &'static str,
        /// A verb: `read`, `write`, `map into memory`.
        operation: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A ring cannot be read.
    #[error("cannot read the ring {map}")]
    Ring {
        /// Name of the map.
        map: &'static str,
        /// The cause.
        source: Box<MapError>,
    },
    /// A map has no room.
    #[error("the map {map} is full with {capacity} entries")]
    Full {
        /// Name of the map.
        map: &'static str,
        /// Its capacity.
        capacity: u32,
    },
    /// The log of the kernel program cannot be read.
    #[error("cannot read the log of the kernel program")]
    Log(#[source] Box<aya_log::Error>),
    /// A test run failed.
    #[error("cannot run the kernel program on a frame of {bytes} bytes")]
    TestRun {
        /// Length of the frame.
        bytes: usize,
        /// The cause.
        source: Box<ProgramError>,
    },
}

impl KernelError {
    /// What is said of an interface on which this came in the way: one that is not there wants no privileges.
    pub(crate) fn on(self, interface: &str) -> Self {
        match interface_index(interface) {
            Some(_) => self,
            None => Self::NoInterface {
                interface: interface.to_owned(),
            },
        }
    }

    /// For a failed load: tells privilege from everything else.
    pub(super) fn from_load(source: EbpfError) -> Self {
        let denied = if let EbpfError::MapError(error) = &source {
            refusal(error)
        } else {
            None
        };
        match denied {
            Some(source) => Self::Privilege {
                attempt: "cannot create the maps of the shield".into(),
                source,
            },
            None => Self::Object {
                release: super::sys::kernel_release(),
                source: Box::new(source),
            },
        }
    }

    /// For a program that the kernel did not take.
    pub(super) fn from_program(source: ProgramError) -> Self {
        // The verifier answers EACCES to a program that it finds unsafe, so only EPERM means privilege here.
        if let ProgramError::LoadError { io_error, .. } = &source
            && io_error.raw_os_error() == Some(libc::EPERM)
        {
            return Self::Privilege {
                attempt: "cannot load the kernel program".into(),
                source: io::Error::from_raw_os_error(libc::EPERM),
            };
        }
        Self::Verifier {
            release: super::sys::kernel_release(),
            source: Box::new(source),
        }
    }
}

/// The answer that means missing privilege, if it is that.
fn refusal(error: &MapError) -> Option<io::Error> {
    let error = if let MapError::CreateError { io_error, .. } = error {
        io_error
    } else if let MapError::SyscallError(call) = error {
        &call.io_error
    } else {
        return None;
    };
    match error.raw_os_error() {
        Some(code @ (libc::EPERM | libc::EACCES)) => Some(io::Error::from_raw_os_error(code)),
        _ => None,
    }
}

/// What to think of a program of our own name that is not at our pins.
fn kin(program: &str) -> &'static str {
    if program == "openclaw" {
        ", the shield of another `shield.pin_dir` or of another openclaw"
    } else {
        ""
    }
}
