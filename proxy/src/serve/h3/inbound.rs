//! What QUIC tells of streams, and how requests begin and are cut.

use openclaw_core::message::{Fault, Framing, Priority, Request as Head};
use quinn_proto::{Dir, StreamEvent, StreamId};

use super::code::{Code, Violation};
use super::connection::{Arrival, Life, STOPPED_CONTROL, State, number};
use super::request::WRONG_LENGTH;
use super::stream::{Cut, Request, Response, Stream};
use super::unidirectional::Unidirectional;
use crate::serve::h2::spare;

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
            let slot = self.keep(Stream::new(id));
            self.pump(slot)?;
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
        let Some(slot) = self.slot(number(id)) else {
            return Ok(());
        };
        let Some(stream) = self.live(slot) else {
            return Ok(());
        };
        if !stream.started {
            return self.pump(slot);
        }
        let reset = self.quic.borrow_mut().recv_stream(id).received_reset();
        if matches!(reset, Ok(Some(_))) {
            return self.request_reset(slot);
        }
        if let Some(stream) = self.stream(slot) {
            stream.wake();
        }
        Ok(())
    }

    /// The client has cancelled its request, or sends no more of one that is answered. A tunnel that is torn must not look as if it
    /// had ended, though what the endpoint said last may still arrive.
    pub(super) fn request_reset(&mut self, slot: u32) -> Result<(), Violation> {
        let tunnel = match self.stream(slot) {
            Some(stream) if stream.is_tunnel && stream.response == Response::Finished => true,
            Some(stream) if !stream.is_tunnel && stream.is_answered() => {
                stream.request = Request::Ended;
                return self.budget.glitch();
            }
            _ => false,
        };
        if tunnel {
            self.cut(slot, Cut::Gone);
            return self.budget.reset();
        }
        self.stream_error(slot, Code::RequestCancelled, Cut::Gone)
    }

    /// The client does not want the response, or not the rest of it.
    fn stopped(&mut self, id: StreamId) -> Result<(), Violation> {
        let slot = self.slot(number(id));
        let live = slot.filter(|slot| self.live(*slot).is_some());
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
        if let Some(id) = self.stream(slot).map(|stream| stream.id) {
            self.send_reset(id, code);
            self.cut(slot, cut);
        }
        self.budget.reset()
    }

    /// The stream is over before its time. One with an exchange keeps its slot until the exchange has let go of its endpoint.
    fn cut(&mut self, slot: u32, cut: Cut) {
        let Some(stream) = self.streams.get_mut(slot as usize) else {
            return;
        };
        if stream.started {
            stream.cut = cut;
            stream.wake();
            self.has_cut = true;
            return;
        }
        self.forget(slot);
        let at = self
            .arrivals
            .iter()
            .position(|arrival| arrival.slot == slot);
        if let Some(arrival) = at.and_then(|at| self.arrivals.remove(at)) {
            spare::give_list(arrival.list);
        }
    }

    /// The next request to begin with, after all events of a turn were taken in.
    pub(super) fn next_arrival(&mut self) -> Option<Arrival> {
        self.arrivals.pop_front()
    }

    /// Whether the request of that stream is known to have nothing behind its head.
    pub(super) fn has_only_head(&mut self, slot: u32) -> bool {
        self.stream(slot).is_some_and(|stream| {
            stream.request == Request::Ended && stream.received == 0 && stream.trailers.is_empty()
        })
    }

    /// Decides whether an arrival becomes an exchange. A malformed request is an error of the stream (RFC 9114 §4.1.2); other faults are
    /// answered.
    pub(super) fn admit(
        &mut self,
        slot: u32,
        request: &Result<Head<'_>, Fault>,
    ) -> Result<StreamId, Fault> {
        let Some(stream) = self.streams.get_mut(slot as usize) else {
            return Err(Fault::malformed("a stream that is gone"));
        };
        let fault = match request {
            Ok(request) => {
                if let Framing::Length(length) = request.framing {
                    stream.declared = Some(length);
                }
                (!stream.fits_declared()).then_some(WRONG_LENGTH)
            }
            Err(fault) => Some(*fault).filter(|fault| fault.status == 400),
        };
        if let Some(fault) = fault {
            if let Err(violation) = self.stream_error(slot, Code::MessageError, Cut::Fault(fault)) {
                self.fail(violation);
            }
            return Err(fault);
        }
        stream.started = true;
        let id = stream.id;
        let said = request
            .as_ref()
            .ok()
            .and_then(|head| head.field(b"priority"));
        self.prioritise_new(slot, number(id), said.and_then(Priority::parse));
        Ok(id)
    }

    /// What a `PRIORITY_UPDATE` has said goes before the field of the request (RFC 9218 §7).
    fn prioritise_new(&mut self, slot: u32, id: u64, said: Option<Priority>) {
        let early = self
            .early_priorities
            .iter()
            .rposition(|(stream, _)| *stream == id)
            .map(|at| self.early_priorities.remove(at).1);
        if let Some(priority) = early.or(said) {
            self.prioritise(slot, priority);
        }
    }
}
