//! What one worker knows of its endpoints, as operators ask for it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::{Endpoint, Upstream};

/// One endpoint on one worker.
#[derive(Debug)]
pub struct Figures {
    /// The upstream's name.
    pub upstream: Arc<str>,
    pub label: Arc<str>,
    pub address: SocketAddr,
    /// Exchanges and tunnels that it has to do with.
    pub active: usize,
    /// Connections that wait for the next exchange.
    pub idle: usize,
    /// It took no connection just now.
    pub is_passed_over: bool,
}

/// Something that the endpoint has to do with on this worker; over when dropped.
#[derive(Debug)]
pub struct Busy(Rc<Endpoint>);

impl Endpoint {
    /// Counts an exchange, a tunnel or a relayed connection for as long as what is returned lives.
    pub fn busy(self: &Rc<Self>) -> Busy {
        self.active.set(self.active.get() + 1);
        Busy(Rc::clone(self))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.active.set(self.0.active.get() - 1);
    }
}

impl Busy {
    /// The time that a drain gave has passed: what runs is to end now. Whoever sleeps is woken when that begins.
    pub fn is_cut(&self) -> bool {
        self.0.standing.is_cut()
    }
}

impl Upstream {
    /// Of every endpoint.
    pub fn figures(&self, now: Instant) -> impl Iterator<Item = Figures> {
        self.endpoints.iter().map(move |endpoint| Figures {
            upstream: Arc::clone(&self.config.name),
            label: Arc::clone(&endpoint.label),
            address: endpoint.address,
            active: endpoint.active.get(),
            idle: endpoint.idle.borrow().len() + endpoint.streams.idle(),
            is_passed_over: endpoint.is_passed_over(now),
        })
    }
}
