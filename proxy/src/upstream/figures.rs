//! What one worker knows of its endpoints, as operators ask for it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Endpoint, Upstream};
use crate::telemetry::{Recent, Recorder};

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
    pub tally: Tally,
}

/// What came of an address, since it is known there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub requests: u64,
    /// Those that it failed; a client that goes is nobody's failure.
    pub failures: u64,
    pub connects: u64,
    pub connects_failed: u64,
    /// The time to an answer, lately.
    pub latency: Recent,
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.failures += other.failures;
        self.connects += other.connects;
        self.connects_failed += other.connects_failed;
        self.latency.add(other.latency);
    }
}

/// Something that the endpoint has to do with on this worker; over when dropped.
#[derive(Debug)]
pub struct Busy(Rc<Endpoint>);

impl Endpoint {
    /// It has got a request, and began to answer after this time, if it did.
    pub fn was_asked(&self, answered: Option<Duration>, has_failed: bool) {
        let mut tally = self.tally.get();
        tally.requests += 1;
        tally.failures += u64::from(has_failed);
        if let Some(answered) = answered {
            tally.latency.observe(answered);
        }
        self.tally.set(tally);
    }

    /// A connection to it was tried.
    pub fn was_tried(&self, recorder: &Recorder, success: bool) {
        recorder.upstream_connect(self.slot.get(), success);
        let mut tally = self.tally.get();
        if success {
            tally.connects += 1;
        } else {
            tally.connects_failed += 1;
        }
        self.tally.set(tally);
    }

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
            tally: endpoint.tally.get(),
        })
    }
}
