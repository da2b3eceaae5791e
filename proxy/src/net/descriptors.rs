//! File descriptors that are kept back for the control plane: when connections use up the rest, the admin socket and the metrics still
//! answer, and a new connection is accepted and closed instead of waiting in the kernel's queue for nobody.
//!
//! The kernel gives out the lowest free number, so a number above the ceiling means that the rest is in use. It is the process that has
//! the limit, hence one ceiling for all workers, which they only read.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

/// Calls to admin socket and metrics at one time, files, and the listening sockets of a reload.
const RESERVE: u64 = 192;

static CEILING: AtomicI32 = AtomicI32::new(i32::MAX);

/// How many connections may take, clients' and endpoints' together.
static ROOM: AtomicUsize = AtomicUsize::new(usize::MAX);
/// How many clients' connections one address may have at a listener.
static SHARE: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Keeps some of `limit` descriptors back, at most a third of them.
pub fn reserve(limit: u64) {
    CEILING.store(ceiling(limit), Ordering::Relaxed);
}

fn ceiling(limit: u64) -> i32 {
    let kept = RESERVE.min(limit / 3);
    i32::try_from(limit - kept).unwrap_or(i32::MAX)
}

/// Sees how many of `limit` are left for connections, once everything else is open and before the first comes. Where there are few,
/// half of those are kept back.
///
/// # Errors
/// None is left at all.
pub fn measure(limit: u64) -> io::Result<usize> {
    let first_free = File::open("/dev/null")?.as_raw_fd();
    let (ceiling, room) = divide(limit, first_free);
    CEILING.store(ceiling, Ordering::Relaxed);
    ROOM.store(room, Ordering::Relaxed);
    Ok(room)
}

/// The ceiling, and what is free below it.
fn divide(limit: u64, first_free: i32) -> (i32, usize) {
    let free = limit.saturating_sub(u64::try_from(first_free).unwrap_or(0));
    let fair = i32::try_from(limit - free.div_ceil(2)).unwrap_or(i32::MAX);
    let ceiling = ceiling(limit).max(fair);
    let room = ceiling.saturating_sub(first_free);
    (ceiling, usize::try_from(room).unwrap_or(0))
}

/// Shares them out, so that one address cannot have them all, whatever it asks for at each of the listeners.
pub fn share_among(listeners: usize) -> usize {
    let share = share_of(ROOM.load(Ordering::Relaxed), listeners);
    SHARE.store(share, Ordering::Relaxed);
    share
}

/// A client's connection may have one to an endpoint behind it: a quarter of the room is half of it then.
fn share_of(room: usize, listeners: usize) -> usize {
    (room / 4 / listeners.max(1)).max(1)
}

/// How many connections one address may have at a listener for want of descriptors.
pub fn share() -> usize {
    SHARE.load(Ordering::Relaxed)
}

/// How many clients a listener may have that need not show that their addresses are their own, all together: they have one each, and
/// half of the room is for others.
pub fn share_of_unproven() -> usize {
    share().saturating_mul(2)
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

    use super::{are_exhausted, ceiling, divide, share_of};

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

    #[test]
    fn of_few_half_are_for_connections() {
        for (limit, first_free, expected) in [
            (120, 23, (80, 57)),
            (36, 23, (29, 6)),
            (25, 23, (24, 1)),
            (24, 24, (24, 0)),
            (1 << 20, 23, ((1 << 20) - 192, (1 << 20) - 192 - 23)),
            (u64::MAX, 23, (i32::MAX, i32::MAX as usize - 23)),
        ] {
            assert_eq!(divide(limit, first_free), expected, "{limit} {first_free}");
        }
    }

    #[test]
    fn no_address_has_more_than_half_and_every_address_has_one() {
        for (room, listeners, expected) in [
            (0, 0, 1),
            (3, 1, 1),
            (80, 1, 20),
            (80, 2, 10),
            (80, 100, 1),
            (usize::MAX, 1, usize::MAX / 4),
        ] {
            assert_eq!(share_of(room, listeners), expected, "{room} {listeners}");
        }
    }
}
