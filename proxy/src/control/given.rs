//! Sockets that the service manager gives at the start (`sd_listen_fds(3)`): those of socket units, and those that it has kept while this
//! service was restarted (see [`super::keeping`]). They are taken by address, whatever they are called.
#![expect(unsafe_code, reason = "the descriptors come as numbers")]

use std::collections::HashSet;
use std::env;
use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use openclaw_core::config::Config;
use socket2::{SockRef, Type};

use super::keeping;
use super::sockets::{Group, Kind};
use crate::listener::quic;

/// The variables that say what is given, for whom this process starts.
pub(super) const VARIABLES: [&str; 3] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];
/// The first descriptor (`SD_LISTEN_FDS_START`).
const FIRST: RawFd = 3;
/// More than any service manager passes.
const MOST: RawFd = 1 << 16;

/// Why what is given cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum GivenError {
    #[error("LISTEN_FDS={count:?} is no number of descriptors")]
    Count { count: String },
    #[error("LISTEN_FDS speaks of descriptor {number}, which is not open")]
    Closed { number: RawFd, source: io::Error },
}

/// What has been given and not been taken yet.
#[derive(Debug, Default)]
pub struct Given {
    sockets: Vec<Socket>,
    /// What is no socket that listens.
    useless: Vec<String>,
}

#[derive(Debug)]
struct Socket {
    name: String,
    place: Place,
    descriptor: OwnedFd,
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Tcp(SocketAddr),
    Udp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(out),
            Self::Udp(address) => write!(out, "{address} (UDP)"),
            Self::Unix(path) => path.display().fmt(out),
        }
    }
}

impl Given {
    /// Takes what is given to this process. To be asked once, before anything is opened.
    ///
    /// # Errors
    /// The variables speak of what is not there.
    pub fn find() -> Result<Self, GivenError> {
        /// Descriptors have one owner.
        static FOUND: AtomicBool = AtomicBool::new(false);
        let [pid, count, names] = VARIABLES.map(env::var);
        let own = std::process::id().to_string();
        // A process that was started by the one that they were meant for has the variables, too.
        let (Some(count), false) = (
            count.ok().filter(|_| pid.is_ok_and(|pid| pid == own)),
            FOUND.swap(true, Ordering::Relaxed),
        ) else {
            return Ok(Self::default());
        };
        let Some(number) = count
            .parse()
            .ok()
            .filter(|number| (0..=MOST).contains(number))
        else {
            return Err(GivenError::Count { count });
        };
        let names = names.unwrap_or_default();
        let mut names = names.split(':');
        let mut given = Self::default();
        let mut known = HashSet::new();
        for number in FIRST..FIRST + number {
            let name = names.next().unwrap_or("unknown").to_owned();
            let descriptor = own_descriptor(number)?;
            // What a socket unit has and what was kept of it are one socket.
            if inode(&descriptor).is_none_or(|inode| known.insert(inode)) {
                given.sort(name, descriptor);
            }
        }
        Ok(given)
    }

    fn sort(&mut self, name: String, descriptor: OwnedFd) {
        match place(&descriptor) {
            Some(place) => self.sockets.push(Socket {
                name,
                place,
                descriptor,
            }),
            None => self.useless.push(name),
        }
    }

    /// The admin socket.
    pub(super) fn take_admin(&mut self, path: &Path) -> Option<OwnedFd> {
        self.take(&Place::Unix(path.to_owned())).pop()
    }

    pub(super) fn take_metrics(&mut self, address: SocketAddr) -> Option<OwnedFd> {
        self.take(&Place::Tcp(address)).pop()
    }

    /// What the listeners of a configuration go on with.
    ///
    /// # Errors
    /// Sockets of QUIC cannot be made to steer.
    pub(super) fn take_groups(
        &mut self,
        config: &Config,
        ids: quic::IdKey,
    ) -> io::Result<Vec<Group>> {
        let mut groups = Vec::new();
        for listener in &config.listeners {
            let kinds: &[Kind] = match (listener.mode.is_udp(), listener.protocols.h3) {
                (true, _) => &[Kind::Udp],
                (false, true) => &[Kind::Tcp, Kind::Quic],
                (false, false) => &[Kind::Tcp],
            };
            for (address, kind) in listener.bind.iter().flat_map(|address| {
                let kinds = kinds.iter();
                kinds.map(move |kind| (*address, *kind))
            }) {
                let sockets = self.take(&match kind {
                    Kind::Tcp => Place::Tcp(address),
                    Kind::Quic | Kind::Udp => Place::Udp(address),
                });
                let Some(first) = sockets.first() else {
                    continue;
                };
                // One alone gets every datagram, and belongs to no group that could be steered.
                if kind == Kind::Quic && sockets.len() > 1 {
                    quic::attach(&SockRef::from(first), ids)?;
                }
                groups.push(Group {
                    kind,
                    number: groups.len() as u16,
                    listener: listener.name.clone(),
                    configured: address,
                    real: address,
                    sockets: sockets.into(),
                    inboxes: Vec::new(),
                });
            }
        }
        Ok(groups)
    }

    fn take(&mut self, place: &Place) -> Vec<OwnedFd> {
        let taken = self.sockets.extract_if(.., |one| one.place == *place);
        taken.map(|one| one.descriptor).collect()
    }

    /// Names of what was kept for this service, taken or not.
    pub(super) fn kept(&self) -> impl Iterator<Item = &str> {
        let names = self.sockets.iter().map(|one| &*one.name);
        names.filter(|name| keeping::is_name(name))
    }

    /// Ends what was kept and nothing has taken, for its port may be wanted: the service manager's copy is open for a while yet.
    pub(super) fn end_kept(&mut self) {
        let kept = |one: &mut Socket| keeping::is_name(&one.name);
        for one in self.sockets.extract_if(.., kept) {
            // One of datagrams cannot be shut; it goes when the service manager lets go.
            let _ = SockRef::from(&one.descriptor).shutdown(Shutdown::Both);
        }
    }

    /// What nothing has taken, as it is told. It is closed with this value.
    pub(super) fn left_over(&self) -> impl Iterator<Item = String> {
        let units = self.sockets.iter().map(|one| {
            format!(
                "the service manager gives a socket ({}) for {}, which nothing in the configuration names",
                one.name, one.place
            )
        });
        let useless = self.useless.iter().map(|name| {
            format!(
                "the service manager gives a descriptor ({name}) that is no socket that listens; write Accept=no in its unit"
            )
        });
        units.chain(useless)
    }
}

/// A descriptor by its number, that no program started from here has.
fn own_descriptor(number: RawFd) -> Result<OwnedFd, GivenError> {
    // SAFETY: a flag of a descriptor is set; one that is not open is told.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        let source = io::Error::last_os_error();
        return Err(GivenError::Closed { number, source });
    }
    // SAFETY: it is open, and the service manager has opened it for this process; nothing else here has it, as this is asked once and
    // first of all.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn inode(descriptor: &OwnedFd) -> Option<(u64, u64)> {
    let found = rustix::fs::fstat(descriptor).ok()?;
    Some((found.st_dev, found.st_ino))
}

/// Where it listens, if it does.
fn place(descriptor: &OwnedFd) -> Option<Place> {
    let socket = SockRef::from(descriptor);
    let address = socket.local_addr().ok()?;
    let is_stream = socket.r#type().ok()? == Type::STREAM;
    if is_stream && !socket.is_listener().ok()? {
        return None;
    }
    // The flag may be that of a service manager's default.
    socket.set_nonblocking(true).ok()?;
    match (address.as_socket(), is_stream) {
        (Some(address), true) => Some(Place::Tcp(address)),
        (Some(address), false) => Some(Place::Udp(address)),
        (None, true) => Some(Place::Unix(address.as_pathname()?.to_owned())),
        (None, false) => None,
    }
}
