//! Reading a request stream: its frames, in their order, to a head, payload and trailers (RFC 9114 §4.1).

use std::rc::Rc;

use openclaw_core::message::chunked::is_safe_trailer;
use openclaw_core::message::request::checked_list_trailer;
use openclaw_core::message::{Fault, HeaderList};
use quinn_proto::ReadError;

use super::code::{Code, Violation};
use super::connection::{Arrival, State, number};
use super::frame::{self, Piece};
use super::stream::{Cut, Request, Stream};
use crate::serve::compression::Decoded;
use crate::serve::h2::spare;

/// So much payload is taken from QUIC before an exchange takes it from us.
const READ_AHEAD: usize = 32 * 1024;
/// Room for a field section beyond what its decoded size may be.
const SECTION_SLACK: u64 = 16 * 1024;

pub(super) const WRONG_LENGTH: Fault =
    Fault::smuggling("content-length differs from the length of the body (RFC 9114 §4.1.2)");

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
    pub(super) fn pump(&mut self, slot: u32) -> Result<(), Violation> {
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
        let Some(stream) = self.live(slot) else {
            return Ok(Read::Paused);
        };
        let mut receiving = quic.recv_stream(stream.id);
        let Ok(mut chunks) = receiving.read(true) else {
            return Ok(Read::Paused);
        };
        loop {
            let has_enough = self
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
            let Some(stream) = self.streams.get_mut(slot as usize) else {
                return Ok(None);
            };
            let Some(piece) = stream.frames.next(&mut input) else {
                return Ok(None);
            };
            match piece {
                Piece::Head { kind, length } => {
                    stream.kind = kind;
                    begin(stream, kind)?;
                    match kind {
                        frame::HEADERS => stream.oversize = length > longest,
                        frame::DATA => {
                            stream.received = stream.received.saturating_add(length);
                            if !stream.fits_declared() {
                                return Ok(Some(WRONG_LENGTH));
                            }
                            if length == 0 {
                                self.budget.glitch()?;
                            }
                        }
                        _ => self.budget.glitch()?,
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
        let Some(stream) = self.streams.get_mut(slot as usize) else {
            return Ok(None);
        };
        match stream.kind {
            frame::DATA => stream.body.extend_from_slice(octets),
            frame::HEADERS if stream.oversize && is_last => return self.section(slot, &[]),
            frame::HEADERS if is_last && stream.section.is_empty() => {
                return self.section(slot, octets);
            }
            frame::HEADERS if !stream.oversize => {
                stream.section.extend_from_slice(octets);
                if is_last {
                    let section = std::mem::take(&mut stream.section);
                    return self.section(slot, &section);
                }
            }
            _ if octets.is_empty() => {}
            _ => self.budget.glitch()?,
        }
        Ok(None)
    }

    /// A field section is complete: the head of the request, or its trailers.
    fn section(&mut self, slot: u32, section: &[u8]) -> Result<Option<Fault>, Violation> {
        let Some(stream) = self.streams.get_mut(slot as usize) else {
            return Ok(None);
        };
        let mut list = spare::list();
        list.clear();
        let mut decoded = Decoded::TooLarge;
        if !stream.oversize {
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
        if stream.request == Request::Head {
            stream.request = Request::Body;
            stream.is_connect = is_connect(&list);
            let id = number(stream.id);
            self.has_head(id);
            self.requests += 1;
            self.arrivals.push_back(Arrival {
                slot,
                list,
                too_large: decoded == Decoded::TooLarge,
            });
            return Ok(None);
        }
        stream.request = Request::Trailers;
        let fault = if decoded == Decoded::TooLarge {
            Some(Fault::header_too_large(
                "trailers larger than the header limit",
            ))
        } else {
            note_trailers(&list, &mut stream.trailers).err()
        };
        spare::give_list(list);
        Ok(fault)
    }

    /// The client has ended the stream.
    fn request_ended(&mut self, slot: u32) -> Result<(), Violation> {
        let Some(stream) = self.stream(slot) else {
            return Ok(());
        };
        if !stream.frames.is_between() {
            return Err(Violation::new(
                Code::FrameError,
                "a stream that ends in the middle of a frame",
            ));
        }
        if stream.request == Request::Head {
            return self.stream_error(slot, Code::RequestIncomplete, Cut::Gone);
        }
        stream.request = Request::Ended;
        if !stream.fits_declared() {
            return self.stream_error(slot, Code::MessageError, Cut::Fault(WRONG_LENGTH));
        }
        stream.wake();
        Ok(())
    }
}

/// Which frame may come where (RFC 9114 §4.1, §7.2).
fn begin(stream: &Stream, kind: u64) -> Result<(), Violation> {
    let detail = match (kind, stream.request) {
        (frame::HEADERS, Request::Head) | (frame::DATA, Request::Body) => return Ok(()),
        (frame::HEADERS, Request::Body) if !stream.is_connect => return Ok(()),
        (frame::HEADERS, _) if stream.is_connect => "HEADERS behind a CONNECT",
        (frame::HEADERS, _) => "HEADERS behind the trailers",
        (frame::DATA, Request::Head) => "DATA before HEADERS",
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

/// Writes trailers as field lines; those that mean nothing behind a body are left out, as on every wire.
fn note_trailers(list: &HeaderList, out: &mut Vec<u8>) -> Result<(), Fault> {
    for (name, value) in list.iter() {
        let field = checked_list_trailer(name, value)?;
        if is_safe_trailer(field.name) {
            for part in [field.name, b": ", field.value, b"\r\n"] {
                out.extend_from_slice(part);
            }
        }
    }
    Ok(())
}
