//! Responses: what the wires of the streams ask for, and what QUIC takes of it.

use std::task::{Context, Poll};

use bytes::Bytes;
use openclaw_core::message::{Field, ResponseBody, ResponseHead};
use openclaw_core::reason::Reason;
use quinn_proto::{StreamId, WriteError};

use super::code::Code;
use super::connection::{State, number};
use super::frame;
use super::qpack::encode;
use super::stream::{Cut, Request, Response, Stream};
use crate::exchange::wire::WireError;

/// Payload that goes into one piece with the frame heads before it.
const PIECE: usize = 64 * 1024;

/// Room for the head of a response, and for payload that comes with it.
const HEAD: usize = 512;
const SMALL: u64 = 4096;

/// What became of what waits for QUIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flushed {
    All,
    Blocked,
    /// The client has stopped the stream.
    Gone,
}

impl State {
    /// Stages a response head, or an interim one; it leaves with payload, or at the next flush.
    pub(super) fn respond(&mut self, slot: u32, head: &ResponseHead<'_>, interim: bool) {
        let Some(stream) = self.live(slot) else {
            return;
        };
        if stream.response != Response::Awaited {
            return;
        }
        let (length, ends) = match head.body {
            ResponseBody::None { declared } => (declared, !interim),
            ResponseBody::Length(length) => (Some(length), length == 0),
            ResponseBody::Chunked | ResponseBody::UntilClose | ResponseBody::Tunnel => {
                (None, false)
            }
        };
        // The head and, as long as it is small, the payload behind it become one piece.
        stream
            .staged
            .reserve(HEAD + length.map_or(0, |length| length.min(SMALL)) as usize);
        frame::headers(&mut stream.staged, |out| {
            encode::begin(out);
            encode::status(out, head.status);
            fields(out, head.fields);
            if let Some(length) = length {
                encode::content_length(out, length);
            }
        });
        stream.is_tunnel = head.body == ResponseBody::Tunnel;
        if ends {
            self.response_ended(slot);
        } else if !interim {
            stream.response = Response::Streaming(length);
        }
    }

    /// Takes as much payload as QUIC has room for.
    pub(super) fn poll_send(
        &mut self,
        slot: u32,
        cx: &Context<'_>,
        payload: &[u8],
    ) -> Poll<Result<usize, WireError>> {
        let Some(stream) = self.live(slot) else {
            return Poll::Ready(Err(WireError::Gone));
        };
        if payload.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let Response::Streaming(left) = stream.response else {
            return Poll::Ready(Err(WireError::Gone));
        };
        if left.is_some_and(|left| left < payload.len() as u64) {
            // More than was declared: the client must not take it for a whole response.
            self.abort(slot, Reason::UpstreamBadResponse);
            return Poll::Ready(Err(WireError::Gone));
        }
        stream.register(cx);
        if !stream.pending.is_empty() {
            match self.flush(slot) {
                Flushed::All => {}
                Flushed::Blocked => return Poll::Pending,
                Flushed::Gone => return Poll::Ready(Err(WireError::Gone)),
            }
        }
        let count = match self.put(slot, left, payload) {
            Ok(count) => count,
            Err(WriteError::Blocked) => return Poll::Pending,
            Err(WriteError::Stopped(_) | WriteError::ClosedStream) => {
                return Poll::Ready(Err(WireError::Gone));
            }
        };
        let left = left.map(|left| left - count as u64);
        if let Some(stream) = self.stream(slot) {
            stream.response = Response::Streaming(left);
        }
        if left == Some(0) {
            self.response_ended(slot);
        }
        if self.flush(slot) == Flushed::Gone {
            return Poll::Ready(Err(WireError::Gone));
        }
        Poll::Ready(Ok(count))
    }

    /// Hands payload over, in one piece with what is staged. A response of known length has one DATA frame (RFC 9114 §7.2.1).
    fn put(&mut self, slot: u32, left: Option<u64>, payload: &[u8]) -> Result<usize, WriteError> {
        let Some(stream) = self.streams.get_mut(slot as usize) else {
            return Err(WriteError::ClosedStream);
        };
        let piece = payload.get(..payload.len().min(PIECE)).unwrap_or_default();
        match left {
            Some(_) if stream.has_data => {}
            Some(length) => frame::head(&mut stream.staged, frame::DATA, length),
            None => frame::head(&mut stream.staged, frame::DATA, piece.len() as u64),
        }
        stream.has_data = true;
        if stream.staged.is_empty() {
            return self.quic.borrow_mut().send_stream(stream.id).write(payload);
        }
        stream.staged.extend_from_slice(piece);
        stream.pending = Bytes::from(std::mem::take(&mut stream.staged));
        Ok(piece.len())
    }

    /// Stages the end of a response.
    pub(super) fn finish(&mut self, slot: u32, trailers: &[Field<'_>]) {
        let Some(stream) = self.live(slot) else {
            return;
        };
        match stream.response {
            Response::Ended | Response::Finished => return,
            Response::Awaited | Response::Streaming(Some(1..)) => {
                self.abort(slot, Reason::UpstreamReset);
                return;
            }
            Response::Streaming(_) => {}
        }
        if !trailers.is_empty() {
            frame::headers(&mut stream.staged, |out| {
                encode::begin(out);
                fields(out, trailers);
            });
        }
        self.response_ended(slot);
        // Whether it was taken is asked at the next flush, and at the end of the wire.
        self.flush(slot);
    }

    /// Ready once QUIC has all that was given to us.
    pub(super) fn poll_flush(
        &mut self,
        slot: u32,
        cx: &Context<'_>,
    ) -> Poll<Result<(), WireError>> {
        let Some(stream) = self.live(slot) else {
            return Poll::Ready(Err(WireError::Gone));
        };
        stream.register(cx);
        match self.flush(slot) {
            Flushed::All => Poll::Ready(Ok(())),
            Flushed::Blocked => Poll::Pending,
            Flushed::Gone => Poll::Ready(Err(WireError::Gone)),
        }
    }

    /// Hands over what waits, and the end of the stream behind the last of it.
    fn flush(&mut self, slot: u32) -> Flushed {
        let Some(stream) = self.streams.get_mut(slot as usize) else {
            return Flushed::Gone;
        };
        if stream.response == Response::Finished {
            return Flushed::All;
        }
        let mut quic = self.quic.borrow_mut();
        let mut sending = quic.send_stream(stream.id);
        loop {
            if stream.pending.is_empty() {
                if stream.staged.is_empty() {
                    break;
                }
                stream.pending = Bytes::from(std::mem::take(&mut stream.staged));
            }
            let mut chunks = [std::mem::take(&mut stream.pending)];
            let written = sending.write_chunks(&mut chunks);
            [stream.pending] = chunks;
            match written {
                Ok(_) => {}
                Err(WriteError::Blocked) => return Flushed::Blocked,
                Err(WriteError::Stopped(_) | WriteError::ClosedStream) => return Flushed::Gone,
            }
        }
        if stream.response == Response::Ended {
            stream.response = Response::Finished;
            if sending.finish().is_err() {
                return Flushed::Gone;
            }
        }
        Flushed::All
    }

    /// QUIC has room again for a stream, or may be asked why not.
    pub(super) fn writable(&mut self, id: StreamId) {
        let Some(slot) = self.slot(number(id)) else {
            return;
        };
        let flushed = self.flush(slot);
        if let Some(stream) = self.stream(slot) {
            stream.wake();
            if !stream.started && flushed != Flushed::Blocked {
                self.forget(slot);
            }
        }
    }

    /// Cuts a response short in a way that the client sees.
    pub(super) fn abort(&mut self, slot: u32, reason: Reason) {
        let Some(stream) = self.live(slot) else {
            return;
        };
        stream.cut = Cut::Aborted;
        if stream.response == Response::Finished && stream.request == Request::Ended {
            return;
        }
        let id = stream.id;
        // A reset of the endpoint's connection is passed on as one of the stream (RFC 9220 §3).
        let code = if reason == Reason::ClientAborted || stream.is_tunnel {
            Code::RequestCancelled
        } else {
            Code::InternalError
        };
        self.send_reset(id, code);
    }

    /// The exchange has dropped its wire: the stream is over, but for what QUIC has not taken yet.
    pub(super) fn release(&mut self, slot: u32) {
        let Some(stream) = self.live(slot) else {
            self.forget(slot);
            return;
        };
        let id = stream.id;
        if !stream.is_answered() {
            self.send_reset(id, Code::InternalError);
            self.forget(slot);
            return;
        }
        if let Err(violation) = self.stop_request(slot) {
            self.fail(violation);
        }
        if self.flush(slot) != Flushed::Blocked {
            self.forget(slot);
        } else if let Some(stream) = self.stream(slot) {
            stream.started = false;
        }
    }

    /// The response is whole: the client may stop with the rest of its request, which nobody reads (RFC 9114 §4.1.1).
    fn stop_request(&mut self, slot: u32) -> Result<(), super::code::Violation> {
        if self.live(slot).is_some_and(|stream| stream.body.is_empty()) {
            // It may have ended without anybody having looked.
            self.pump(slot)?;
        }
        let Some(id) = self.live(slot).and_then(|stream| unread(stream)) else {
            return Ok(());
        };
        // The end may have come together with what was not read.
        let _ = self
            .quic
            .borrow_mut()
            .recv_stream(id)
            .stop(Code::NoError.into());
        self.budget.reset()
    }

    fn response_ended(&mut self, slot: u32) {
        if let Some(stream) = self.stream(slot) {
            stream.response = Response::Ended;
        }
        self.budget.answered();
    }
}

/// The stream, if the end of its request is still to come.
fn unread(stream: &Stream) -> Option<StreamId> {
    (stream.request != Request::Ended).then_some(stream.id)
}

/// Fields that speak about a connection have no place in HTTP/3 (RFC 9114 §4.2).
fn fields(out: &mut Vec<u8>, fields: &[Field<'_>]) {
    for field in fields {
        if !field.kind.is_hop_by_hop() {
            encode::field(out, field.name, field.value);
        }
    }
}
