//! Listening sockets: one per worker and address, spread by the kernel (`SO_REUSEPORT`), so that workers share no queue.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use openclaw_core::config::Config;
use socket2::{Domain, Protocol, Socket, Type};

use super::error::Trouble;
use crate::worker::BoundSocket;

/// The kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 65_535;

/// An address of a listener as it is configured; the port may be 0.
type Key = (Arc<str>, SocketAddr);

/// The addresses that are bound now, and by which port the kernel chose for port 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Bound(HashMap<Key, SocketAddr>);

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
    ) -> Result<Binding, Vec<Trouble>> {
        let mut bound = HashMap::new();
        let mut sockets: Vec<Vec<BoundSocket>> = (0..workers).map(|_| Vec::new()).collect();
        let mut troubles = Vec::new();
        for setup in &mut config.listeners {
            for (index, address) in setup.bind.iter_mut().enumerate() {
                let key = (Arc::clone(&setup.name), *address);
                if let Some(real) = self.0.get(&key) {
                    *address = *real;
                    bound.insert(key, *real);
                    continue;
                }
                // An address that moves from one listener to another is ours already.
                let ours = self.0.values().any(|real| real == address);
                match bind(*address, workers, ours) {
                    Ok((real, group)) => {
                        *address = real;
                        bound.insert(key, real);
                        for (worker, socket) in sockets.iter_mut().zip(group) {
                            let listener = Arc::clone(&setup.name);
                            worker.push(BoundSocket { listener, socket });
                        }
                    }
                    Err(source) => troubles.push(Trouble::Bind {
                        listener: Arc::clone(&setup.name),
                        bind: index,
                        address: *address,
                        source,
                    }),
                }
            }
        }
        if troubles.is_empty() {
            let bound = Self(bound);
            Ok(Binding { bound, sockets })
        } else {
            Err(troubles)
        }
    }
}

fn bind(
    address: SocketAddr,
    workers: usize,
    ours: bool,
) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    if !ours && address.port() != 0 {
        // With SO_REUSEPORT a second process of the same user would silently take its share of the connections.
        let probe = socket(address)?;
        probe.bind(&address.into())?;
    }
    let mut group = Vec::with_capacity(workers);
    let mut real = address;
    for _ in 0..workers {
        let socket = socket(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&real.into())?;
        socket.listen(BACKLOG)?;
        let socket = TcpListener::from(socket);
        real = socket.local_addr()?;
        group.push(socket);
    }
    Ok((real, group))
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` and `0.0.0.0` are two addresses, whatever the system's default is.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}
