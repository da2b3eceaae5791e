//! One stream: where its request and its response stand, its windows, and the body that waits to be taken.

use std::task::{Context, Waker};

use openclaw_core::message::Fault;

use super::flow::{Inbound, Outbound, STREAM_WINDOW};

/// How far the response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Response {
    Awaited,
    /// The head is out; `Some`: so much payload must follow.
    Streaming(Option<u64>),
    Ended,
}

/// Whether the stream was cut before both sides had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    No,
    /// By the exchange itself.
    Aborted,
    /// By the client, by the end of the connection, or by us because the client broke the rules of streams.
    Gone,
    /// By us because the request turned out to be wrong after it had begun.
    Fault(Fault),
}

#[derive(Debug)]
pub(super) struct Stream {
    pub id: u32,
    /// An exchange holds the wire of this stream.
    pub started: bool,
    pub response: Response,
    pub cut: Cut,
    /// The client has sent `END_STREAM`.
    pub request_ended: bool,
    /// The content-length of the request.
    pub declared: Option<u64>,
    pub received: u64,
    pub inbound: Inbound,
    pub outbound: Outbound,
    /// Payload that has come and that the wire has not taken.
    pub body: Vec<u8>,
    /// Octets of payload that nobody has consumed yet, in `body` and in the wire.
    pub held: usize,
    pub trailers: Vec<u8>,
    /// A tunnel has begun, and what is sent is not a body.
    pub is_tunnel: bool,
    /// In the connection's queue for room in the connection's window or in the output.
    pub parked: bool,
    waker: Option<Waker>,
}

impl Stream {
    pub(super) fn new(id: u32, window: u32, request_ended: bool) -> Self {
        Self {
            id,
            started: false,
            response: Response::Awaited,
            cut: Cut::No,
            request_ended,
            declared: None,
            received: 0,
            inbound: Inbound::new(STREAM_WINDOW),
            outbound: Outbound::new(window),
            body: Vec::new(),
            held: 0,
            trailers: Vec::new(),
            is_tunnel: false,
            parked: false,
            waker: None,
        }
    }

    /// Remembers whom to wake.
    pub(super) fn register(&mut self, cx: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => self.waker = Some(cx.waker().clone()),
        }
    }

    /// Remembers whom to wake unless someone within the exchange is already to be woken.
    pub(super) fn register_first(&mut self, cx: &Context<'_>) {
        if self.waker.is_none() {
            self.waker = Some(cx.waker().clone());
        }
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// Whether frames of this stream still mean something to both sides.
    pub(super) fn is_live(&self) -> bool {
        self.cut == Cut::No
    }

    /// Whether the client counts the stream as open (RFC 9113 §5.1.2).
    pub(super) fn is_open(&self) -> bool {
        self.is_live() && !(self.request_ended && self.response == Response::Ended)
    }

    /// Whether what has come can still be the body that was declared (RFC 9113 §8.1.1).
    pub(super) fn fits_declared(&self) -> bool {
        match self.declared {
            Some(declared) if self.request_ended => self.received == declared,
            Some(declared) => self.received <= declared,
            None => true,
        }
    }
}
