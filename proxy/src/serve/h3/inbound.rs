//! What QUIC tells of streams, and how requests begin and are cut.

use openclaw_core::message::Request;
use quinn_proto::{Dir, StreamEvent, StreamId};

use super::code::{Code, Violation};
use super::connection::{Life, STOPPED_CONTROL, State, number};
use super::unidirectional::Unidirectional;
use crate::serve::multiplexed::{Cut, Response};

impl State {
    pub(super) fn event(&mut self, event: &StreamEvent) {
        if self.is_ended() {
            return;
        }
        let taken = match *event {
            StreamEvent::Opened { dir: Dir::Bi } => self.accept(),
            StreamEvent::Opened { dir: Dir::Uni } => self.accept_unidirectional(),
            StreamEvent::Readable { id } if id.dir() == Dir::Uni => self.read_unidirectional(id),
            StreamEvent::Readable { id } => self.readable(id),
            StreamEvent::Writable { id } if self.is_our_control(id) => {
                self.say();
                Ok(())
            }
            StreamEvent::Stopped { id, .. } if self.is_our_control(id) => Err(STOPPED_CONTROL),
            StreamEvent::Writable { id } => {
                self.writable(id);
                Ok(())
            }
            StreamEvent::Stopped { id, .. } => self.stopped(id),
            StreamEvent::Available { dir: Dir::Uni } => {
                self.say();
                Ok(())
            }
            StreamEvent::Available { dir: Dir::Bi } | StreamEvent::Finished { .. } => Ok(()),
        };
        if let Err(violation) = taken {
            self.fail(violation);
        }
    }

    fn accept(&mut self) -> Result<(), Violation> {
        loop {
            let Some(id) = self.quic.borrow_mut().streams().accept(Dir::Bi) else {
                return Ok(());
            };
            let leaves = self.life == Life::Leaving && number(id) >= self.refused_from;
            self.accepted = number(id) + 4;
            // A stream that is over keeps its slot until the end of this turn, when its exchange is dropped; as many of these are
            // tolerated again.
            if leaves || self.streams.len() >= 2 * self.limits.max_streams {
                self.send_reset(id, Code::RequestRejected);
                self.budget.reset()?;
                continue;
            }
            let slot = self.keep(id);
            self.read_request(slot)?;
        }
    }

    fn accept_unidirectional(&mut self) -> Result<(), Violation> {
        loop {
            let Some(id) = self.quic.borrow_mut().streams().accept(Dir::Uni) else {
                return Ok(());
            };
            self.unidirectional.push(Unidirectional::new(id));
            self.read_unidirectional(id)?;
        }
    }

    /// Heads are read at once. Payload waits for its exchange, which must learn at once that there will be no more.
    fn readable(&mut self, id: StreamId) -> Result<(), Violation> {
        let slot = self.streams.slot(id);
        let live = slot.and_then(|slot| Some((slot, self.streams.live(slot)?)));
        let Some((slot, stream)) = live else {
            return Ok(());
        };
        if !stream.started {
            return self.read_request(slot);
        }
        let reset = self.quic.borrow_mut().recv_stream(id).received_reset();
        if matches!(reset, Ok(Some(_))) {
            return self.request_reset(slot);
        }
        if let Some(stream) = self.streams.at(slot) {
            stream.wake();
        }
        Ok(())
    }

    /// The client has cancelled its request, or sends no more of one that is answered. A tunnel that is torn must not look as if it
    /// had ended, though what the endpoint said last may still arrive.
    pub(super) fn request_reset(&mut self, slot: u32) -> Result<(), Violation> {
        let tunnel = match self.streams.at(slot) {
            Some(stream) if stream.is_tunnel && stream.own.finished => true,
            Some(stream) if !stream.is_tunnel && stream.response == Response::Ended => {
                stream.request_ended = true;
                return Ok(self.budget.glitch(1)?);
            }
            _ => false,
        };
        if tunnel {
            self.cut(slot, Cut::Gone);
            return Ok(self.budget.reset()?);
        }
        self.stream_error(slot, Code::RequestCancelled, Cut::Gone)
    }

    /// The client does not want the response, or not the rest of it.
    fn stopped(&mut self, id: StreamId) -> Result<(), Violation> {
        let slot = self.streams.slot(id);
        let live = slot.filter(|slot| self.streams.live(*slot).is_some());
        if let Some(slot) = live {
            return self.stream_error(slot, Code::RequestCancelled, Cut::Gone);
        }
        // QUIC asks for it where it has not happened yet (RFC 9000 §3.5).
        let code = Code::RequestCancelled.into();
        let _ = self.quic.borrow_mut().send_stream(id).reset(code);
        Ok(())
    }

    /// Resets a stream because of the client (RFC 9114 §8).
    pub(super) fn stream_error(
        &mut self,
        slot: u32,
        code: Code,
        cut: Cut,
    ) -> Result<(), Violation> {
        if let Some(id) = self.streams.at(slot).map(|stream| stream.id) {
            self.send_reset(id, code);
            self.cut(slot, cut);
        }
        Ok(self.budget.reset()?)
    }

    /// The stream is over before its time.
    fn cut(&mut self, slot: u32, cut: Cut) {
        if let Some(stream) = self.streams.cut(slot, cut) {
            self.has_head(stream.id);
        }
    }

    /// What a `PRIORITY_UPDATE` has said goes before the field of the request (RFC 9218 §7).
    pub(super) fn prioritise_new(&mut self, slot: u32, request: Option<&Request<'_>>) {
        let Some(id) = self.streams.at(slot).map(|stream| number(stream.id)) else {
            return;
        };
        let said = request.and_then(|request| request.field(b"priority"));
        let priority = self.priorities.of_request(id, said);
        self.prioritise(slot, priority);
    }
}
