//! The downstream side of one exchange, whatever the wire: HTTP/1 bytes, an h2 stream, later an h3 stream.
//!
//! All methods are polls so that an exchange can move the request body up and the response down in one task. A wire
//! has no timers: the exchange holds the deadline.

use std::task::{Context, Poll};

use openclaw_core::caching::Status;
use openclaw_core::message::{Fault, Field, Response, ResponseHead};
use openclaw_core::reason::Reason;
use tokio::net::TcpStream;

/// What `Wire::poll_body` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyPart {
    /// `Wire::body` is not empty.
    Data,
    /// The body is complete; `Wire::trailers` is valid now.
    End,
}

/// Why the downstream side cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The client closed, reset the stream, or the socket failed. There is nobody to answer.
    Gone,
    /// The body breaks its framing; may be answered if no response has begun.
    Fault(Fault),
}

impl WireError {
    /// The code for logs and metrics.
    pub fn reason(self) -> Reason {
        match self {
            Self::Gone => Reason::ClientAborted,
            Self::Fault(fault) => fault.reason,
        }
    }
}

/// One request's way to its client.
pub trait Wire {
    /// Waits for request body. After `End` it keeps answering `End`.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<BodyPart, WireError>>;

    /// Ready when the client has gone, as far as that shows without taking anything from it. For an exchange that has
    /// nothing else to ask of its client yet. A wire whose connection ends the exchange of a client that goes never says so.
    fn poll_gone(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    /// The same for an exchange that waits for its endpoint: a client that has only closed its direction may still want the answer.
    /// A wire whose answer others wait for as well never says so.
    fn poll_left(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    /// Payload that has arrived, without chunk framing or frame headers; stays until `consume`d.
    fn body(&self) -> &[u8];

    /// Releases the first `count` bytes of `body` (flow control is credited now, not on arrival).
    fn consume(&mut self, count: usize);

    /// Field lines of the request's trailers, `name: value\r\n` each, already checked; empty when there are none.
    fn trailers(&self) -> &[u8];

    /// Queues an interim response (1xx other than 101).
    fn inform(&mut self, head: &ResponseHead<'_>);

    /// Looks at the final response of the endpoint before its head is queued; what a cache has to say of it goes into that head.
    fn consider(&mut self, response: &Response<'_>) -> Option<Status>;

    /// What is considered next is not in the coding that it should be in, as too much is coded already: it is for this client alone.
    fn make_do(&mut self) {}

    /// Whether the client is spared a final response of this status, since another endpoint is going to be asked. Who says so has to ask one.
    fn declines(&mut self, _status: u16) -> bool {
        false
    }

    /// Queues the final response head. With `ResponseBody::None` the response is complete after `finish`.
    fn respond(&mut self, head: &ResponseHead<'_>);

    /// Takes payload, as much as windows and buffers allow; `Ready(0)` never happens for non-empty payload.
    fn poll_send(&mut self, cx: &mut Context<'_>, payload: &[u8])
    -> Poll<Result<usize, WireError>>;

    /// The payload that is sent next is followed at once by bytes that go into [`Self::bare_socket`]: it may wait for them in the kernel,
    /// and who says so has it pushed out if they do not come.
    fn more_follows(&mut self) {}

    /// The client's bare socket, where payload may go into it as it is: in the clear, without framing, nothing queued before it.
    fn bare_socket(&self) -> Option<&TcpStream> {
        None
    }

    /// Queues the end of the response, with trailers where the wire can carry them. Called once, after all payload.
    fn finish(&mut self, trailers: &[Field<'_>]);

    /// Pushes what is queued towards the client; `Ready` when nothing is held back that the wire could send now.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>>;

    /// The response cannot be completed: the client must not take it for a whole one (`RST_STREAM`, or a cut connection).
    fn abort(&mut self, reason: Reason);

    /// The client has gone, and the exchange goes on: what it fetches is for others. A wire whose connection ends the exchange of a
    /// client that goes lets it go on by itself.
    fn leave(&mut self) {}

    /// Whether the client may still see a response head: none has been queued.
    fn can_respond(&self) -> bool;

    /// Drops a response of which nothing has been sent yet. Whether there was one; then the client may see another.
    fn take_back(&mut self) -> bool {
        false
    }
}

/// The methods of a wire between an exchange and its client that the one behind it, its field `wire`, does for it.
macro_rules! handed_on {
    ($($method:ident)+) => { $($crate::exchange::wire::handed_on!(@ $method);)+ };
    (@ poll_body) => {
        fn poll_body(
            &mut self,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<$crate::exchange::wire::BodyPart, $crate::exchange::wire::WireError>> {
            self.wire.poll_body(cx)
        }
    };
    (@ poll_gone) => {
        fn poll_gone(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<()> {
            self.wire.poll_gone(cx)
        }
    };
    (@ poll_left) => {
        fn poll_left(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<()> {
            self.wire.poll_left(cx)
        }
    };
    (@ body) => {
        fn body(&self) -> &[u8] {
            self.wire.body()
        }
    };
    (@ consume) => {
        fn consume(&mut self, count: usize) {
            self.wire.consume(count);
        }
    };
    (@ trailers) => {
        fn trailers(&self) -> &[u8] {
            self.wire.trailers()
        }
    };
    (@ inform) => {
        fn inform(&mut self, head: &openclaw_core::message::ResponseHead<'_>) {
            self.wire.inform(head);
        }
    };
    (@ consider) => {
        fn consider(
            &mut self,
            response: &openclaw_core::message::Response<'_>,
        ) -> Option<openclaw_core::caching::Status> {
            self.wire.consider(response)
        }
    };
    (@ respond) => {
        fn respond(&mut self, head: &openclaw_core::message::ResponseHead<'_>) {
            self.wire.respond(head);
        }
    };
    (@ poll_send) => {
        fn poll_send(
            &mut self,
            cx: &mut std::task::Context<'_>,
            payload: &[u8],
        ) -> std::task::Poll<Result<usize, $crate::exchange::wire::WireError>> {
            self.wire.poll_send(cx, payload)
        }
    };
    (@ more_follows) => {
        fn more_follows(&mut self) {
            self.wire.more_follows();
        }
    };
    (@ bare_socket) => {
        fn bare_socket(&self) -> Option<&tokio::net::TcpStream> {
            self.wire.bare_socket()
        }
    };
    (@ finish) => {
        fn finish(&mut self, trailers: &[openclaw_core::message::Field<'_>]) {
            self.wire.finish(trailers);
        }
    };
    (@ poll_flush) => {
        fn poll_flush(
            &mut self,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), $crate::exchange::wire::WireError>> {
            self.wire.poll_flush(cx)
        }
    };
    (@ abort) => {
        fn abort(&mut self, reason: openclaw_core::reason::Reason) {
            self.wire.abort(reason);
        }
    };
    (@ can_respond) => {
        fn can_respond(&self) -> bool {
            self.wire.can_respond()
        }
    };
    (@ take_back) => {
        fn take_back(&mut self) -> bool {
            self.wire.take_back()
        }
    };
}
pub(super) use handed_on;
