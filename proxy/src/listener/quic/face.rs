//! What the driver of a socket asks of what is spoken over its connections.

use std::cell::RefCell;
use std::fmt::Debug;
use std::rc::Rc;
use std::task::{Context, Poll};

use quinn_proto::{Connection, StreamEvent};

use crate::exchange::context::{Downstream, Local};
use crate::serve::h3;

/// A QUIC connection, borrowed by the driver and by the application in turn, for a call at a time.
pub type Quic = Rc<RefCell<Connection>>;

/// Why the application ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The client is told this error of the application's (RFC 9000 §20.2).
    pub code: u64,
    pub detail: &'static str,
}

/// What is spoken over one connection.
pub trait Application: Debug {
    /// From the end of the handshake; with early data from where that can be read, while `Downstream::early` says so.
    fn new(local: Rc<Local>, downstream: Rc<Downstream>, quic: Quic) -> Self;

    /// Something has happened to a stream.
    fn event(&mut self, event: &StreamEvent);

    /// Goes on after events, and when what it waits for has woken it. What it has written is sent afterwards. It is dropped after its
    /// end: exchanges under way are cut off by that.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End>;

    /// The connection is lost: exchanges under way learn of it. Dropped afterwards.
    fn lost(&mut self, cx: &mut Context<'_>);

    /// The client has shown that it is at another address now.
    fn moved(&mut self, downstream: Rc<Downstream>);

    /// Asks the client to go elsewhere; the end comes with that of the last exchange.
    fn drain(&mut self);
}

impl Application for h3::Connection {
    fn new(local: Rc<Local>, downstream: Rc<Downstream>, quic: Quic) -> Self {
        Self::new(local, downstream, quic)
    }

    fn event(&mut self, event: &StreamEvent) {
        self.event(event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.poll(cx).map(|ended| End {
            code: ended.code as u64,
            detail: ended.detail,
        })
    }

    fn lost(&mut self, cx: &mut Context<'_>) {
        self.lost(cx);
    }

    fn moved(&mut self, downstream: Rc<Downstream>) {
        self.moved(downstream);
    }

    fn drain(&mut self) {
        self.drain();
    }
}
