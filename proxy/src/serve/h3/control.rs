//! The client's control stream (RFC 9114 §6.2.1): the order of its frames and what they may say.

use openclaw_core::message::Priority;

use super::code::{Code, Violation};
use super::frame::{self, Frames, Piece};
use super::{settings, varint};
use crate::serve::multiplexed::Budget;

/// No frame of this stream that we read needs more; SETTINGS that do are none that anybody means.
const MAX_PAYLOAD: usize = 1024;

/// How far the client's control stream is.
#[derive(Debug, Default)]
pub(super) struct Control {
    frames: Frames,
    kind: u64,
    payload: Vec<u8>,
    /// The payload is too long to be kept, and its frame is ignored.
    skips: bool,
    has_settings: bool,
    /// What the last GOAWAY and the last `MAX_PUSH_ID` said.
    goaway: Option<u64>,
    max_push: Option<u64>,
}

/// The client says how urgent a response is (RFC 9218 §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Update {
    pub stream: u64,
    pub priority: Priority,
}

impl Control {
    /// Takes what has come and collects priorities. `streams`: no client may name a stream from this id on.
    pub(super) fn take(
        &mut self,
        mut input: &[u8],
        streams: u64,
        budget: &mut Budget,
        updates: &mut Vec<Update>,
    ) -> Result<(), Violation> {
        while let Some(piece) = self.frames.next(&mut input) {
            match piece {
                Piece::Head { kind, length } => self.begin(kind, length, budget)?,
                Piece::Payload { octets, .. } if self.skips => {
                    if octets.len() >= MAX_PAYLOAD {
                        budget.glitch(1)?;
                    }
                }
                Piece::Payload { octets, is_last } => {
                    self.payload.extend_from_slice(octets);
                    if is_last {
                        let payload = std::mem::take(&mut self.payload);
                        updates.extend(self.end(&payload, streams, budget)?);
                    }
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, kind: u64, length: u64, budget: &mut Budget) -> Result<(), Violation> {
        if !self.has_settings && kind != frame::SETTINGS {
            return Err(Violation::new(
                Code::MissingSettings,
                "the control stream does not begin with SETTINGS",
            ));
        }
        self.kind = kind;
        self.skips = false;
        match kind {
            frame::SETTINGS if self.has_settings => {
                return Err(Violation::unexpected("SETTINGS twice"));
            }
            frame::SETTINGS if length > MAX_PAYLOAD as u64 => {
                return Err(Violation::new(
                    Code::ExcessiveLoad,
                    "more SETTINGS than there are",
                ));
            }
            frame::SETTINGS => self.has_settings = true,
            frame::CANCEL_PUSH | frame::GOAWAY | frame::MAX_PUSH_ID => {
                if length > 8 {
                    return Err(NOT_A_NUMBER);
                }
                budget.glitch(1)?;
            }
            frame::PRIORITY_UPDATE | frame::PRIORITY_UPDATE_PUSH => {
                self.skips = length > MAX_PAYLOAD as u64;
                budget.glitch(1)?;
            }
            frame::DATA | frame::HEADERS | frame::PUSH_PROMISE => {
                return Err(Violation::unexpected(
                    "a frame of requests on the control stream",
                ));
            }
            kind if frame::is_of_http2(kind) => {
                return Err(Violation::unexpected("a frame of HTTP/2"));
            }
            _ => {
                self.skips = true;
                budget.glitch(1)?;
            }
        }
        Ok(())
    }

    fn end(
        &mut self,
        payload: &[u8],
        streams: u64,
        budget: &mut Budget,
    ) -> Result<Option<Update>, Violation> {
        match self.kind {
            frame::SETTINGS => settings::check(payload)?,
            frame::GOAWAY => {
                let push = number(payload)?;
                if self.goaway.is_some_and(|last| push > last) {
                    return Err(id("GOAWAY with a larger id than the last"));
                }
                self.goaway = Some(push);
            }
            frame::MAX_PUSH_ID => {
                let push = number(payload)?;
                if self.max_push.is_some_and(|last| push < last) {
                    return Err(id("MAX_PUSH_ID smaller than the last"));
                }
                self.max_push = Some(push);
            }
            frame::CANCEL_PUSH => {
                number(payload)?;
                return Err(id("CANCEL_PUSH of what was never promised"));
            }
            frame::PRIORITY_UPDATE_PUSH => {
                first_number(payload)?;
                return Err(id("PRIORITY_UPDATE of what was never promised"));
            }
            _ => return priority_update(payload, streams, budget),
        }
        Ok(None)
    }
}

/// `PRIORITY_UPDATE` of a request (RFC 9218 §7.2); values that mean nothing leave the priority as it is.
fn priority_update(
    payload: &[u8],
    streams: u64,
    budget: &mut Budget,
) -> Result<Option<Update>, Violation> {
    let (stream, value) = first_number(payload)?;
    if stream % 4 != 0 || stream >= streams {
        return Err(id("PRIORITY_UPDATE of a stream that is no request's"));
    }
    let Some(priority) = Priority::parse(value) else {
        budget.glitch(1)?;
        return Ok(None);
    };
    Ok(Some(Update { stream, priority }))
}

const NOT_A_NUMBER: Violation =
    Violation::new(Code::FrameError, "a frame whose payload is not the one id");

fn id(detail: &'static str) -> Violation {
    Violation::new(Code::IdError, detail)
}

fn first_number(payload: &[u8]) -> Result<(u64, &[u8]), Violation> {
    let (number, used) = varint::read(payload).ok_or(NOT_A_NUMBER)?;
    Ok((number, payload.get(used..).unwrap_or_default()))
}

fn number(payload: &[u8]) -> Result<u64, Violation> {
    match first_number(payload)? {
        (number, []) => Ok(number),
        _ => Err(NOT_A_NUMBER),
    }
}
