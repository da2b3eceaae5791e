//! One connection without its socket: octets in, new requests and octets out.
//!
//! Here are the frames of the connection itself, its settings, its end, and the order of things. Requests that come in
//! are in `inbound`, responses that go out in `outbound`; both are further methods of [`Connection`].

use std::collections::VecDeque;

use openclaw_core::message::HeaderList;

use super::budget::{Updates, dribbles};
use super::farewell::{self, Farewell};
use super::flow::{CONNECTION_WINDOW, Inbound, Outbound, STREAM_WINDOW};
use super::frame::{self, Code, Frame, PREFACE, Violation};
use super::growth::{self, Growth};
use super::hpack::Decoder;
use super::outbound::Unsent;
use super::output::Output;
use super::settings::{self, Peer};
use super::stream::Own;
use crate::serve::multiplexed::{Budget, Limits, Priorities, Stream, Streams};

/// How many streams that we reset are remembered, so that frames under way to them do no harm.
const FORGOTTEN: usize = 256;
/// The stream id of the first of two GOAWAY frames (RFC 9113 §6.8).
const ANY_STREAM: u32 = 0x7fff_ffff;
/// Marks the PING whose answer tells that the client has seen the first GOAWAY.
const DRAIN_PING: [u8; 8] = *b"draining";
/// Marks the PING that a client is to answer if it is still there.
const LIFE_PING: [u8; 8] = *b"anybody?";

/// How far the client's preface is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Magic,
    Settings,
    Done,
}

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

/// A header block that CONTINUATION frames go on with.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenBlock {
    pub stream: u32,
    pub ends_stream: bool,
}

/// The state of one connection, shared by the driver and the wires of its streams.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) limits: Limits,
    start: Start,
    pub(super) life: Life,
    pub(super) decoder: Decoder,
    pub(super) peer: Peer,
    pub(super) budget: Budget,
    pub(super) updates: Updates,
    pub(super) streams: Streams<u32, Own>,
    /// Trailers, and blocks that are decoded for the table's sake.
    pub(super) aside: HeaderList,
    pub(super) open_block: Option<OpenBlock>,
    pub(super) fragments: Vec<u8>,
    pub(super) inbound: Inbound,
    pub(super) outbound: Outbound,
    pub(super) growth: Growth,
    /// Streams that wait for the output alone; who waits to send is among `priorities.turns`.
    pub(super) parked: VecDeque<u32>,
    pub(super) priorities: Priorities,
    forgotten: VecDeque<u32>,
    pub(super) farewell: Farewell,
    /// The answer to a PING is owed.
    is_pinged: bool,
    /// The highest stream id that the client has used.
    pub(super) last: u32,
    /// The stream id of the last GOAWAY, which the next may not exceed (RFC 9113 §6.8).
    announced: u32,
    pub(super) output: Output,
    pub(super) unsent: Option<Unsent>,
    /// Header blocks and requests in all: they tell one wait from the next.
    pub(super) blocks: u64,
    pub(super) requests: u64,
}

impl Connection {
    /// Queues our preface at once; it does not wait for the client's.
    pub(super) fn new(limits: Limits) -> Self {
        let mut output = Output::default();
        frame::settings_frame(output.frames(), &settings::ours(limits));
        frame::window_update(output.frames(), 0, CONNECTION_WINDOW - STREAM_WINDOW);
        Self {
            limits,
            start: Start::Magic,
            life: Life::Serving,
            decoder: Decoder::new(),
            peer: Peer::new(),
            budget: Budget::new(),
            updates: Updates::new(),
            streams: Streams::new(),
            aside: HeaderList::default(),
            open_block: None,
            fragments: Vec::new(),
            inbound: Inbound::new(CONNECTION_WINDOW),
            outbound: Outbound::new(STREAM_WINDOW),
            growth: Growth::default(),
            parked: VecDeque::new(),
            priorities: Priorities::default(),
            forgotten: VecDeque::new(),
            farewell: Farewell::default(),
            is_pinged: false,
            last: 0,
            announced: ANY_STREAM,
            output,
            unsent: None,
            blocks: 0,
            requests: 0,
        }
    }

    /// Takes what was read and returns how much of it is done with; the rest is the beginning of a frame and must come
    /// again with what follows it.
    pub(super) fn receive(&mut self, input: &[u8]) -> usize {
        let mut used = 0;
        if self.start == Start::Magic {
            if input.starts_with(PREFACE) {
                self.start = Start::Settings;
                used = PREFACE.len();
            } else if PREFACE.starts_with(input) {
                return 0;
            } else {
                self.fail(Violation::protocol("no HTTP/2 preface"));
            }
        }
        while !self.is_ended() {
            match frame::parse(input.get(used..).unwrap_or_default()) {
                Ok(None) => return used,
                Ok(Some((frame, length))) => {
                    used += length;
                    if let Err(violation) = self.frame(frame) {
                        self.fail(violation);
                    }
                }
                Err(violation) => self.fail(violation),
            }
        }
        input.len()
    }

    fn frame(&mut self, frame: Frame<'_>) -> Result<(), Violation> {
        if self.start == Start::Settings && !matches!(frame, Frame::Settings { .. }) {
            return Err(Violation::protocol("the first frame is not SETTINGS"));
        }
        if self.open_block.is_some() && !matches!(frame, Frame::Continuation { .. }) {
            return Err(Violation::protocol("a frame inside a header block"));
        }
        match frame {
            Frame::Data {
                stream,
                payload,
                padding,
                ends,
            } => self.data(stream, payload, padding, ends),
            Frame::Headers {
                stream,
                fragment,
                ends_stream,
                ends_block,
            } => self.headers(
                OpenBlock {
                    stream,
                    ends_stream,
                },
                fragment,
                ends_block,
            ),
            Frame::Continuation {
                stream,
                fragment,
                ends_block,
            } => self.continuation(stream, fragment, ends_block),
            Frame::Reset { stream } => self.reset_received(stream),
            Frame::WindowUpdate {
                stream: 0,
                increment,
            } => self.connection_window(increment),
            Frame::WindowUpdate { stream, increment } => self.stream_window(stream, increment),
            Frame::Settings { entries } => self.settings(entries),
            Frame::Ping { opaque, ack: true } => self.pong(opaque),
            Frame::Ping { opaque, ack: false } => {
                self.budget.glitch(1)?;
                frame::ping(self.output.frames(), opaque, true);
                Ok(())
            }
            Frame::PriorityUpdate { stream, value } => self.priority_update(stream, value),
            Frame::GoAway => {
                self.leave();
                Ok(self.budget.glitch(1)?)
            }
            Frame::SettingsAck | Frame::Priority | Frame::Unknown => Ok(self.budget.glitch(1)?),
        }
    }

    fn settings(&mut self, entries: &[u8]) -> Result<(), Violation> {
        if self.start == Start::Settings {
            self.start = Start::Done;
        } else {
            self.budget.glitch(10)?;
        }
        let delta = self.peer.apply(entries)?;
        if self.peer.leaves_tree == Some(true) {
            self.priorities.known();
        }
        if delta != 0 {
            for stream in self.streams.all() {
                if !stream.own.outbound.shift(delta) {
                    return Err(Violation {
                        code: Code::FlowControl,
                        detail: "SETTINGS_INITIAL_WINDOW_SIZE overflows a window",
                    });
                }
                stream.wake();
            }
        }
        frame::settings_ack(self.output.frames());
        Ok(())
    }

    fn connection_window(&mut self, increment: u32) -> Result<(), Violation> {
        if increment == 0 {
            return Err(Violation::protocol("WINDOW_UPDATE of 0 on the connection"));
        }
        self.window_updated(dribbles(&self.outbound, increment))?;
        if !self.outbound.shift(i64::from(increment)) {
            return Err(Violation {
                code: Code::FlowControl,
                detail: "WINDOW_UPDATE overflows the window of the connection",
            });
        }
        Ok(())
    }

    fn pong(&mut self, opaque: [u8; 8]) -> Result<(), Violation> {
        if self.life == Life::Draining && opaque == DRAIN_PING {
            self.leave();
            return Ok(());
        }
        if opaque == LIFE_PING && std::mem::take(&mut self.is_pinged) {
            return Ok(());
        }
        if opaque == farewell::PING && self.farewell_heard() {
            return Ok(());
        }
        if opaque == growth::PING && self.sounding_heard() {
            return Ok(());
        }
        Ok(self.budget.glitch(1)?)
    }

    /// Asks whether the client is there.
    pub(super) fn ping(&mut self) {
        self.is_pinged = true;
        frame::ping(self.output.frames(), LIFE_PING, false);
    }

    /// Begins the graceful end: the client learns that it should open its next streams elsewhere.
    pub(super) fn drain(&mut self) {
        if self.life != Life::Serving {
            return;
        }
        self.life = Life::Draining;
        frame::goaway(self.output.frames(), ANY_STREAM, Code::NoError);
        frame::ping(self.output.frames(), DRAIN_PING, false);
    }

    /// Takes no new streams; those that run are finished.
    fn leave(&mut self) {
        if matches!(self.life, Life::Serving | Life::Draining) {
            self.life = Life::Leaving;
            self.goaway(Code::NoError);
        }
    }

    /// Ends the connection because of the client.
    pub(super) fn fail(&mut self, violation: Violation) {
        self.end(violation.code, Some(violation));
    }

    /// Ends the connection with a last frame. All streams are cut.
    pub(super) fn end(&mut self, code: Code, violation: Option<Violation>) {
        if self.is_ended() {
            return;
        }
        self.goaway(code);
        self.life = Life::Ended(violation);
        self.cut_all();
    }

    fn goaway(&mut self, code: Code) {
        self.announced = self.announced.min(self.last);
        frame::goaway(self.output.frames(), self.announced, code);
    }

    /// The client is gone, or the connection is over.
    pub(super) fn cut_all(&mut self) {
        self.streams.cut_all();
        self.open_block = None;
        self.fragments = Vec::new();
    }

    pub(super) fn is_ended(&self) -> bool {
        matches!(self.life, Life::Ended(_))
    }

    /// Whether the client's preface is still awaited.
    pub(super) fn is_starting(&self) -> bool {
        self.start != Start::Done
    }

    /// Frees a stream's slot.
    pub(super) fn forget(&mut self, slot: u32) -> Option<Stream<u32, Own>> {
        let stream = self.streams.forget(slot)?;
        if stream.own.parked {
            self.parked.retain(|parked| *parked != slot);
        }
        self.priorities.turns.leave(slot);
        self.growth.give_back(stream.own.inbound.size());
        Some(stream)
    }

    /// Sends `RST_STREAM` and remembers that frames for the stream may still be under way.
    pub(super) fn send_reset(&mut self, id: u32, code: Code) {
        frame::reset(self.output.frames(), id, code);
        self.remember(id);
    }

    /// From now on frames of the stream are ignored.
    pub(super) fn remember(&mut self, id: u32) {
        if self.forgotten.len() == FORGOTTEN {
            self.forgotten.pop_front();
        }
        self.forgotten.push_back(id);
    }

    pub(super) fn was_reset_by_us(&self, id: u32) -> bool {
        self.forgotten.contains(&id)
    }

    /// Wakes all streams that wait for the output, in the order in which they began to wait.
    fn unpark(&mut self) {
        while let Some(slot) = self.parked.pop_front() {
            if let Some(stream) = self.streams.at(slot) {
                stream.own.parked = false;
                stream.wake();
            }
        }
    }

    /// The socket took so many octets of the output.
    pub(super) fn wrote(&mut self, count: usize) {
        self.output.wrote(count);
        if self.output.room() > 0 {
            self.unpark();
        }
    }

    /// Gives memory back that an idle connection does not need.
    pub(super) fn shrink(&mut self) {
        self.output.release();
        self.aside = HeaderList::default();
        self.streams.shrink();
        if self.open_block.is_none() {
            self.fragments = Vec::new();
        }
    }
}
