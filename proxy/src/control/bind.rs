//! Binding an address once for each worker.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use socket2::{Domain, Protocol, Socket, Type};

use crate::listener::quic;

/// The kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 65_535;
/// What may wait in a UDP socket, each way; the kernel cuts it to `net.core.rmem_max` and `wmem_max`.
const DATAGRAMS: usize = 4 << 20;

/// The sockets, and the address with the port that the kernel has chosen for 0. `ours`: this process listens there already.
pub(super) fn bind_tcp(
    address: SocketAddr,
    workers: usize,
    ours: bool,
) -> io::Result<(SocketAddr, Vec<OwnedFd>)> {
    if !ours && address.port() != 0 {
        // With SO_REUSEPORT a second process of the same user would silently take its share of the connections.
        let probe = tcp_socket(address)?;
        probe.bind(&address.into())?;
    }
    let mut group = Vec::with_capacity(workers);
    let mut real = address;
    for _ in 0..workers {
        let socket = tcp_socket(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&real.into())?;
        socket.listen(BACKLOG)?;
        real = socket.local_addr()?.as_socket().unwrap_or(address);
        group.push(socket.into());
    }
    Ok((real, group))
}

/// The same for datagrams, in the order of the workers: where ids steer, the kernel's choice among the sockets goes by it.
pub(super) fn bind_udp(
    address: SocketAddr,
    workers: usize,
    ours: bool,
    steered: Option<quic::IdKey>,
) -> io::Result<(SocketAddr, Vec<OwnedFd>)> {
    if !ours && address.port() != 0 {
        // As for TCP.
        let probe = udp_socket(address)?;
        probe.bind(&address.into())?;
    }
    let mut group = Vec::with_capacity(workers);
    let mut real = address;
    for index in 0..workers {
        let socket = udp_socket(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&real.into())?;
        // As much as the system allows; less costs datagrams in a burst.
        let _ = socket.set_recv_buffer_size(DATAGRAMS);
        let _ = socket.set_send_buffer_size(DATAGRAMS);
        real = socket.local_addr()?.as_socket().unwrap_or(address);
        if let Some(key) = steered.filter(|_| index == 0) {
            quic::attach(&socket, key)?;
        }
        group.push(socket.into());
    }
    Ok((real, group))
}

fn tcp_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = socket(address, Type::STREAM, Protocol::TCP)?;
    socket.set_reuse_address(true)?;
    Ok(socket)
}

fn udp_socket(address: SocketAddr) -> io::Result<Socket> {
    socket(address, Type::DGRAM, Protocol::UDP)
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        kind.nonblocking(),
        Some(protocol),
    )?;
    if address.is_ipv6() {
        // `[::]` and `0.0.0.0` are two addresses, whatever the system's default is.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}
