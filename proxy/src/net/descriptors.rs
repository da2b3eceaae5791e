//! File descriptors that are kept back for the control plane: when connections use up the rest, the admin socket and the metrics still
//! answer, and a new connection is accepted and closed instead of waiting in the kernel's queue for nobody.
//!
//! The kernel gives out the lowest free number, so a number above the ceiling means that the rest is in use. It is the process that has
//! the limit, hence one ceiling for all workers, which they only read.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// Calls to admin socket and metrics at one time, files, and the listening sockets of a reload.
const RESERVE: u64 = 192;

static CEILING: AtomicI32 = AtomicI32::new(i32::MAX);

/// Keeps some of `limit` descriptors back, at most a third of them.
pub fn reserve(limit: u64) {
    CEILING.store(ceiling(limit), Ordering::Relaxed);
}

fn ceiling(limit: u64) -> i32 {
    let kept = RESERVE.min(limit / 3);
    i32::try_from(limit - kept).unwrap_or(i32::MAX)
}

/// Gives a new socket back, or refuses it when its descriptor is one of those kept back.
///
/// # Errors
/// `EMFILE`, as the kernel says it at the end of all descriptors.
pub fn spend<Socket: AsFd>(socket: Socket) -> io::Result<Socket> {
    if socket.as_fd().as_raw_fd() < CEILING.load(Ordering::Relaxed) {
        Ok(socket)
    } else {
        Err(io::Error::from_raw_os_error(libc::EMFILE))
    }
}

/// Whether it was for want of descriptors, of this process or of the machine.
pub fn are_exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{are_exhausted, ceiling};

    #[test]
    fn what_is_refused_here_is_known_by_its_error() {
        assert!(are_exhausted(&io::Error::from_raw_os_error(libc::EMFILE)));
        assert!(!are_exhausted(&io::ErrorKind::ConnectionRefused.into()));
    }

    #[test]
    fn some_are_kept_back_and_most_are_not() {
        for (limit, expected) in [
            (3, 2),
            (96, 64),
            (1024, 832),
            (1 << 20, (1 << 20) - 192),
            (u64::MAX, i32::MAX),
        ] {
            assert_eq!(ceiling(limit), expected, "{limit}");
        }
    }
}
