//! The state of one connection, shared by its driver and the wires of its streams.
//!
//! Here are the streams as a whole, our control stream and the end. Requests that come in are in `request` and `inbound`, responses that
//! go out in `outbound`, the client's other streams in `unidirectional`; all are further methods of [`State`].
//!
//! QUIC is borrowed for one call at a time and never while anything is called that might borrow it again.

use openclaw_core::message::Priority;
use openclaw_core::turns::Place;
use quinn_proto::{Dir, StreamId, VarInt, WriteError};

use super::code::{Code, Violation};
use super::control::Control;
use super::face::Quic;
use super::qpack::Decoder;
use super::stream::Own;
use super::unidirectional::Unidirectional;
use super::{frame, settings};
use crate::serve::multiplexed::{Budget, Limits, Priorities, Stream, Streams};

/// The largest id of a request stream: that of the first of two GOAWAY frames (RFC 9114 §5.2).
const ANY_STREAM: u64 = (1 << 62) - 4;
/// The type of our control stream, which is its first octet.
const CONTROL: u8 = 0;

pub(super) const STOPPED_CONTROL: Violation = Violation::new(
    Code::ClosedCriticalStream,
    "the client has stopped our control stream",
);

/// How far the connection is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Serving,
    /// The first GOAWAY is out; streams that the client opened before it sees it are still served.
    Draining,
    /// The second GOAWAY is out: no new streams.
    Leaving,
    Ended(Option<Violation>),
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) quic: Quic,
    pub(super) limits: Limits,
    pub(super) life: Life,
    pub(super) decoder: Decoder,
    pub(super) budget: Budget,
    pub(super) streams: Streams<StreamId, Own>,
    /// Streams whose head has not come whole, ascending.
    pub(super) headless: Vec<StreamId>,
    /// The id that the client's next request stream will have.
    pub(super) accepted: u64,
    /// The id that the second GOAWAY named.
    pub(super) refused_from: u64,
    pub(super) control: Control,
    pub(super) unidirectional: Vec<Unidirectional>,
    /// Which of the streams there may be one of the client has opened.
    pub(super) roles: u8,
    pub(super) priorities: Priorities,
    /// Streams that QUIC has room for again.
    pub(super) writable: Vec<u32>,
    our_control: Option<StreamId>,
    /// What our control stream is still to say.
    to_say: Vec<u8>,
    /// Requests in all: they tell one wait from the next.
    pub(super) requests: u64,
}

impl State {
    pub(super) fn new(quic: Quic, limits: Limits) -> Self {
        let mut to_say = vec![CONTROL];
        settings::write(&mut to_say, limits);
        let mut state = Self {
            quic,
            limits,
            life: Life::Serving,
            decoder: Decoder::default(),
            budget: Budget::new(),
            streams: Streams::new(),
            headless: Vec::new(),
            accepted: 0,
            refused_from: u64::MAX,
            control: Control::default(),
            unidirectional: Vec::new(),
            roles: 0,
            priorities: Priorities::default(),
            writable: Vec::new(),
            our_control: None,
            to_say,
            requests: 0,
        };
        state.say();
        state
    }

    /// Puts into our control stream what waits for it. A client that gives it no room is not told, and loses nothing else by that.
    pub(super) fn say(&mut self) {
        if self.to_say.is_empty() {
            return;
        }
        let mut quic = self.quic.borrow_mut();
        if self.our_control.is_none() {
            self.our_control = quic.streams().open(Dir::Uni);
            if let Some(id) = self.our_control {
                // It was opened just now, so it is not closed.
                let _ = quic.send_stream(id).set_priority(i32::MAX);
            }
        }
        let Some(id) = self.our_control else {
            return;
        };
        match quic.send_stream(id).write(&self.to_say) {
            Ok(count) => {
                self.to_say.drain(..count.min(self.to_say.len()));
            }
            Err(WriteError::Blocked) => {}
            Err(WriteError::Stopped(_) | WriteError::ClosedStream) => {
                drop(quic);
                self.fail(STOPPED_CONTROL);
            }
        }
    }

    /// Whether this is our control stream.
    pub(super) fn is_our_control(&self, id: StreamId) -> bool {
        self.our_control == Some(id)
    }

    /// How many streams have something that the client has not confirmed, our own left out.
    pub(super) fn unconfirmed(&self) -> usize {
        let ours = usize::from(self.our_control.is_some());
        let all = self.quic.borrow_mut().streams().send_streams();
        all.saturating_sub(ours)
    }

    /// Begins the graceful end: the client learns that it should send its next requests elsewhere.
    pub(super) fn drain(&mut self) {
        if self.life == Life::Serving {
            self.life = Life::Draining;
            frame::number(&mut self.to_say, frame::GOAWAY, ANY_STREAM);
            self.say();
        }
    }

    /// Takes no new streams; those that run are finished.
    pub(super) fn leave(&mut self) {
        if matches!(self.life, Life::Serving | Life::Draining) {
            self.life = Life::Leaving;
            self.refused_from = self.accepted;
            frame::number(&mut self.to_say, frame::GOAWAY, self.accepted);
            self.say();
        }
    }

    /// Ends the connection because of the client.
    pub(super) fn fail(&mut self, violation: Violation) {
        self.end(Some(violation));
    }

    /// Ends the connection. All streams are cut.
    pub(super) fn end(&mut self, violation: Option<Violation>) {
        if !self.is_ended() {
            self.life = Life::Ended(violation);
            self.cut_all();
        }
    }

    /// The connection is over.
    pub(super) fn cut_all(&mut self) {
        self.streams.cut_all();
        self.headless = Vec::new();
    }

    pub(super) fn is_ended(&self) -> bool {
        matches!(self.life, Life::Ended(_))
    }

    /// Gives a new stream a slot.
    pub(super) fn keep(&mut self, id: StreamId) -> u32 {
        self.headless.push(id);
        self.streams.keep(Stream::new(id, false, Own::new()))
    }

    /// Frees a stream's slot.
    pub(super) fn forget(&mut self, slot: u32) {
        if let Some(stream) = self.streams.forget(slot) {
            self.has_head(stream.id);
            self.priorities.turns.leave(slot);
            self.writable.retain(|writable| *writable != slot);
        }
    }

    /// The head of that stream need not be waited for any more.
    pub(super) fn has_head(&mut self, id: StreamId) {
        if let Ok(at) = self.headless.binary_search(&id) {
            self.headless.remove(at);
        }
    }

    /// Ends both directions of a stream before their time. What has ended already stays as it is.
    pub(super) fn send_reset(&mut self, id: StreamId, code: Code) {
        let mut quic = self.quic.borrow_mut();
        let _ = quic.send_stream(id).reset(code.into());
        let _ = quic.recv_stream(id).stop(code.into());
    }

    /// What comes first (RFC 9218 §4.1).
    pub(super) fn prioritise(&mut self, slot: u32, priority: Priority) {
        if let Some(stream) = self.streams.at(slot) {
            let (id, place) = (stream.id, Place::new(priority, stream.id.index()));
            stream.own.place = place;
            self.priorities.turns.moved(slot, place);
            // A response that is over has no use for it.
            let rank = place.rank();
            let _ = self.quic.borrow_mut().send_stream(id).set_priority(rank);
        }
    }

    /// Gives memory back that an idle connection does not need.
    pub(super) fn shrink(&mut self) {
        self.streams.shrink();
        if self.headless.is_empty() {
            self.headless = Vec::new();
        }
    }
}

/// The id as the wire has it.
pub(super) fn number(id: StreamId) -> u64 {
    VarInt::from(id).into_inner()
}
