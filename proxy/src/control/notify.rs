//! What systemd wants to hear (`sd_notify(3)`): one datagram per change of state, and nothing without `NOTIFY_SOCKET`.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

use crate::net::passing::{Channel, MOST};

/// A change of state.
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    Ready,
    Reloading,
    Stopping,
    /// Another process is the service from now on.
    Succeeded {
        by: u32,
    },
}

/// Tells systemd, if there is one; a failure is logged, for the service itself runs on.
pub(super) fn notify(state: State) {
    let text = match state {
        State::Ready => "READY=1\n".to_owned(),
        State::Stopping => "STOPPING=1\n".to_owned(),
        State::Succeeded { by } => format!("MAINPID={by}\n"),
        State::Reloading => {
            let now = clock_gettime(ClockId::Monotonic);
            let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
            // Type=notify-reload matches READY to the reload by this time.
            format!("RELOADING=1\nMONOTONIC_USEC={micros}\n")
        }
    };
    tell(&text, &[]);
}

/// Has systemd keep sockets while this service is restarted, under a name.
pub(super) fn keep(name: &str, sockets: &[OwnedFd]) {
    for sockets in sockets.chunks(MOST) {
        let sockets: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
        // What a socket reports to who polls it is no reason to close it.
        tell(&format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0\n"), &sockets);
    }
}

/// Has systemd close what it keeps under a name.
pub(super) fn forget(name: &str) {
    tell(&format!("FDSTOREREMOVE=1\nFDNAME={name}\n"), &[]);
}

fn tell(text: &str, descriptors: &[BorrowedFd<'_>]) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    if let Err(error) = send(&socket, text, descriptors) {
        let text = text.trim_end();
        tracing::warn!(%error, text, "systemd cannot be told");
    }
}

fn send(socket: &OsStr, text: &str, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
    };
    let way = UnixDatagram::unbound()?;
    way.connect_addr(&address)?;
    Channel::from(OwnedFd::from(way)).send(text.as_bytes(), descriptors)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn both_kinds_of_socket_are_reached() {
        let name = format!("openclaw-notify-{}", std::process::id());
        let path = std::env::temp_dir().join(&name);
        let by_path = UnixDatagram::bind(&path).unwrap();
        let by_name = SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixDatagram::bind_addr(&by_name).unwrap();
        let abstract_name = format!("@{name}");
        for (target, socket) in [
            (path.as_os_str(), by_path),
            (OsStr::new(&abstract_name), by_name),
        ] {
            send(target, "READY=1\n", &[]).unwrap();
            let mut buffer = [0; 32];
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(buffer.get(..length), Some(b"READY=1\n".as_slice()));
        }
        std::fs::remove_file(path).unwrap();
    }
}
