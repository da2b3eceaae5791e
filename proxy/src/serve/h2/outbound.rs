//! Responses: what the wires of the streams ask for, and the credit for what they consumed.

use std::task::{Context, Poll};

use openclaw_core::message::{Fault, Field, Request, ResponseHead, Version};

use super::connection::Connection;
use super::frame::{self, Code};
use super::hpack::encode;
use super::settings::Peer;
use super::stream::Own;
use crate::exchange::wire::WireError;
use crate::serve::compression;
use crate::serve::multiplexed::{self, Cut, Failure, Response, Streams, of_response};

/// Payload of a full DATA frame: with its head it fills one TLS record.
const MAX_DATA: usize = frame::MAX_PAYLOAD - frame::HEAD;

/// A response of which, as long as nothing of it is written, the client need not know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unsent {
    slot: u32,
    /// Where it begins in all that the connection has sent, and where what is there of it ends.
    begin: u64,
    end: u64,
    /// What it has taken of the windows.
    payload: usize,
    /// What the client was owed of its table before.
    table: (bool, bool),
}

impl multiplexed::Connection for Connection {
    const VERSION: Version = Version::H2;
    type Id = u32;
    type Own = Own;

    fn streams(&mut self) -> &mut Streams<u32, Own> {
        &mut self.streams
    }

    fn blame(&mut self) {
        if let Err(spent) = self.budget.reset() {
            self.fail(spent.into());
        }
    }

    fn refuse(&mut self, slot: u32, fault: Fault) {
        if let Err(violation) = self.stream_error(slot, Code::Protocol, Cut::Fault(fault)) {
            self.fail(violation);
        }
    }

    fn begin(&mut self, slot: u32, request: Option<&Request<'_>>) {
        self.prioritise_new(slot, request);
    }

    /// Payload comes as the client sends it, up to its windows.
    fn pump(&mut self, _slot: u32) {}

    fn consumed(&mut self, slot: u32, count: usize) {
        if let Some(stream) = self.streams.at(slot) {
            let count = count.min(stream.own.held);
            stream.own.held -= count;
            self.credit(slot, count);
        }
    }

    fn respond(&mut self, slot: u32, head: &ResponseHead<'_>, interim: bool) {
        let Some(stream) = self.streams.at(slot) else {
            return;
        };
        let Some(announced) = stream.announce(head, interim) else {
            return;
        };
        let begin = self.output.position();
        let peer = &mut self.peer;
        let table = (peer.owes_size_update, peer.table_closed);
        frame::headers(self.output.frames(), stream.id, announced.ends, |out| {
            confirm_table(peer, out);
            encode::status(out, head.status);
            compression::fields(out, head.fields, encode::field);
            if let Some(length) = announced.length {
                encode::content_length(out, length);
            }
        });
        let may_break = !(interim || announced.ends || stream.is_tunnel);
        self.unsent = may_break.then(|| Unsent {
            slot,
            begin,
            end: self.output.position(),
            payload: 0,
            table,
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
        let window = stream.own.outbound.available();
        if window == 0 {
            stream.register(cx);
            return Poll::Pending;
        }
        let room = self.outbound.available().min(self.output.room());
        let turns = &mut self.priorities.turns;
        let allowed = room.min(turns.allowance(slot, stream.own.place));
        let count = payload.len().min(window).min(allowed);
        if count == 0 {
            stream.register(cx);
            turns.wait(slot, stream.own.place);
            return Poll::Pending;
        }
        turns.take(slot, count);
        stream.own.outbound.spend(count);
        let (id, ends) = (stream.id, stream.sent(count));
        let before = self.output.position();
        let mut rest = payload.get(..count).unwrap_or_default();
        while rest.len() > MAX_DATA {
            let (part, tail) = rest.split_at(MAX_DATA);
            frame::data(self.output.frames(), id, part, false);
            rest = tail;
        }
        frame::data(self.output.frames(), id, rest, ends);
        self.outbound.spend(count);
        self.updates.earn(count);
        let unsent = self.unsent.as_mut();
        if let Some(unsent) = unsent.filter(|unsent| (unsent.slot, unsent.end) == (slot, before)) {
            unsent.end = self.output.position();
            unsent.payload += count;
        }
        if ends {
            self.unsent = None;
            self.budget.answered();
        }
        Poll::Ready(Ok(count))
    }

    fn finish(&mut self, slot: u32, trailers: &[Field<'_>]) {
        let Some(id) = self.streams.at(slot).map(|stream| stream.id) else {
            return;
        };
        if trailers.is_empty() {
            frame::data(self.output.frames(), id, &[], true);
        } else {
            let peer = &mut self.peer;
            frame::headers(self.output.frames(), id, true, |out| {
                confirm_table(peer, out);
                compression::fields(out, trailers, encode::field);
            });
        }
        self.budget.answered();
    }

    fn poll_flush(&mut self, slot: u32, cx: &Context<'_>) -> Poll<Result<(), WireError>> {
        if self.output.room() == 0 {
            self.park(slot, cx);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// Only what is still the last of the output, all of it: what stands behind it belongs to others.
    fn take_back(&mut self, slot: u32) -> bool {
        let Some(unsent) = self.unsent.take() else {
            return false;
        };
        let is_last = (unsent.slot, unsent.end) == (slot, self.output.position());
        let Some(stream) = self.streams.live(slot).filter(|_| is_last) else {
            return false;
        };
        if !self.output.cut_back(unsent.begin) {
            return false;
        }
        stream.take_back();
        stream.own.outbound.refund(unsent.payload);
        self.outbound.refund(unsent.payload);
        (self.peer.owes_size_update, self.peer.table_closed) = unsent.table;
        true
    }

    fn abort(&mut self, slot: u32, failure: Failure) {
        let Some(stream) = self.streams.at(slot) else {
            return;
        };
        if stream.response == Response::Ended && stream.request_ended {
            return;
        }
        let code = match failure {
            Failure::Cancelled => Code::Cancel,
            Failure::Internal => Code::Internal,
        };
        let id = stream.id;
        self.send_reset(id, code);
    }

    fn release(&mut self, slot: u32) {
        let Some(stream) = self.forget(slot) else {
            return;
        };
        self.credit_connection(stream.own.held);
        if !stream.is_live() {
            return;
        }
        if stream.response != Response::Ended {
            self.send_reset(stream.id, Code::Internal);
        } else if !stream.request_ended {
            self.bid_farewell(stream.id);
            self.blame();
        }
    }
}

impl Connection {
    /// Gives the client room for so many octets more, on the stream and on the connection.
    pub(super) fn credit(&mut self, slot: u32, count: usize) {
        if let Some(stream) = self.streams.at(slot)
            && let Some(increment) = stream.own.inbound.release(count)
            && stream.is_live()
            && !stream.request_ended
        {
            let id = stream.id;
            let increment = increment + self.grow(slot);
            frame::window_update(self.output.frames(), id, increment);
        }
        self.credit_connection(count);
    }

    pub(super) fn credit_connection(&mut self, count: usize) {
        if let Some(increment) = self.inbound.release(count) {
            frame::window_update(self.output.frames(), 0, increment);
        }
    }

    /// Whose turn it is has room in the output as well.
    fn park(&mut self, slot: u32, cx: &Context<'_>) {
        let waits = self.priorities.turns.waits(slot);
        if let Some(stream) = self.streams.at(slot) {
            stream.register(cx);
            if !stream.own.parked && !waits {
                stream.own.parked = true;
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
