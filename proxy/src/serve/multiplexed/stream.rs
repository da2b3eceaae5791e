//! One stream: where its request and its response stand, and the body that waits to be taken.

use std::task::{Context, Waker};

use openclaw_core::message::chunked::is_safe_trailer;
use openclaw_core::message::request::checked_list_trailer;
use openclaw_core::message::{Fault, HeaderList, ResponseBody, ResponseHead};

use super::WRONG_LENGTH;
use crate::exchange::wire::WireError;
use crate::serve::compression::Decoded;

/// How far the response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) enum Response {
    Awaited,
    /// The head is out; `Some`: so much payload must follow.
    Streaming(Option<u64>),
    Ended,
}

/// Whether the stream was cut before both sides had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) enum Cut {
    No,
    /// By the exchange itself.
    Aborted,
    /// By the client, by the end of the connection, or by us because the client broke the rules of streams.
    Gone,
    /// By us because the request turned out to be wrong after it had begun.
    Fault(Fault),
}

/// What a response head says of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) struct Announced {
    /// The content-length that goes with it.
    pub length: Option<u64>,
    /// Nothing follows it.
    pub ends: bool,
}

/// A stream by its id, with what the wire keeps of its own for it.
#[derive(Debug)]
pub(in crate::serve) struct Stream<I, O> {
    pub id: I,
    /// An exchange holds the wire of this stream.
    pub started: bool,
    pub response: Response,
    pub cut: Cut,
    /// The client has ended its side.
    pub request_ended: bool,
    /// The content-length of the request.
    pub declared: Option<u64>,
    /// Payload of the request so far.
    pub received: u64,
    /// Payload that has come and that the exchange has not taken.
    pub body: Vec<u8>,
    pub trailers: Vec<u8>,
    /// A tunnel has begun, and what is sent is not a body.
    pub is_tunnel: bool,
    waker: Option<Waker>,
    pub own: O,
}

impl<I, O> Stream<I, O> {
    pub(in crate::serve) fn new(id: I, request_ended: bool, own: O) -> Self {
        Self {
            id,
            started: false,
            response: Response::Awaited,
            cut: Cut::No,
            request_ended,
            declared: None,
            received: 0,
            body: Vec::new(),
            trailers: Vec::new(),
            is_tunnel: false,
            waker: None,
            own,
        }
    }

    /// Remembers whom to wake.
    pub(in crate::serve) fn register(&mut self, cx: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => self.waker = Some(cx.waker().clone()),
        }
    }

    /// Remembers whom to wake unless someone within the exchange is already to be woken.
    pub(in crate::serve) fn register_first(&mut self, cx: &Context<'_>) {
        if self.waker.is_none() {
            self.waker = Some(cx.waker().clone());
        }
    }

    pub(in crate::serve) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// Whether frames of this stream still mean something to both sides.
    pub(in crate::serve) fn is_live(&self) -> bool {
        self.cut == Cut::No
    }

    /// Whether the client counts the stream as open.
    pub(in crate::serve) fn is_open(&self) -> bool {
        self.is_live() && !(self.request_ended && self.response == Response::Ended)
    }

    /// Whether the exchange can go on.
    pub(in crate::serve) fn check(&self) -> Result<(), WireError> {
        match self.cut {
            Cut::No => Ok(()),
            Cut::Fault(fault) => Err(WireError::Fault(fault)),
            Cut::Gone | Cut::Aborted => Err(WireError::Gone),
        }
    }

    /// Whether what has come can still be the body that was declared.
    pub(in crate::serve) fn fits_declared(&self) -> bool {
        match self.declared {
            Some(declared) if self.request_ended => self.received == declared,
            Some(declared) => self.received <= declared,
            None => true,
        }
    }

    /// Whether the request is known to have nothing behind its head.
    pub(in crate::serve) fn has_only_head(&self) -> bool {
        self.request_ended && self.received == 0 && self.trailers.is_empty()
    }

    /// Keeps trailers as field lines; those that mean nothing behind a body are left out, as on every wire.
    pub(in crate::serve) fn keep_trailers(
        &mut self,
        decoded: Decoded,
        list: &HeaderList,
    ) -> Result<(), Fault> {
        if decoded == Decoded::TooLarge {
            return Err(Fault::header_too_large(
                "trailers larger than the header limit",
            ));
        }
        if !self.fits_declared() {
            return Err(WRONG_LENGTH);
        }
        for (name, value) in list.iter() {
            let field = checked_list_trailer(name, value)?;
            if is_safe_trailer(field.name) {
                for part in [field.name, b": ", field.value, b"\r\n"] {
                    self.trailers.extend_from_slice(part);
                }
            }
        }
        Ok(())
    }

    /// Takes note of a response head, or of an interim one. None: no head may come any more.
    pub(in crate::serve) fn announce(
        &mut self,
        head: &ResponseHead<'_>,
        interim: bool,
    ) -> Option<Announced> {
        if !self.is_live() || self.response != Response::Awaited {
            return None;
        }
        let (length, ends) = match head.body {
            ResponseBody::None { declared } => (declared, !interim),
            ResponseBody::Length(length) => (Some(length), length == 0),
            ResponseBody::Chunked | ResponseBody::UntilClose | ResponseBody::Tunnel => {
                (None, false)
            }
        };
        if ends {
            self.response = Response::Ended;
        } else if !interim {
            self.response = Response::Streaming(length);
            self.is_tunnel = head.body == ResponseBody::Tunnel;
        }
        Some(Announced { length, ends })
    }

    /// The response that was begun is none: another may come.
    pub(in crate::serve) fn take_back(&mut self) {
        self.response = Response::Awaited;
    }

    /// Takes note of payload that was sent; true: it was the last.
    pub(in crate::serve) fn sent(&mut self, count: usize) -> bool {
        if let Response::Streaming(Some(left)) = &mut self.response {
            *left = left.saturating_sub(count as u64);
            if *left == 0 {
                self.response = Response::Ended;
                return true;
            }
        }
        false
    }
}
