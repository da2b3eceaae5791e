//! The window scale that listeners announce, learnt from a connection to one of their kind.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::shield::kernel::negotiated;

const PATIENCE: Duration = Duration::from_secs(1);

/// Asks the kernel; where there is no loopback interface, computes what it would do.
pub(super) fn learn() -> u8 {
    ask().unwrap_or_else(|error| {
        tracing::debug!(%error, "the window scale is computed, not learnt");
        compute()
    })
}

/// Listens as the listeners do, connects, and looks at what was announced to the client.
fn ask() -> io::Result<u8> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(1)?;
    let address = socket.local_addr()?.as_socket();
    let address = address.ok_or(io::ErrorKind::AddrNotAvailable)?;
    let client = TcpStream::connect_timeout(&address, PATIENCE)?;
    negotiated(client.as_fd()).map(|negotiated| negotiated.scale)
}

/// `tcp_select_initial_window` of Linux, for a listener without a buffer size of its own.
fn compute() -> u8 {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let largest = read("/proc/sys/net/ipv4/tcp_rmem");
    let largest = largest.split_whitespace().nth(2).unwrap_or_default();
    let limit = read("/proc/sys/net/core/rmem_max");
    let space = [largest, limit.trim()].into_iter();
    of_space(
        space
            .filter_map(|text| text.parse().ok())
            .max()
            .unwrap_or(0),
    )
}

fn of_space(bytes: u32) -> u8 {
    let bits = bytes.checked_ilog2().unwrap_or(0);
    bits.saturating_sub(15).min(14) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_learnt_is_what_the_kernel_computes() {
        assert_eq!(
            (of_space(0), of_space(65_535), of_space(6 << 20)),
            (0, 0, 7)
        );
        assert_eq!(of_space(u32::MAX), 14);
        assert_eq!(ask().ok(), Some(compute()));
    }
}
