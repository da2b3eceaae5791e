//! Reading a request stream: its frames, in their order, to a head, payload and trailers (RFC 9114 §4.1).

use std::rc::Rc;

use openclaw_core::message::{Fault, HeaderList};
use quinn_proto::ReadError;

use super::code::{Code, Violation};
use super::connection::State;
use super::frame::{self, Piece};
use super::stream::{Own, Part};
use crate::serve::compression::Decoded;
use crate::serve::multiplexed::{Arrival, Cut, WRONG_LENGTH, spare};

/// So much payload is taken from QUIC before an exchange takes it from us.
const READ_AHEAD: usize = 32 * 1024;
/// Room for a field section beyond what its decoded size may be.
const SECTION_SLACK: u64 = 16 * 1024;

/// Why reading stopped.
enum Read {
    /// There is nothing more for now, or enough for now.
    Paused,
    Ended,
    Reset,
    Fault(Fault),
}

impl State {
    /// Reads what the stream has, as far as there is room for payload.
    pub(super) fn read_request(&mut self, slot: u32) -> Result<(), Violation> {
        match self.read(slot)? {
            Read::Paused => Ok(()),
            Read::Ended => self.request_ended(slot),
            Read::Reset => self.request_reset(slot),
            Read::Fault(fault) => self.stream_error(slot, Code::MessageError, Cut::Fault(fault)),
        }
    }

    fn read(&mut self, slot: u32) -> Result<Read, Violation> {
        let quic = Rc::clone(&self.quic);
        let mut quic = quic.borrow_mut();
        let Some(stream) = self.streams.live(slot) else {
            return Ok(Read::Paused);
        };
        let mut receiving = quic.recv_stream(stream.id);
        let Ok(mut chunks) = receiving.read(true) else {
            return Ok(Read::Paused);
        };
        loop {
            let has_enough = self
                .streams
                .live(slot)
                .is_none_or(|stream| stream.body.len() >= READ_AHEAD);
            if has_enough {
                return Ok(Read::Paused);
            }
            match chunks.next(READ_AHEAD) {
                Ok(Some(chunk)) => {
                    if let Some(fault) = self.take(slot, &chunk.bytes)? {
                        return Ok(Read::Fault(fault));
                    }
                }
                Ok(None) => return Ok(Read::Ended),
                Err(ReadError::Blocked) => return Ok(Read::Paused),
                Err(ReadError::Reset(_)) => return Ok(Read::Reset),
            }
        }
    }

    /// Takes octets of the stream; a fault is one of the message.
    fn take(&mut self, slot: u32, mut input: &[u8]) -> Result<Option<Fault>, Violation> {
        let longest = self.limits.max_header as u64 + SECTION_SLACK;
        loop {
            let Some(stream) = self.streams.at(slot) else {
                return Ok(None);
            };
            let Some(piece) = stream.own.frames.next(&mut input) else {
                return Ok(None);
            };
            match piece {
                Piece::Head { kind, length } => {
                    stream.own.kind = kind;
                    begin(&stream.own, kind)?;
                    match kind {
                        frame::HEADERS => stream.own.oversize = length > longest,
                        frame::DATA => {
                            stream.received = stream.received.saturating_add(length);
                            if !stream.fits_declared() {
                                return Ok(Some(WRONG_LENGTH));
                            }
                            if length == 0 {
                                self.budget.glitch(1)?;
                            }
                        }
                        _ => self.budget.glitch(1)?,
                    }
                }
                Piece::Payload { octets, is_last } => {
                    if let Some(fault) = self.payload(slot, octets, is_last)? {
                        return Ok(Some(fault));
                    }
                }
            }
        }
    }

    /// Payload of a frame. A field section that comes in one piece is decoded where it lies.
    fn payload(
        &mut self,
        slot: u32,
        octets: &[u8],
        is_last: bool,
    ) -> Result<Option<Fault>, Violation> {
        let Some(stream) = self.streams.at(slot) else {
            return Ok(None);
        };
        match stream.own.kind {
            frame::DATA => stream.body.extend_from_slice(octets),
            frame::HEADERS if stream.own.oversize && is_last => return self.section(slot, &[]),
            frame::HEADERS if is_last && stream.own.section.is_empty() => {
                return self.section(slot, octets);
            }
            frame::HEADERS if !stream.own.oversize => {
                stream.own.section.extend_from_slice(octets);
                if is_last {
                    let section = std::mem::take(&mut stream.own.section);
                    return self.section(slot, &section);
                }
            }
            _ if octets.is_empty() => {}
            _ => self.budget.glitch(1)?,
        }
        Ok(None)
    }

    /// A field section is complete: the head of the request, or its trailers.
    fn section(&mut self, slot: u32, section: &[u8]) -> Result<Option<Fault>, Violation> {
        let Some(stream) = self.streams.at(slot) else {
            return Ok(None);
        };
        let mut list = spare::list();
        list.clear();
        let mut decoded = Decoded::TooLarge;
        if !stream.own.oversize {
            let taken = self
                .decoder
                .decode(section, self.limits.max_header, &mut list);
            decoded = taken.map_err(|_bad_block| {
                Violation::new(
                    Code::QpackDecompressionFailed,
                    "a field section that cannot be decoded",
                )
            })?;
        }
        if stream.own.part == Part::Nothing {
            stream.own.part = Part::Head;
            stream.own.is_connect = is_connect(&list);
            let id = stream.id;
            self.has_head(id);
            self.requests += 1;
            self.streams.arrive(Arrival {
                slot,
                list,
                too_large: decoded == Decoded::TooLarge,
            });
            return Ok(None);
        }
        stream.own.part = Part::Trailers;
        let fault = stream.keep_trailers(decoded, &list).err();
        spare::give_list(list);
        Ok(fault)
    }

    /// The client has ended the stream.
    fn request_ended(&mut self, slot: u32) -> Result<(), Violation> {
        let Some(stream) = self.streams.at(slot) else {
            return Ok(());
        };
        if !stream.own.frames.is_between() {
            return Err(Violation::new(
                Code::FrameError,
                "a stream that ends in the middle of a frame",
            ));
        }
        if stream.own.part == Part::Nothing {
            return self.stream_error(slot, Code::RequestIncomplete, Cut::Gone);
        }
        stream.request_ended = true;
        if !stream.fits_declared() {
            return self.stream_error(slot, Code::MessageError, Cut::Fault(WRONG_LENGTH));
        }
        stream.wake();
        Ok(())
    }
}

/// Which frame may come where (RFC 9114 §4.1, §7.2).
fn begin(own: &Own, kind: u64) -> Result<(), Violation> {
    let detail = match (kind, own.part) {
        (frame::HEADERS, Part::Nothing) | (frame::DATA, Part::Head) => return Ok(()),
        (frame::HEADERS, Part::Head) if !own.is_connect => return Ok(()),
        (frame::HEADERS, _) if own.is_connect => "HEADERS behind a CONNECT",
        (frame::HEADERS, _) => "HEADERS behind the trailers",
        (frame::DATA, Part::Nothing) => "DATA before HEADERS",
        (frame::DATA, _) => "DATA behind the trailers",
        (
            frame::CANCEL_PUSH
            | frame::SETTINGS
            | frame::GOAWAY
            | frame::MAX_PUSH_ID
            | frame::PRIORITY_UPDATE
            | frame::PRIORITY_UPDATE_PUSH,
            _,
        ) => "a frame of the control stream on a request stream",
        (frame::PUSH_PROMISE, _) => "PUSH_PROMISE from a client",
        (kind, _) if frame::is_of_http2(kind) => "a frame of HTTP/2",
        _ => return Ok(()),
    };
    Err(Violation::unexpected(detail))
}

/// Pseudo-header fields come first, or the request is malformed.
fn is_connect(list: &HeaderList) -> bool {
    list.iter()
        .take_while(|(name, _)| name.starts_with(b":"))
        .any(|field| field == (b":method", b"CONNECT"))
}
