//! Accepting connections: permit, shield, handshake, and the choice of the wire.

mod handshake;
mod open;
mod proxy_protocol;
pub mod quic;
mod tcp;
pub mod udp;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use openclaw_core::config;
use tokio::sync::Notify;

use crate::snapshot::ListenerSetup;

pub use self::tcp::accept;

/// One listener in one worker. Its socket lives on over reloads; what it serves with is exchanged.
#[derive(Debug)]
pub struct Listening {
    pub address: SocketAddr,
    pub transport: Transport,
    pub terms: RefCell<Terms>,
    closed: Cell<bool>,
    wake: Notify,
}

/// What comes over its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Quic,
    /// Datagrams that are forwarded.
    Udp,
}

/// What new connections get; those that are open keep theirs.
#[derive(Clone, Debug)]
pub struct Terms {
    pub config: Rc<config::Listener>,
    pub slot: u32,
    pub setup: ListenerSetup,
}

impl Listening {
    pub fn new(address: SocketAddr, transport: Transport, terms: Terms) -> Rc<Self> {
        Rc::new(Self {
            address,
            transport,
            terms: RefCell::new(terms),
            closed: Cell::new(false),
            wake: Notify::new(),
        })
    }

    /// Stops accepting; the socket is closed by the accept loop.
    pub fn close(&self) {
        self.closed.set(true);
        self.wake.notify_one();
    }

    pub fn name(&self) -> Arc<str> {
        self.terms.borrow().config.name.clone()
    }
}
