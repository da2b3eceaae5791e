//! One request stream: where its request and its response stand, and what waits to be taken on either side.

use std::task::{Context, Waker};

use bytes::Bytes;
use openclaw_core::message::Fault;
use quinn_proto::StreamId;

use super::frame::Frames;

/// How far the request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Head,
    Body,
    /// The trailers have come, after which there are only frames without meaning.
    Trailers,
    Ended,
}

/// How far the response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Response {
    Awaited,
    /// The head is out; `Some`: so much payload must follow.
    Streaming(Option<u64>),
    /// All of it was given to us.
    Ended,
    /// And QUIC has it.
    Finished,
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
    pub id: StreamId,
    /// An exchange holds the wire of this stream.
    pub started: bool,
    pub request: Request,
    pub response: Response,
    pub cut: Cut,
    pub frames: Frames,
    /// The type of the frame that is being read.
    pub kind: u64,
    /// A field section of which the rest has not come.
    pub section: Vec<u8>,
    /// It is longer than any that we would decode, and not kept.
    pub oversize: bool,
    /// The content-length of the request.
    pub declared: Option<u64>,
    /// Payload as the heads of DATA frames say it.
    pub received: u64,
    /// Payload that has come and that the wire has not taken.
    pub body: Vec<u8>,
    pub trailers: Vec<u8>,
    /// Frames that go out with the payload that follows them.
    pub staged: Vec<u8>,
    /// What QUIC had no room for; it goes before `staged`.
    pub pending: Bytes,
    /// The request is a CONNECT, behind which there is DATA alone (RFC 9114 §4.4).
    pub is_connect: bool,
    /// A tunnel has begun, and what is sent is not a body.
    pub is_tunnel: bool,
    /// The one DATA frame of a response of known length has begun.
    pub has_data: bool,
    waker: Option<Waker>,
}

impl Stream {
    pub(super) fn new(id: StreamId) -> Self {
        Self {
            id,
            started: false,
            request: Request::Head,
            response: Response::Awaited,
            cut: Cut::No,
            frames: Frames::default(),
            kind: 0,
            section: Vec::new(),
            oversize: false,
            declared: None,
            received: 0,
            body: Vec::new(),
            trailers: Vec::new(),
            staged: Vec::new(),
            pending: Bytes::new(),
            is_connect: false,
            is_tunnel: false,
            has_data: false,
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

    /// Whether the stream still means something to both sides.
    pub(super) fn is_live(&self) -> bool {
        self.cut == Cut::No
    }

    /// Whether all of the response was given to us.
    pub(super) fn is_answered(&self) -> bool {
        matches!(self.response, Response::Ended | Response::Finished)
    }

    /// Whether what has come can still be the body that was declared (RFC 9114 §4.1.2).
    pub(super) fn fits_declared(&self) -> bool {
        match self.declared {
            Some(declared) if self.request == Request::Ended => self.received == declared,
            Some(declared) => self.received <= declared,
            None => true,
        }
    }
}
