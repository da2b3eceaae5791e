//! Requests: header blocks, payload and resets from the client.

use openclaw_core::message::{Fault, HeaderList};

use super::budget::dribbles;
use super::connection::{Connection, Life, OpenBlock};
use super::frame::{Code, Violation};
use super::hpack::Decoded;
use super::stream::Own;
use crate::serve::multiplexed::{Arrival, Cut, Response, Stream, WRONG_LENGTH, spare};

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
        let result = decoded.and_then(|decoded| match self.streams.slot(block.stream) {
            Some(slot) => self.trailers(slot, block, decoded, &list),
            None => self.block_on_closed(block.stream),
        });
        self.aside = list;
        result
    }

    fn block_on_closed(&mut self, id: u32) -> Result<(), Violation> {
        if self.was_reset_by_us(id) {
            return Ok(self.budget.glitch(1)?);
        }
        Err(Violation {
            code: Code::StreamClosed,
            detail: "HEADERS on a closed stream",
        })
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
        if decoded == Decoded::TooLarge {
            self.budget.oversize()?;
        }
        if self.life == Life::Leaving || self.streams.is_full(self.limits.max_streams) {
            spare::give_list(list);
            self.send_reset(block.stream, Code::RefusedStream);
            return Ok(self.budget.reset()?);
        }
        let own = Own::new(self.peer.initial_window);
        let stream = Stream::new(block.stream, block.ends_stream, own);
        let slot = self.streams.keep(stream);
        self.requests += 1;
        self.streams.arrive(Arrival {
            slot,
            list,
            too_large: decoded == Decoded::TooLarge,
        });
        Ok(())
    }

    /// The second header block of a stream (RFC 9113 §8.1).
    fn trailers(
        &mut self,
        slot: u32,
        block: OpenBlock,
        decoded: Decoded,
        list: &HeaderList,
    ) -> Result<(), Violation> {
        let Some(stream) = self.streams.at(slot) else {
            return Ok(());
        };
        if !stream.is_live() {
            return self.block_on_closed(block.stream);
        }
        if stream.request_ended {
            return self.stream_error(slot, Code::StreamClosed, Cut::Gone);
        }
        stream.request_ended = true;
        let fault = if block.ends_stream {
            stream.keep_trailers(decoded, list).err()
        } else {
            Some(Fault::malformed(
                "trailers without END_STREAM (RFC 9113 §8.1)",
            ))
        };
        if decoded == Decoded::TooLarge {
            self.budget.oversize()?;
        }
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
        let Some(slot) = self.streams.slot(id) else {
            self.credit_connection(flow);
            if ends {
                self.farewell_over(id);
            }
            return self.data_on_closed(id, payload);
        };
        let Some(stream) = self.streams.at(slot) else {
            return Ok(());
        };
        let error = if !stream.is_live() {
            self.credit_connection(flow);
            return self.data_on_closed(id, payload);
        } else if stream.request_ended {
            Some((Code::StreamClosed, Cut::Gone))
        } else if !stream.own.inbound.take(flow) {
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
        stream.own.held += payload.len();
        stream.wake();
        if padding > 0 {
            self.credit(slot, padding);
        }
        Ok(())
    }

    /// DATA of a stream that we have reset may have been under way; what carries nothing is of no use all the same. Of one that the client
    /// has ended or reset itself it is an error (RFC 9113 §5.1).
    fn data_on_closed(&mut self, id: u32, payload: &[u8]) -> Result<(), Violation> {
        if !self.was_reset_by_us(id) {
            self.send_reset(id, Code::StreamClosed);
            self.budget.reset()?;
        } else if payload.is_empty() {
            self.budget.glitch(1)?;
        }
        Ok(())
    }

    /// `RST_STREAM` from the client.
    pub(super) fn reset_received(&mut self, id: u32) -> Result<(), Violation> {
        if id > self.last || id.is_multiple_of(2) {
            return Err(Violation::protocol("RST_STREAM on an idle stream"));
        }
        let Some(slot) = self.streams.slot(id) else {
            self.farewell_over(id);
            return Ok(self.budget.glitch(1)?);
        };
        if self.streams.live(slot).is_none() {
            return Ok(self.budget.glitch(1)?);
        }
        self.cut(slot, Cut::Gone);
        Ok(self.budget.reset()?)
    }

    pub(super) fn stream_window(&mut self, id: u32, increment: u32) -> Result<(), Violation> {
        if id > self.last || id.is_multiple_of(2) {
            return Err(Violation::protocol("WINDOW_UPDATE on an idle stream"));
        }
        let slot = self.streams.slot(id);
        let live = slot.and_then(|slot| Some((slot, self.streams.live(slot)?)));
        let Some((slot, stream)) = live else {
            return self.window_updated(false);
        };
        let dribbles = dribbles(&stream.own.outbound, increment);
        let fits = stream.own.outbound.shift(i64::from(increment));
        if fits && increment > 0 && stream.response != Response::Ended {
            stream.wake();
        }
        self.window_updated(dribbles)?;
        if increment == 0 {
            self.stream_error(slot, Code::Protocol, Cut::Gone)
        } else if !fits {
            self.stream_error(slot, Code::FlowControl, Cut::Gone)
        } else {
            Ok(())
        }
    }

    /// Resets a stream because of the client (RFC 9113 §5.4.2).
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
            self.credit_connection(stream.own.held);
        }
    }
}
