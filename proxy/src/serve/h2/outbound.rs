//! Responses: what the wires of the streams ask for, and the credit for what they consumed.

use std::task::{Context, Poll};

use openclaw_core::message::{Field, ResponseBody, ResponseHead};
use openclaw_core::reason::Reason;

use super::connection::Connection;
use super::frame::{self, Code};
use super::hpack::encode;
use super::settings::Peer;
use super::stream::{Cut, Response, Stream};
use crate::exchange::wire::WireError;

/// Payload of a full DATA frame: with its head it fills one TLS record.
const MAX_DATA: usize = frame::MAX_PAYLOAD - frame::HEAD;

impl Connection {
    /// Queues a response head, or an interim one.
    pub(super) fn respond(&mut self, slot: u32, head: &ResponseHead<'_>, interim: bool) {
        let Some(stream) = self.streams.get_mut(slot as usize) else {
            return;
        };
        if !stream.is_live() || stream.response != Response::Awaited {
            return;
        }
        let (length, ends) = match head.body {
            ResponseBody::None { declared } => (declared, !interim),
            ResponseBody::Length(length) => (Some(length), length == 0),
            ResponseBody::Chunked | ResponseBody::UntilClose | ResponseBody::Tunnel => {
                (None, false)
            }
        };
        let peer = &mut self.peer;
        frame::headers(self.output.frames(), stream.id, ends, |out| {
            confirm_table(peer, out);
            encode::status(out, head.status);
            fields(out, head.fields);
            if let Some(length) = length {
                encode::content_length(out, length);
            }
        });
        if ends {
            self.response_ended(slot);
        } else if !interim {
            stream.response = Response::Streaming(length);
            stream.is_tunnel = head.body == ResponseBody::Tunnel;
        }
    }

    /// Takes as much payload as windows and output have room for.
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
        let wanted = payload
            .len()
            .min(left.map_or(usize::MAX, |left| left as usize));
        if wanted < payload.len() {
            // More than was declared: the client must not take it for a whole response.
            self.abort(slot, Reason::UpstreamBadResponse);
            return Poll::Ready(Err(WireError::Gone));
        }
        let id = stream.id;
        let window = stream.outbound.available();
        if window == 0 {
            stream.register(cx);
            return Poll::Pending;
        }
        let room = self.outbound.available().min(self.output.room());
        let count = wanted.min(window).min(room);
        if count == 0 {
            self.park(slot, cx);
            return Poll::Pending;
        }
        let ends = left == Some(count as u64);
        let mut rest = payload.get(..count).unwrap_or_default();
        while rest.len() > MAX_DATA {
            let (part, tail) = rest.split_at(MAX_DATA);
            frame::data(self.output.frames(), id, part, false);
            rest = tail;
        }
        frame::data(self.output.frames(), id, rest, ends);
        self.outbound.spend(count);
        self.budget.sent(count);
        if let Some(stream) = self.stream(slot) {
            stream.outbound.spend(count);
            stream.response = Response::Streaming(left.map(|left| left - count as u64));
        }
        if ends {
            self.response_ended(slot);
        }
        Poll::Ready(Ok(count))
    }

    /// Queues the end of a response.
    pub(super) fn finish(&mut self, slot: u32, trailers: &[Field<'_>]) {
        let Some(stream) = self.live(slot) else {
            return;
        };
        let id = stream.id;
        match stream.response {
            Response::Ended => return,
            Response::Awaited | Response::Streaming(Some(1..)) => {
                self.abort(slot, Reason::UpstreamReset);
                return;
            }
            Response::Streaming(_) => {}
        }
        if trailers.is_empty() {
            frame::data(self.output.frames(), id, &[], true);
        } else {
            let peer = &mut self.peer;
            frame::headers(self.output.frames(), id, true, |out| {
                confirm_table(peer, out);
                fields(out, trailers);
            });
        }
        self.response_ended(slot);
    }

    /// Ready unless so much is queued that nothing should be added.
    pub(super) fn poll_flush(
        &mut self,
        slot: u32,
        cx: &Context<'_>,
    ) -> Poll<Result<(), WireError>> {
        if self.live(slot).is_none() {
            return Poll::Ready(Err(WireError::Gone));
        }
        if self.output.room() == 0 {
            self.park(slot, cx);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// Cuts a response short in a way that the client sees.
    pub(super) fn abort(&mut self, slot: u32, reason: Reason) {
        let Some(stream) = self.live(slot) else {
            return;
        };
        stream.cut = Cut::Aborted;
        let id = stream.id;
        if stream.response == Response::Ended && stream.request_ended {
            return;
        }
        // A reset of the endpoint's connection is passed on as one of the stream (RFC 8441 §5).
        let code = if reason == Reason::ClientAborted || stream.is_tunnel {
            Code::Cancel
        } else {
            Code::Internal
        };
        self.send_reset(id, code);
    }

    /// The exchange has dropped its wire: the stream is over.
    pub(super) fn release(&mut self, slot: u32) {
        let Some(stream) = self.forget(slot) else {
            return;
        };
        self.credit_connection(stream.held);
        if !stream.is_live() {
            return;
        }
        if stream.response != Response::Ended {
            self.send_reset(stream.id, Code::Internal);
        } else if !stream.request_ended {
            self.bid_farewell(stream.id);
            if let Err(violation) = self.budget.reset() {
                self.fail(violation);
            }
        }
    }

    /// The wire has consumed payload.
    pub(super) fn consumed(&mut self, slot: u32, count: usize) {
        if let Some(stream) = self.stream(slot) {
            let count = count.min(stream.held);
            stream.held -= count;
            self.credit(slot, count);
        }
    }

    /// Gives the client room for so many octets more, on the stream and on the connection.
    pub(super) fn credit(&mut self, slot: u32, count: usize) {
        if let Some(stream) = self.streams.get_mut(slot as usize)
            && let Some(increment) = stream.inbound.release(count)
            && stream.is_live()
            && !stream.request_ended
        {
            frame::window_update(self.output.frames(), stream.id, increment);
        }
        self.credit_connection(count);
    }

    pub(super) fn credit_connection(&mut self, count: usize) {
        if let Some(increment) = self.inbound.release(count) {
            frame::window_update(self.output.frames(), 0, increment);
        }
    }

    fn live(&mut self, slot: u32) -> Option<&mut Stream> {
        self.streams
            .get_mut(slot as usize)
            .filter(|stream| stream.is_live())
    }

    fn response_ended(&mut self, slot: u32) {
        if let Some(stream) = self.stream(slot) {
            stream.response = Response::Ended;
        }
        self.budget.answered();
    }

    fn park(&mut self, slot: u32, cx: &Context<'_>) {
        if let Some(stream) = self.streams.get_mut(slot as usize) {
            stream.register(cx);
            if !stream.parked {
                stream.parked = true;
                self.parked.push_back(slot);
            }
        }
    }
}

/// Begins a block with the size update that the peer waits for.
fn confirm_table(peer: &mut Peer, out: &mut Vec<u8>) {
    if peer.owes_size_update {
        (peer.owes_size_update, peer.table_closed) = (false, true);
        encode::no_table(out);
    }
}

/// Fields that speak about a connection have no place in HTTP/2 (RFC 9113 §8.2.2).
fn fields(out: &mut Vec<u8>, fields: &[Field<'_>]) {
    for field in fields {
        if !field.kind.is_hop_by_hop() {
            encode::field(out, field.name, field.value);
        }
    }
}
