//! Accepting connections: permit, shield, handshake, and the choice of the wire.

mod curt;
mod handshake;
mod open;
mod preface;
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
    /// Another process goes on with the socket.
    is_left: Cell<bool>,
    /// Nothing is left to be served, and the socket is closed.
    ended: Cell<bool>,
    /// For a QUIC driver that goes on with others than it began with.
    renewed: RefCell<Option<quic::Mates>>,
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
            is_left: Cell::new(false),
            ended: Cell::new(false),
            renewed: RefCell::new(None),
            wake: Notify::new(),
        })
    }

    /// Stops accepting; the socket is closed by the accept loop.
    pub fn close(&self) {
        self.closed.set(true);
        self.wake.notify_one();
    }

    /// The same where another process goes on with the socket: what arrives there from now on is its.
    pub fn leave(&self) {
        self.is_left.set(true);
        self.close();
    }

    /// Takes clients again if a QUIC socket has been closed and still serves some. Where that is over the seat comes back.
    pub fn renew(&self, terms: &Terms, seat: quic::Seat) -> Option<quic::Seat> {
        if self.ended.get() {
            return Some(seat);
        }
        *self.terms.borrow_mut() = terms.clone();
        self.renewed.replace(Some(seat.into_mates()));
        self.closed.set(false);
        self.wake.notify_one();
        None
    }

    /// Nothing is left to be served.
    pub fn has_ended(&self) -> bool {
        self.ended.get()
    }

    pub fn name(&self) -> Arc<str> {
        self.terms.borrow().config.name.clone()
    }
}
