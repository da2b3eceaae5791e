//! Requests: header blocks, payload and resets from the client.

use openclaw_core::message::chunked::is_safe_trailer;
use openclaw_core::message::request::checked_list_trailer;
use openclaw_core::message::{Fault, Framing, HeaderList, Request};

use super::connection::{Arrival, Connection, Life, OpenBlock};
use super::frame::{Code, Violation};
use super::hpack::Decoded;
use super::spare;
use super::stream::{Cut, Response, Stream};

/// A window below this is starved, and an update below this feeds it by crumbs.
const CRUMB: u32 = 256;
/// Room for a header block beyond what its decoded size may be.
const BLOCK_SLACK: usize = 16 * 1024;

impl Connection {
    pub(super) fn headers(
        &mut self,
        block: OpenBlock,
        fragment: &[u8],
        ends_block: bool,
    ) -> Result<(), Violation> {
        self.blocks += 1;
        if ends_block {
            return self.block(block, fragment);
        }
        self.open_block = Some(block);
        self.fragments.clear();
        self.fragments.extend_from_slice(fragment);
        Ok(())
    }

    pub(super) fn continuation(
        &mut self,
        stream: u32,
        fragment: &[u8],
        ends_block: bool,
    ) -> Result<(), Violation> {
        let Some(block) = self.open_block.filter(|block| block.stream == stream) else {
            return Err(Violation::protocol("CONTINUATION without its HEADERS"));
        };
        self.budget
            .glitch(if fragment.len() < 1024 { 10 } else { 1 })?;
        if self.fragments.len() + fragment.len() > self.limits.max_header + BLOCK_SLACK {
            return Err(Violation {
                code: Code::EnhanceYourCalm,
                detail: "a header block without end",
            });
        }
        self.fragments.extend_from_slice(fragment);
        if ends_block {
            self.open_block = None;
            let fragments = std::mem::take(&mut self.fragments);
            self.block(block, &fragments)?;
        }
        Ok(())
    }

    /// A whole header block. It is decoded whatever becomes of it, to keep the table in step.
    fn block(&mut self, block: OpenBlock, octets: &[u8]) -> Result<(), Violation> {
        if block.stream.is_multiple_of(2) {
            return Err(Violation::protocol("an even stream id from a client"));
        }
        if block.stream > self.last {
            return self.open(block, octets);
        }
        let mut list = std::mem::take(&mut self.aside);
        let decoded = self.decode(octets, &mut list);
        let result = decoded.and_then(|decoded| match self.slot(block.stream) {
            Some(slot) => self.trailers(slot, block, decoded, &list),
            None if self.was_reset_by_us(block.stream) => self.budget.glitch(1),
            None => Err(Violation {
                code: Code::StreamClosed,
                detail: "HEADERS on a closed stream",
            }),
        });
        self.aside = list;
        result
    }

    fn decode(&mut self, octets: &[u8], list: &mut HeaderList) -> Result<Decoded, Violation> {
        list.clear();
        let decoded = self.decoder.decode(octets, self.limits.max_header, list);
        decoded.map_err(|_bad_block| Violation {
            code: Code::Compression,
            detail: "a header block that cannot be decoded",
        })
    }

    /// The head of a request.
    fn open(&mut self, block: OpenBlock, octets: &[u8]) -> Result<(), Violation> {
        let mut list = spare::list();
        let decoded = self.decode(octets, &mut list)?;
        self.last = block.stream;
        if self.life == Life::Leaving || self.is_full() {
            spare::give_list(list);
            self.send_reset(block.stream, Code::RefusedStream);
            return self.budget.reset();
        }
        let stream = Stream::new(block.stream, self.peer.initial_window, block.ends_stream);
        let slot = self.streams.insert(stream) as u32;
        self.index.push((block.stream, slot));
        self.requests += 1;
        self.arrivals.push_back(Arrival {
            slot,
            list,
            ends_stream: block.ends_stream,
            too_large: decoded == Decoded::TooLarge,
        });
        Ok(())
    }

    /// Whether the client has as many streams as it may. One that is over on the wire keeps its slot until the end of
    /// this turn, when its exchange is dropped; as many of these are tolerated again.
    fn is_full(&self) -> bool {
        let (slots, most) = (self.streams.len(), self.limits.max_streams);
        slots >= most
            && (slots >= 2 * most
                || self
                    .streams
                    .iter()
                    .filter(|(_, stream)| stream.is_open())
                    .count()
                    >= most)
    }

    /// The second header block of a stream (RFC 9113 §8.1).
    fn trailers(
        &mut self,
        slot: u32,
        block: OpenBlock,
        decoded: Decoded,
        list: &HeaderList,
    ) -> Result<(), Violation> {
        let Some(stream) = self.streams.get_mut(slot as usize) else {
            return Ok(());
        };
        if !stream.is_live() {
            return self.budget.glitch(1);
        }
        if stream.request_ended {
            return self.stream_error(slot, Code::StreamClosed, Cut::Gone);
        }
        stream.request_ended = true;
        let fault = if !block.ends_stream {
            Some(Fault::malformed(
                "trailers without END_STREAM (RFC 9113 §8.1)",
            ))
        } else if decoded == Decoded::TooLarge {
            Some(Fault::header_too_large(
                "trailers larger than the header limit",
            ))
        } else if !stream.fits_declared() {
            Some(WRONG_LENGTH)
        } else {
            note_trailers(list, &mut stream.trailers).err()
        };
        if let Some(fault) = fault {
            return self.stream_error(slot, Code::Protocol, Cut::Fault(fault));
        }
        stream.wake();
        Ok(())
    }

    pub(super) fn data(
        &mut self,
        id: u32,
        payload: &[u8],
        padding: usize,
        ends: bool,
    ) -> Result<(), Violation> {
        let flow = payload.len() + padding;
        if id > self.last || id.is_multiple_of(2) {
            return Err(Violation::protocol("DATA on an idle stream"));
        }
        if !self.inbound.take(flow) {
            return Err(Violation {
                code: Code::FlowControl,
                detail: "more DATA than the window of the connection",
            });
        }
        if payload.is_empty() && !ends {
            self.budget.glitch(1)?;
        }
        let Some(slot) = self.slot(id) else {
            self.credit_connection(flow);
            if self.was_reset_by_us(id) {
                if ends {
                    self.farewell_over(id);
                }
                return Ok(());
            }
            self.send_reset(id, Code::StreamClosed);
            return self.budget.reset();
        };
        let Some(stream) = self.streams.get_mut(slot as usize) else {
            return Ok(());
        };
        let error = if !stream.is_live() {
            self.credit_connection(flow);
            return Ok(());
        } else if stream.request_ended {
            Some((Code::StreamClosed, Cut::Gone))
        } else if !stream.inbound.take(flow) {
            Some((Code::FlowControl, Cut::Gone))
        } else {
            stream.received += payload.len() as u64;
            stream.request_ended = ends;
            (!stream.fits_declared()).then_some((Code::Protocol, Cut::Fault(WRONG_LENGTH)))
        };
        if let Some((code, cut)) = error {
            self.credit_connection(flow);
            return self.stream_error(slot, code, cut);
        }
        stream.body.extend_from_slice(payload);
        stream.held += payload.len();
        stream.wake();
        if padding > 0 {
            self.credit(slot, padding);
        }
        Ok(())
    }

    /// `RST_STREAM` from the client.
    pub(super) fn reset_received(&mut self, id: u32) -> Result<(), Violation> {
        if id > self.last || id.is_multiple_of(2) {
            return Err(Violation::protocol("RST_STREAM on an idle stream"));
        }
        let Some(slot) = self.slot(id) else {
            self.farewell_over(id);
            return self.budget.glitch(1);
        };
        let Some(stream) = self.stream(slot) else {
            return Ok(());
        };
        if !stream.is_live() {
            return self.budget.glitch(1);
        }
        self.cut(slot, Cut::Gone);
        self.budget.reset()
    }

    pub(super) fn stream_window(&mut self, id: u32, increment: u32) -> Result<(), Violation> {
        if id > self.last || id.is_multiple_of(2) {
            return Err(Violation::protocol("WINDOW_UPDATE on an idle stream"));
        }
        let Some(slot) = self.slot(id) else {
            return self.budget.update(false);
        };
        let Some(stream) = self
            .streams
            .get_mut(slot as usize)
            .filter(|stream| stream.is_live())
        else {
            return self.budget.update(false);
        };
        let starved = stream.outbound.available() < CRUMB as usize;
        self.budget.update(starved && increment < CRUMB)?;
        if increment == 0 {
            self.stream_error(slot, Code::Protocol, Cut::Gone)
        } else if !stream.outbound.shift(i64::from(increment)) {
            self.stream_error(slot, Code::FlowControl, Cut::Gone)
        } else {
            if stream.response != Response::Ended {
                stream.wake();
            }
            Ok(())
        }
    }

    /// Resets a stream because of the client (RFC 9113 §5.4.2).
    fn stream_error(&mut self, slot: u32, code: Code, cut: Cut) -> Result<(), Violation> {
        if let Some(id) = self.stream(slot).map(|stream| stream.id) {
            self.send_reset(id, code);
            self.cut(slot, cut);
        }
        self.budget.reset()
    }

    /// The stream is over before its time. One with an exchange keeps its slot, and counts as open, until the exchange
    /// has let go of its endpoint.
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
        let held = stream.held;
        self.forget(slot);
        if let Some(at) = self
            .arrivals
            .iter()
            .position(|arrival| arrival.slot == slot)
            && let Some(arrival) = self.arrivals.remove(at)
        {
            spare::give_list(arrival.list);
        }
        self.credit_connection(held);
    }

    /// The next request to begin with, after a whole read was taken in.
    pub(super) fn next_arrival(&mut self) -> Option<Arrival> {
        self.arrivals.pop_front()
    }

    /// Decides whether an arrival becomes an exchange. A malformed request is an error of the stream (RFC 9113
    /// §8.1.1); other faults are answered.
    /// Returns the number of the stream.
    pub(super) fn admit(
        &mut self,
        slot: u32,
        request: &Result<Request<'_>, Fault>,
    ) -> Result<u32, Fault> {
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
        let Some(fault) = fault else {
            stream.started = true;
            return Ok(stream.id);
        };
        if let Err(violation) = self.stream_error(slot, Code::Protocol, Cut::Fault(fault)) {
            self.fail(violation);
        }
        Err(fault)
    }
}

const WRONG_LENGTH: Fault =
    Fault::smuggling("content-length differs from the length of the body (RFC 9113 §8.1.1)");

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
