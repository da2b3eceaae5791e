//! The connections of one socket: which datagram, timer or word from the endpoint is whose.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use quinn_proto::{ConnectionHandle, DatagramEvent, Endpoint, Transmit};

use super::super::Listening;
use super::connection::{NO_ERROR, Slot};
use super::face::Application;
use super::mates::Facts;
use super::ready::Ready;
use super::timers::Timers;
use crate::exchange::context::Local;

/// All but the socket, which lends its buffer while this takes in what is there.
pub(super) struct Core<A: Application> {
    pub(super) local: Rc<Local>,
    pub(super) listening: Rc<Listening>,
    pub(super) endpoint: Endpoint,
    pub(super) ready: Arc<Ready>,
    /// Handshakes that are not complete.
    pub(super) half_open: usize,
    /// No new connections; who is left then is closed.
    pub(super) closes: Option<Instant>,
    /// What the endpoint itself has to say; as much as a turn's datagrams ask for.
    pub(super) answers: Vec<(Transmit, Vec<u8>)>,
    /// By handle.
    pub(super) slots: Vec<Option<Box<Slot<A>>>>,
    /// How many of them serve or may still.
    pub(super) open: usize,
    pub(super) touched: Vec<usize>,
    pub(super) timers: Timers,
    address: SocketAddr,
}

impl<A: Application> Core<A> {
    pub(super) fn new(
        local: Rc<Local>,
        listening: Rc<Listening>,
        endpoint: Endpoint,
        address: SocketAddr,
        now: Instant,
    ) -> Self {
        Self {
            local,
            listening,
            endpoint,
            ready: Arc::default(),
            half_open: 0,
            closes: None,
            answers: Vec::new(),
            slots: Vec::new(),
            open: 0,
            touched: Vec::new(),
            timers: Timers::new(now),
            address,
        }
    }

    /// Whether nobody is let in any more.
    pub(super) fn is_closed(&self) -> bool {
        self.closes.is_some()
    }

    pub(super) fn insert(&mut self, key: usize, slot: Slot<A>) {
        if self.slots.len() <= key {
            self.slots.resize_with(key + 1, || None);
        }
        if let Some(empty) = self.slots.get_mut(key) {
            *empty = Some(Box::new(slot));
        }
        self.half_open += 1;
        self.open += 1;
        self.touch(key);
    }

    pub(super) fn slot(&mut self, key: usize) -> Option<&mut Box<Slot<A>>> {
        self.slots.get_mut(key)?.as_mut()
    }

    /// Has it looked at in this turn.
    pub(super) fn touch(&mut self, key: usize) {
        if let Some(slot) = self.slot(key)
            && !slot.is_touched
        {
            slot.is_touched = true;
            self.touched.push(key);
        }
    }

    /// It has more to send than the socket takes; false: that was known.
    pub(super) fn wait(&mut self, key: usize) -> bool {
        let slot = self.slot(key);
        slot.is_some_and(|slot| !std::mem::replace(&mut slot.is_waiting, true))
    }

    /// The socket takes more.
    pub(super) fn stop_waiting(&mut self, key: usize) {
        if let Some(slot) = self.slot(key) {
            slot.is_waiting = false;
            self.touch(key);
        }
    }

    /// Takes no more clients, and asks those that are there to go within the time that the end of the proxy would leave them: the
    /// address may be wanted again.
    pub(super) fn close(&mut self) {
        let grace = self.local.serving().snapshot.config.server.shutdown_grace;
        self.closes = Some(Instant::now() + grace);
        for key in 0..self.slots.len() {
            if let Some(slot) = self.slot(key) {
                slot.drain();
                self.touch(key);
            }
        }
    }

    /// Takes clients again. Those that were asked to go may take their time about it.
    pub(super) fn reopen(&mut self) {
        self.closes = None;
    }

    /// Closes who has not gone in time.
    pub(super) fn close_late(&mut self, now: Instant) {
        if self.closes.is_none_or(|by| by > now) || self.open == 0 {
            return;
        }
        for key in 0..self.slots.len() {
            if let Some(slot) = self.slot(key).filter(|slot| !slot.is_closing()) {
                let was_handshaking = slot.complete_by.is_some();
                slot.close(NO_ERROR, "");
                self.half_open -= usize::from(was_handshaking);
                self.open -= 1;
                self.touch(key);
            }
        }
    }

    pub(super) fn datagram(&mut self, now: Instant, facts: Facts, bytes: BytesMut) {
        let mut answer = Vec::new();
        let Facts { from, to, ecn } = facts;
        let event = self.endpoint.handle(now, from, to, ecn, bytes, &mut answer);
        match event {
            Some(DatagramEvent::ConnectionEvent(ConnectionHandle(key), event)) => {
                if let Some(slot) = self.slot(key) {
                    slot.take(event, from);
                    self.touch(key);
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => self.admit(incoming, now),
            Some(DatagramEvent::Response(transmit)) => self.answers.push((transmit, answer)),
            None => {}
        }
    }

    pub(super) fn expire(&mut self, now: Instant) {
        let mut due = Vec::new();
        self.timers.advance(now, &mut due);
        let local = self.local.clone();
        for key in due {
            if let Some(slot) = self.slot(key) {
                slot.quic.borrow_mut().handle_timeout(now);
                if slot.complete_by.is_some_and(|by| by <= now) {
                    slot.give_up(&local);
                    self.half_open -= 1;
                    self.open -= 1;
                }
                self.touch(key);
            }
        }
    }

    /// Lets a connection go on.
    pub(super) fn run(&mut self, key: usize) {
        let (local, address, is_closed) = (self.local.clone(), self.address, self.is_closed());
        let Some(slot) = self.slot(key) else {
            return;
        };
        slot.is_touched = false;
        let (was_handshaking, was_closing) = (slot.complete_by.is_some(), slot.is_closing());
        if !slot.settle_in(&local) {
            slot.close(NO_ERROR, "");
        }
        slot.run(&local, address, is_closed);
        let (is_handshaking, is_closing) = (slot.complete_by.is_some(), slot.is_closing());
        self.half_open -= usize::from(was_handshaking && !is_handshaking);
        self.open -= usize::from(!was_closing && is_closing);
    }

    /// Ids that the connection asks for or gives back, and its end.
    pub(super) fn settle(&mut self, key: usize) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let Some(quic) = slot.as_ref().map(|slot| slot.quic.clone()) else {
            return;
        };
        let mut quic = quic.borrow_mut();
        while let Some(event) = quic.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(ConnectionHandle(key), event) {
                quic.handle_event(event);
            }
        }
        let complete_by = slot.as_ref().and_then(|slot| slot.complete_by);
        if !quic.is_drained() {
            let due = quic.poll_timeout().into_iter().chain(complete_by).min();
            self.timers.arm(key, due);
            return;
        }
        drop(quic);
        // The endpoint gives the handle to another: whoever has yet to hear of the end hears of it now.
        self.run(key);
        self.timers.arm(key, None);
        if let Some(slot) = self.slots.get_mut(key) {
            *slot = None;
        }
    }
}
