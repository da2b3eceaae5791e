//! The listeners of a worker: opened, exchanged for what a new configuration says, and closed.

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;

use super::{Bind, BoundSocket};
use crate::exchange::context::Local;
use crate::listener::{Listening, Terms, Transport, accept, quic, udp};
use crate::serve::h3;
use crate::snapshot::Snapshot;

/// The listeners of this worker.
pub(super) struct Listeners {
    local: Rc<Local>,
    open: Vec<Rc<Listening>>,
    /// Of QUIC, with connections that still end.
    closing: Vec<Rc<Listening>>,
}

impl Listeners {
    pub(super) fn new(local: Rc<Local>) -> Self {
        Self {
            local,
            open: Vec::new(),
            closing: Vec::new(),
        }
    }

    pub(super) fn open(&mut self, snapshot: &Snapshot, sockets: Vec<BoundSocket>) {
        for bound in sockets {
            let listeners = &snapshot.config.listeners;
            let index = listeners.iter().position(|one| one.name == bound.listener);
            // It has gone again before this worker opened it.
            let Some(terms) = index.and_then(|index| self.terms(snapshot, index)) else {
                continue;
            };
            let listening = match bound.socket {
                Bind::Tcp(socket) => self.open_tcp(socket, &terms),
                Bind::Quic(seat) => self.open_quic(*seat, &terms),
                Bind::Udp(socket) => self.open_udp(socket, &terms),
            };
            match listening {
                Ok(listening) => self.open.push(listening),
                Err(error) => {
                    tracing::error!(listener = %terms.config.name, %error, "the socket cannot be used");
                }
            }
        }
    }

    fn open_tcp(&self, socket: TcpListener, terms: &Terms) -> io::Result<Rc<Listening>> {
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let socket = tokio::net::TcpListener::from_std(socket)?;
        let listening = Listening::new(address, Transport::Tcp, terms.clone());
        tokio::task::spawn_local(accept(self.local.clone(), listening.clone(), socket));
        Ok(listening)
    }

    fn open_quic(&mut self, mut seat: quic::Seat, terms: &Terms) -> io::Result<Rc<Listening>> {
        let address = seat.address()?;
        let closing = self.closing.iter();
        if let Some(index) = closing.into_iter().position(|it| it.address == address) {
            let listening = self.closing.swap_remove(index);
            match listening.renew(terms, seat) {
                None => return Ok(listening),
                Some(unused) => seat = unused,
            }
        }
        let listening = Listening::new(address, Transport::Quic, terms.clone());
        let (local, served) = (self.local.clone(), listening.clone());
        tokio::task::spawn_local(quic::serve::<h3::Connection>(local, served, seat));
        Ok(listening)
    }

    fn open_udp(&self, socket: UdpSocket, terms: &Terms) -> io::Result<Rc<Listening>> {
        let listening = Listening::new(socket.local_addr()?, Transport::Udp, terms.clone());
        let (local, served) = (self.local.clone(), listening.clone());
        tokio::task::spawn_local(udp::serve(local, served, socket));
        Ok(listening)
    }

    /// Changes over to a snapshot: new terms for those that stay, an end for those that go, new sockets.
    pub(super) fn adopt(&mut self, snapshot: &Arc<Snapshot>, sockets: Vec<BoundSocket>) {
        self.local.adopt(snapshot.clone());
        self.closing.retain(|listening| !listening.has_ended());
        let open = std::mem::take(&mut self.open);
        for listening in open {
            let name = listening.name();
            let index = snapshot.config.listeners.iter().position(|known| {
                let mut binds = known.bind.iter();
                let is_bound = binds.any(|bind| serves(*bind, listening.address));
                is_bound
                    && match listening.transport {
                        Transport::Tcp => known.name == name && !known.mode.is_udp(),
                        Transport::Udp => known.name == name && known.mode.is_udp(),
                        // A connection has no socket of its own: it stays with the address, whoever has that.
                        Transport::Quic => known.protocols.h3,
                    }
            });
            if let Some(terms) = index.and_then(|index| self.terms(snapshot, index)) {
                *listening.terms.borrow_mut() = terms;
                self.open.push(listening);
            } else {
                listening.close();
                if listening.transport == Transport::Quic {
                    self.closing.push(listening);
                }
            }
        }
        self.open(snapshot, sockets);
    }

    fn terms(&self, snapshot: &Snapshot, index: usize) -> Option<Terms> {
        let config = snapshot.config.listeners.get(index)?;
        let setup = snapshot.listeners.get(index)?.clone();
        let slot = self
            .local
            .serving()
            .slots
            .listeners
            .get(index)
            .copied()
            .unwrap_or_default();
        Some(Terms {
            config: Rc::new(config.clone()),
            slot,
            setup,
        })
    }

    pub(super) fn close_all(&mut self, is_left: bool) {
        for listening in self.closing.drain(..).chain(self.open.drain(..)) {
            if is_left {
                listening.leave();
            } else {
                listening.close();
            }
        }
    }
}

/// A configured address and the one that was bound: port 0 fits any port.
fn serves(configured: std::net::SocketAddr, bound: std::net::SocketAddr) -> bool {
    configured.ip() == bound.ip() && (configured.port() == bound.port() || configured.port() == 0)
}
