//! Responses: what the wires of the streams ask for, and what QUIC takes of it.

use std::task::{Context, Poll};

use openclaw_core::message::{Fault, Field, Request, ResponseHead, Version};
use quinn_proto::{StreamId, WriteError};

use super::code::{Code, Violation};
use super::connection::State;
use super::frame;
use super::qpack::encode;
use super::stream::Own;
use crate::exchange::wire::WireError;
use crate::serve::compression;
use crate::serve::multiplexed::{self, Cut, Failure, Response, Streams, of_response};

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

impl multiplexed::Connection for State {
    const VERSION: Version = Version::H3;
    type Id = StreamId;
    type Own = Own;

    fn streams(&mut self) -> &mut Streams<StreamId, Own> {
        &mut self.streams
    }

    fn blame(&mut self) {
        if let Err(spent) = self.budget.reset() {
            self.fail(spent.into());
        }
    }

    fn refuse(&mut self, slot: u32, fault: Fault) {
        if let Err(violation) = self.stream_error(slot, Code::MessageError, Cut::Fault(fault)) {
            self.fail(violation);
        }
    }

    fn begin(&mut self, slot: u32, request: Option<&Request<'_>>) {
        self.prioritise_new(slot, request);
    }

    fn pump(&mut self, slot: u32) {
        if let Err(violation) = self.read_request(slot) {
            self.fail(violation);
        }
    }

    /// The client was given room for as much when this was taken from QUIC, a bounded piece ahead.
    fn consumed(&mut self, _slot: u32, _count: usize) {}

    /// A head leaves with payload, or at the next flush.
    fn respond(&mut self, slot: u32, head: &ResponseHead<'_>, interim: bool) {
        let Some(stream) = self.streams.at(slot) else {
            return;
        };
        let Some(announced) = stream.announce(head, interim) else {
            return;
        };
        let most = self.control.max_section;
        if most.is_some_and(|most| most < compression::size(head.fields)) {
            // Half of a head is none, and what the client has said that it refuses it need not be sent.
            let id = stream.id;
            stream.cut = Cut::Aborted;
            self.send_reset(id, Code::InternalError);
            return;
        }
        // The head and, as long as it is small, the payload behind it become one piece.
        let small = announced.length.map_or(0, |length| length.min(SMALL));
        let may_break = !(interim || announced.ends || stream.is_tunnel);
        stream.own.unsent = may_break.then_some(stream.own.staged.len());
        stream.own.staged.reserve(HEAD + small as usize);
        frame::headers(&mut stream.own.staged, |out| {
            encode::begin(out);
            encode::status(out, head.status);
            compression::fields(out, head.fields, encode::field);
            if let Some(length) = announced.length {
                encode::content_length(out, length);
            }
        });
        if announced.ends {
            self.budget.answered();
        } else if let Some(priority) = of_response(stream.own.place, head) {
            self.prioritise(slot, priority);
        }
    }

    fn poll_send(
        &mut self,
        slot: u32,
        cx: &Context<'_>,
        payload: &[u8],
    ) -> Poll<Result<usize, WireError>> {
        let Some(stream) = self.streams.at(slot) else {
            return Poll::Ready(Err(WireError::Gone));
        };
        stream.register(cx);
        if !stream.own.pending.is_empty() {
            match self.flush(slot) {
                Flushed::All => {}
                Flushed::Blocked => return Poll::Pending,
                Flushed::Gone => return Poll::Ready(Err(WireError::Gone)),
            }
        }
        let count = match self.put(slot, payload) {
            Ok(count) => count,
            Err(WriteError::Blocked) => {
                self.wait(slot);
                return Poll::Pending;
            }
            Err(WriteError::Stopped(_) | WriteError::ClosedStream) => {
                return Poll::Ready(Err(WireError::Gone));
            }
        };
        self.priorities.turns.take(slot, count);
        let stream = self.streams.at(slot);
        if stream.is_some_and(|stream| stream.sent(count)) {
            self.budget.answered();
        } else if self.may_take_back(slot) {
            // It leaves at the next flush.
            return Poll::Ready(Ok(count));
        }
        if self.flush(slot) == Flushed::Gone {
            return Poll::Ready(Err(WireError::Gone));
        }
        Poll::Ready(Ok(count))
    }

    fn finish(&mut self, slot: u32, trailers: &[Field<'_>]) {
        if !trailers.is_empty()
            && let Some(stream) = self.streams.at(slot)
        {
            frame::headers(&mut stream.own.staged, |out| {
                encode::begin(out);
                compression::fields(out, trailers, encode::field);
            });
        }
        self.budget.answered();
        // Whether it was taken is asked at the next flush, and at the end of the wire.
        self.flush(slot);
    }

    fn poll_flush(&mut self, slot: u32, cx: &Context<'_>) -> Poll<Result<(), WireError>> {
        if let Some(stream) = self.streams.at(slot) {
            stream.register(cx);
        }
        match self.flush(slot) {
            Flushed::All => Poll::Ready(Ok(())),
            Flushed::Blocked => Poll::Pending,
            Flushed::Gone => Poll::Ready(Err(WireError::Gone)),
        }
    }

    fn take_back(&mut self, slot: u32) -> bool {
        let Some(stream) = self.streams.live(slot) else {
            return false;
        };
        let Some(begin) = stream.own.unsent.take() else {
            return false;
        };
        stream.own.staged.truncate(begin);
        stream.own.has_data = false;
        stream.take_back();
        true
    }

    fn abort(&mut self, slot: u32, failure: Failure) {
        let Some(stream) = self.streams.at(slot) else {
            return;
        };
        if stream.own.finished && stream.request_ended {
            return;
        }
        let code = match failure {
            Failure::Cancelled => Code::RequestCancelled,
            Failure::Internal => Code::InternalError,
        };
        let id = stream.id;
        self.send_reset(id, code);
    }

    /// What QUIC has not taken yet is still sent.
    fn release(&mut self, slot: u32) {
        let Some(stream) = self.streams.live(slot) else {
            self.forget(slot);
            return;
        };
        if stream.response != Response::Ended {
            let id = stream.id;
            self.send_reset(id, Code::InternalError);
            self.forget(slot);
            return;
        }
        if let Err(violation) = self.stop_request(slot) {
            self.fail(violation);
        }
        if self.flush(slot) != Flushed::Blocked {
            self.forget(slot);
        } else if let Some(stream) = self.streams.at(slot) {
            stream.started = false;
        }
    }
}

impl State {
    /// Hands payload over, in one piece with what is staged. A response of known length has one DATA frame (RFC 9114 §7.2.1).
    fn put(&mut self, slot: u32, payload: &[u8]) -> Result<usize, WriteError> {
        let Some(stream) = self.streams.at(slot) else {
            return Err(WriteError::ClosedStream);
        };
        let piece = payload.get(..payload.len().min(PIECE)).unwrap_or_default();
        match stream.response {
            Response::Streaming(Some(_)) if stream.own.has_data => {}
            Response::Streaming(Some(length)) => {
                frame::head(&mut stream.own.staged, frame::DATA, length);
            }
            Response::Streaming(None) | Response::Awaited | Response::Ended => {
                frame::head(&mut stream.own.staged, frame::DATA, piece.len() as u64);
            }
        }
        stream.own.has_data = true;
        if stream.own.staged.is_empty() {
            return self.quic.borrow_mut().send_stream(stream.id).write(payload);
        }
        stream.own.staged.extend_from_slice(piece);
        if stream.own.staged.len() > HEAD + SMALL as usize {
            stream.own.stage_to_send();
        }
        Ok(piece.len())
    }

    /// Whether nothing of a response that is not whole has gone to QUIC.
    fn may_take_back(&mut self, slot: u32) -> bool {
        let stream = self.streams.at(slot);
        stream.is_some_and(|stream| stream.own.unsent.is_some())
    }

    /// Hands over what waits, and the end of the stream behind the last of it.
    fn flush(&mut self, slot: u32) -> Flushed {
        let flushed = self.hand_over(slot);
        if flushed == Flushed::Blocked {
            self.wait(slot);
        }
        flushed
    }

    fn hand_over(&mut self, slot: u32) -> Flushed {
        let Some(stream) = self.streams.at(slot) else {
            return Flushed::Gone;
        };
        if stream.own.finished {
            return Flushed::All;
        }
        let mut quic = self.quic.borrow_mut();
        let mut sending = quic.send_stream(stream.id);
        loop {
            if stream.own.pending.is_empty() {
                if stream.own.staged.is_empty() {
                    break;
                }
                stream.own.stage_to_send();
            }
            let mut chunks = [std::mem::take(&mut stream.own.pending)];
            let written = sending.write_chunks(&mut chunks);
            [stream.own.pending] = chunks;
            match written {
                Ok(_) => {}
                Err(WriteError::Blocked) => return Flushed::Blocked,
                Err(WriteError::Stopped(_) | WriteError::ClosedStream) => return Flushed::Gone,
            }
        }
        if stream.response == Response::Ended {
            stream.own.finished = true;
            if sending.finish().is_err() {
                return Flushed::Gone;
            }
        }
        Flushed::All
    }

    /// QUIC has room again for a stream, or may be asked why not.
    pub(super) fn writable(&mut self, id: StreamId) {
        let slot = self.streams.slot(id);
        self.writable
            .extend(slot.filter(|slot| !self.writable.contains(slot)));
    }

    /// QUIC had no room for a stream, be it the stream's or that of the connection.
    fn wait(&mut self, slot: u32) {
        if let Some(stream) = self.streams.at(slot) {
            self.priorities.turns.wait(slot, stream.own.place);
        }
    }

    /// Wakes the stream that goes first of those that QUIC has room for again; false: there is none. Who goes on takes what it wants of
    /// the room: how much there is QUIC does not say.
    pub(super) fn next_turn(&mut self) -> bool {
        let turns = &mut self.priorities.turns;
        if self.writable.is_empty() {
            turns.over();
            return false;
        }
        let writable = &self.writable;
        let next = turns.next(|slot| writable.contains(&slot));
        let Some(slot) = next.or_else(|| writable.first().copied()) else {
            return false;
        };
        self.writable.retain(|writable| *writable != slot);
        let flushed = self.flush(slot);
        if let Some(stream) = self.streams.at(slot) {
            stream.wake();
            if !stream.started && flushed != Flushed::Blocked {
                self.forget(slot);
            }
        }
        true
    }

    /// The response is whole: the client may stop with the rest of its request, which nobody reads (RFC 9114 §4.1.1).
    fn stop_request(&mut self, slot: u32) -> Result<(), Violation> {
        if self
            .streams
            .live(slot)
            .is_some_and(|stream| stream.body.is_empty())
        {
            // It may have ended without anybody having looked.
            self.read_request(slot)?;
        }
        let stream = self.streams.live(slot);
        let Some(id) = stream
            .filter(|stream| !stream.request_ended)
            .map(|stream| stream.id)
        else {
            return Ok(());
        };
        // The end may have come together with what was not read.
        let _ = self
            .quic
            .borrow_mut()
            .recv_stream(id)
            .stop(Code::NoError.into());
        Ok(self.budget.reset()?)
    }
}
