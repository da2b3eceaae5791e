//! Listening sockets: one per worker and address, spread by the kernel (`SO_REUSEPORT`), so that workers share no queue. Where HTTP/3 is
//! spoken there is a UDP socket beside each.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use openclaw_core::config::{Config, Listener};
use socket2::{Domain, Protocol, Socket, Type};

use super::error::Trouble;
use crate::listener::quic;
use crate::worker::{Bind, BoundSocket};

/// The kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 65_535;
/// What may wait in a UDP socket, each way; the kernel cuts it to `net.core.rmem_max` and `wmem_max`.
const DATAGRAMS: usize = 4 << 20;
/// How often another port is chosen where UDP has none of the number that TCP got.
const PORT_TRIES: usize = 16;

/// An address of a listener as it is configured; the port may be 0.
type Key = (Arc<str>, SocketAddr);

/// The addresses that are bound now, and by which port the kernel chose for port 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Bound {
    tcp: HashMap<Key, SocketAddr>,
    /// Whichever listener they serve: clients of one that goes stay with the one that takes the address.
    udp: HashSet<SocketAddr>,
    /// Of listeners that forward datagrams.
    datagrams: HashMap<Key, SocketAddr>,
}

/// New sockets for every worker, and what will be bound once they are taken.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) bound: Bound,
    /// One list per worker.
    pub(super) sockets: Vec<Vec<BoundSocket>>,
}

impl Bound {
    /// Binds what the configuration names and `self` lacks, and writes the real ports into the configuration.
    pub(super) fn extend(
        &self,
        config: &mut Config,
        workers: usize,
        quic: &quic::Settings,
    ) -> Result<Binding, Vec<Trouble>> {
        let mut bound = Self::default();
        let mut sockets: Vec<Vec<BoundSocket>> = (0..workers).map(|_| Vec::new()).collect();
        let mut troubles = Vec::new();
        for setup in &mut config.listeners {
            for index in 0..setup.bind.len() {
                let Some(address) = setup.bind.get(index).copied() else {
                    continue;
                };
                match self.place(setup, address, workers, quic) {
                    Ok(place) => {
                        if let Some(bind) = setup.bind.get_mut(index) {
                            *bind = place.real;
                        }
                        let key = (Arc::clone(&setup.name), address);
                        if setup.mode.is_udp() {
                            bound.datagrams.insert(key, place.real);
                        } else {
                            bound.tcp.insert(key, place.real);
                        }
                        if setup.protocols.h3 {
                            bound.udp.insert(place.real);
                        }
                        let tcp = place
                            .tcp
                            .into_iter()
                            .map(|group| group.into_iter().map(Bind::Tcp).collect::<Vec<_>>());
                        let udp = place
                            .udp
                            .into_iter()
                            .map(|group| group.into_iter().map(Bind::quic).collect());
                        let datagrams = place
                            .datagrams
                            .into_iter()
                            .map(|group| group.into_iter().map(Bind::Udp).collect());
                        for group in tcp.chain(udp).chain(datagrams) {
                            for (worker, socket) in sockets.iter_mut().zip(group) {
                                let listener = Arc::clone(&setup.name);
                                worker.push(BoundSocket { listener, socket });
                            }
                        }
                    }
                    Err((over, source)) => troubles.push(Trouble::Bind {
                        listener: Arc::clone(&setup.name),
                        bind: index,
                        address,
                        over,
                        source,
                    }),
                }
            }
        }
        if troubles.is_empty() {
            Ok(Binding { bound, sockets })
        } else {
            Err(troubles)
        }
    }

    /// Binds one address of a listener, as far as it is not bound.
    fn place(
        &self,
        listener: &Listener,
        address: SocketAddr,
        workers: usize,
        quic: &quic::Settings,
    ) -> Result<Place, (&'static str, io::Error)> {
        if listener.mode.is_udp() {
            let place = self.place_datagrams(listener, address, workers);
            return place.map_err(|error| (" over UDP", error));
        }
        let known = self.tcp.get(&(Arc::clone(&listener.name), address));
        let mut tries = PORT_TRIES;
        loop {
            let (real, tcp) = if let Some(real) = known {
                (*real, None)
            } else {
                // An address that moves from one listener to another is ours already.
                let ours = self.tcp.values().any(|real| *real == address);
                let bound = bind_tcp(address, workers, ours).map_err(|error| ("", error));
                let (real, group) = bound?;
                (real, Some(group))
            };
            let udp = if listener.protocols.h3 && !self.udp.contains(&real) {
                let is_chosen = tcp.is_some() && address.port() == 0;
                match bind_udp(real, workers, quic) {
                    Ok(group) => Some(group),
                    Err(error) if is_chosen && tries > 0 && is_in_use(&error) => {
                        tries -= 1;
                        continue;
                    }
                    Err(error) => return Err((" over UDP", error)),
                }
            } else {
                None
            };
            let datagrams = None;
            return Ok(Place {
                real,
                tcp,
                udp,
                datagrams,
            });
        }
    }

    /// The same where datagrams are forwarded.
    fn place_datagrams(
        &self,
        listener: &Listener,
        address: SocketAddr,
        workers: usize,
    ) -> io::Result<Place> {
        let known = self.datagrams.get(&(Arc::clone(&listener.name), address));
        let (real, datagrams) = if let Some(real) = known {
            (*real, None)
        } else {
            // An address that moves from one listener to another is ours already.
            let ours = self.datagrams.values().any(|real| *real == address);
            let (real, group) = udp_group(address, workers, ours)?;
            let sockets = group.into_iter().map(UdpSocket::from);
            (real, Some(sockets.collect()))
        };
        let (tcp, udp) = (None, None);
        Ok(Place {
            real,
            tcp,
            udp,
            datagrams,
        })
    }
}

/// Sockets of one address, one a worker; none where there are some already.
struct Place {
    real: SocketAddr,
    tcp: Option<Vec<TcpListener>>,
    udp: Option<Vec<quic::Seat>>,
    datagrams: Option<Vec<UdpSocket>>,
}

fn is_in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

fn bind_tcp(
    address: SocketAddr,
    workers: usize,
    ours: bool,
) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
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
        let socket = TcpListener::from(socket);
        real = socket.local_addr()?;
        group.push(socket);
    }
    Ok((real, group))
}

/// In the order of the workers: the kernel's choice among them goes by it.
fn bind_udp(
    address: SocketAddr,
    workers: usize,
    quic: &quic::Settings,
) -> io::Result<Vec<quic::Seat>> {
    let (_, group) = udp_group(address, workers, false)?;
    if let Some(first) = group.first() {
        quic::attach(first, quic.ids)?;
    }
    let sockets = group.into_iter().map(UdpSocket::from).collect();
    Ok(quic::seats(quic, sockets))
}

fn udp_group(
    address: SocketAddr,
    workers: usize,
    ours: bool,
) -> io::Result<(SocketAddr, Vec<Socket>)> {
    if !ours && address.port() != 0 {
        // As for TCP.
        let probe = udp_socket(address)?;
        probe.bind(&address.into())?;
    }
    let mut group = Vec::with_capacity(workers);
    let mut real = address;
    for _ in 0..workers {
        let socket = udp_socket(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&real.into())?;
        // As much as the system allows; less costs datagrams in a burst.
        let _ = socket.set_recv_buffer_size(DATAGRAMS);
        let _ = socket.set_send_buffer_size(DATAGRAMS);
        real = socket.local_addr()?.as_socket().unwrap_or(address);
        group.push(socket);
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
