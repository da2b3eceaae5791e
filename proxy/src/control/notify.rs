//! What systemd wants to hear (`sd_notify(3)`): one datagram per change of state, and nothing without `NOTIFY_SOCKET`.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

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
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
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
    if let Err(error) = send(&socket, &text) {
        tracing::warn!(%error, ?state, "systemd cannot be told");
    }
}

fn send(socket: &OsStr, text: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
    };
    UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address)?;
    Ok(())
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
            send(target, "READY=1\n").unwrap();
            let mut buffer = [0; 32];
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(buffer.get(..length), Some(b"READY=1\n".as_slice()));
        }
        std::fs::remove_file(path).unwrap();
    }
}
