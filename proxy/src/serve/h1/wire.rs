//! One HTTP/1 connection as the exchange sees it: request bytes in, response bytes out.

mod closing;

use std::io::IoSlice;
use std::ops::Range;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use openclaw_core::caching::Status;
use openclaw_core::message::body::Decoder;
use openclaw_core::message::lines::push_field;
use openclaw_core::message::{Field, Response, ResponseBody, ResponseHead, Version};
use openclaw_core::reason::Reason;
use tokio::net::TcpStream;

use super::RequestFacts;
use super::encode::{Coding, ResponseTerms, final_head, interim_head, push_chunk_size};
use crate::exchange::context::Local;
use crate::exchange::wire::{BodyPart, Wire, WireError};
use crate::net::Io;

/// Up to this much payload is copied behind the head into one buffer; more goes beside it in one vectored write.
const COPIED: usize = 2048;
/// Queued output beyond this makes `poll_send` wait.
const OUTPUT_LIMIT: usize = 128 * 1024;

pub(super) struct H1Wire {
    local: Rc<Local>,
    io: Io,
    /// Read bytes; lent from the pool while there is something in it.
    input: Vec<u8>,
    /// Payload of the current request, decoded.
    payload: Range<usize>,
    /// Where bytes that nobody has looked at begin.
    unread: usize,
    decoder: Decoder,
    /// Head and framing bytes to be written; payload goes beside them.
    output: Vec<u8>,
    written: usize,
    facts: RequestFacts,
    coding: Coding,
    keep_alive: bool,
    responded: bool,
    /// Where the response begins in the output, while nothing of it has been sent.
    unsent: Option<usize>,
    tunnel: bool,
    /// Our direction is to be closed once the output is written.
    closing: bool,
    /// The response was cut: no polite end.
    aborted: bool,
    /// The close is what ends the response, so a cut one must not end with a FIN, as a torn tunnel must not.
    until_close: bool,
    /// More requests are in the input already: their answers may leave in one write with this one.
    hold: bool,
    /// Whether a client that closes its direction while its endpoint works is gone; if not, whether it has closed it.
    aborts_on_close: bool,
    is_half_closed: bool,
    /// The payload that comes next is followed by bytes past this wire.
    more: bool,
}

impl H1Wire {
    pub(super) fn new(local: Rc<Local>, io: Io, early: Vec<u8>, aborts_on_close: bool) -> Self {
        Self {
            local,
            io,
            input: early,
            payload: 0..0,
            unread: 0,
            decoder: Decoder::Length(0),
            output: Vec::new(),
            written: 0,
            facts: RequestFacts::NONE,
            coding: Coding::Raw,
            keep_alive: true,
            responded: false,
            unsent: None,
            tunnel: false,
            closing: false,
            aborted: false,
            until_close: false,
            hold: false,
            aborts_on_close,
            is_half_closed: false,
            more: false,
        }
    }

    /// Bytes behind the last message.
    pub(super) fn input(&self) -> &[u8] {
        self.input.get(self.unread..).unwrap_or_default()
    }

    /// Drops empty lines before a request (RFC 9112 §2.2): they begin nothing.
    pub(super) fn skip_empty_lines(&mut self) {
        while self.input().starts_with(b"\r\n") {
            self.unread += 2;
        }
    }

    /// Whether parsing may get further than last time: only a line end can complete anything.
    pub(super) fn has_line_beyond(&self, looked_at: usize) -> bool {
        self.input()
            .get(looked_at..)
            .is_some_and(|fresh| memchr::memchr(b'\n', fresh).is_some())
    }

    /// A request head of `length` bytes has been understood.
    pub(super) fn begin(&mut self, facts: RequestFacts, length: usize) {
        self.unread += length;
        self.payload = self.unread..self.unread;
        self.decoder = Decoder::for_request(facts.framing);
        self.facts = facts;
        self.keep_alive = facts.keep_alive;
        self.responded = false;
        self.unsent = None;
    }

    /// The input is not understood: only an answer and the end can follow.
    pub(super) fn begin_refusal(&mut self) {
        self.decoder = Decoder::Length(0);
        self.facts = RequestFacts::NONE;
        self.keep_alive = false;
        self.responded = false;
    }

    /// Whether another request may follow: only what the client was told with the answer counts, whatever began since.
    pub(super) fn end_exchange(&mut self) -> bool {
        let whole = self.decoder.is_done() && self.payload.is_empty();
        self.responded && whole && self.keep_alive && !self.aborted && !self.tunnel
    }

    /// Reads more input behind what is there; `false` at the end. Flushes first, so nobody waits for an answer that
    /// is already made.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if let Poll::Ready(Err(_gone)) = self.poll_flush(cx) {
            return Poll::Ready(false);
        }
        match ready!(self.poll_read(cx)) {
            Ok(count) => Poll::Ready(count > 0),
            Err(_gone) => Poll::Ready(false),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        if self.unread == self.input.len() {
            self.input.clear();
            self.unread = 0;
            self.payload = 0..0;
        } else if self.unread > 0 && self.payload.is_empty() {
            self.input.drain(..self.unread);
            self.unread = 0;
            self.payload = 0..0;
        }
        if self.input.is_empty() {
            if self.input.capacity() > 0 {
                self.local
                    .buffers
                    .give_back(std::mem::take(&mut self.input));
            }
            ready!(self.io.poll_readable(cx))?;
            self.input = self.local.buffers.body();
        }
        let read = self.io.poll_read(cx, &mut self.input);
        if read.is_pending() && self.input.is_empty() {
            self.local
                .buffers
                .give_back(std::mem::take(&mut self.input));
        }
        read
    }

    /// Writes the output and then, in the same call, payload. Returns how much payload was taken.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        payload: &[u8],
        more: bool,
    ) -> Poll<Result<usize, WireError>> {
        loop {
            let output = self.output.get(self.written..).unwrap_or_default();
            if output.is_empty() && payload.is_empty() {
                self.recycle_output();
                return Poll::Ready(Ok(0));
            }
            let queued = output.len();
            let both = [IoSlice::new(output), IoSlice::new(payload)];
            let slices = match (output.is_empty(), payload.is_empty()) {
                (false, false) => &both[..],
                (false, true) => both.split_at(1).0,
                (true, _) => both.split_at(1).1,
            };
            let written = if more {
                self.io.poll_write_part(cx, slices)
            } else {
                self.io.poll_write(cx, slices)
            };
            let count = ready!(written).map_err(|_error| WireError::Gone)?;
            self.written += count.min(queued);
            self.unsent = self.unsent.filter(|begin| self.written <= *begin);
            if self.written == self.output.len() {
                self.recycle_output();
            }
            if count > queued || (payload.is_empty() && count == queued) {
                return Poll::Ready(Ok(count.saturating_sub(queued)));
            }
        }
    }

    fn recycle_output(&mut self) {
        self.written = 0;
        if self.output.capacity() > 0 {
            self.local
                .buffers
                .give_back(std::mem::take(&mut self.output));
        }
    }

    fn output(&mut self) -> &mut Vec<u8> {
        if self.output.capacity() == 0 {
            self.output = self.local.buffers.head();
        }
        &mut self.output
    }
}

impl Drop for H1Wire {
    fn drop(&mut self) {
        self.local
            .buffers
            .give_back(std::mem::take(&mut self.input));
        self.local
            .buffers
            .give_back(std::mem::take(&mut self.output));
    }
}

impl Wire for H1Wire {
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<BodyPart, WireError>> {
        loop {
            if !self.payload.is_empty() {
                return Poll::Ready(Ok(BodyPart::Data));
            }
            if self.decoder.is_done() {
                return Poll::Ready(Ok(BodyPart::End));
            }
            let raw = self.input.get_mut(self.unread..).unwrap_or_default();
            if !raw.is_empty() {
                let decoded = self.decoder.decode(raw).map_err(WireError::Fault)?;
                self.payload = self.unread..self.unread + decoded.payload;
                self.unread += decoded.consumed;
                continue;
            }
            // What is queued may be what the client waits for: a 100, or the response to a request before this one.
            if let Poll::Ready(Err(error)) = self.poll_flush(cx) {
                return Poll::Ready(Err(error));
            }
            match ready!(self.poll_read(cx)) {
                Ok(0) if self.decoder.may_end_at_close() => self.decoder = Decoder::Length(0),
                Ok(0) | Err(_) => return Poll::Ready(Err(WireError::Gone)),
                Ok(_) => {}
            }
        }
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_going(cx)
    }

    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_leaving(cx)
    }

    fn body(&self) -> &[u8] {
        self.input.get(self.payload.clone()).unwrap_or_default()
    }

    fn consume(&mut self, count: usize) {
        self.payload.start = (self.payload.start + count).min(self.payload.end);
    }

    fn trailers(&self) -> &[u8] {
        self.decoder.trailers()
    }

    fn inform(&mut self, head: &ResponseHead<'_>) {
        // HTTP/1.0 clients do not know interim responses (RFC 9110 §15.2).
        if self.facts.version != Version::H10 {
            interim_head(self.output(), head);
        }
    }

    fn consider(&mut self, _response: &Response<'_>) -> Option<Status> {
        None
    }

    fn respond(&mut self, head: &ResponseHead<'_>) {
        let whole = self.decoder.is_done() && self.payload.is_empty();
        // A body that is still under way when the answer begins may never come to its end.
        let terms = ResponseTerms {
            version: self.facts.version,
            keep_alive: self.keep_alive && whole && !self.local.is_draining(),
        };
        let output = self.output();
        let begin = output.len();
        let (coding, keep_alive) = final_head(output, head, terms);
        self.unsent = Some(begin).filter(|_| head.body != ResponseBody::Tunnel);
        self.coding = coding;
        self.keep_alive = keep_alive;
        self.responded = true;
        self.until_close = coding == Coding::Raw
            && matches!(head.body, ResponseBody::Chunked | ResponseBody::UntilClose);
        if head.body == ResponseBody::Tunnel {
            self.tunnel = true;
            self.decoder = Decoder::UntilClose;
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        payload: &[u8],
    ) -> Poll<Result<usize, WireError>> {
        let more = std::mem::take(&mut self.more) && self.coding == Coding::Raw;
        if self.output.len() - self.written >= OUTPUT_LIMIT {
            ready!(self.poll_write(cx, &[], false))?;
        }
        if self.coding == Coding::Chunked {
            let output = self.output();
            push_chunk_size(output, payload.len());
            output.extend_from_slice(payload);
            output.extend_from_slice(b"\r\n");
            return Poll::Ready(Ok(payload.len()));
        }
        if payload.len() <= COPIED && !self.output.is_empty() {
            self.output().extend_from_slice(payload);
            return Poll::Ready(Ok(payload.len()));
        }
        self.poll_write(cx, payload, more)
    }

    fn more_follows(&mut self) {
        self.more = true;
    }

    fn bare_socket(&self) -> Option<&TcpStream> {
        let as_it_is = self.coding == Coding::Raw && self.output.is_empty();
        self.io.bare_socket().filter(|_| as_it_is)
    }

    fn finish(&mut self, trailers: &[Field<'_>]) {
        if self.coding == Coding::Chunked {
            let output = self.output();
            output.extend_from_slice(b"0\r\n");
            for field in trailers {
                push_field(output, field.name, field.value);
            }
            output.extend_from_slice(b"\r\n");
        }
        self.closing = self.tunnel;
        // Whoever reads nothing must not make us collect answers, not even those without payload.
        let room = self.output.len() < OUTPUT_LIMIT;
        self.hold = room && self.keep_alive && self.unread < self.input.len();
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        if std::mem::take(&mut self.hold) {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_write(cx, &[], false))?;
        ready!(self.io.poll_flush(cx)).map_err(|_error| WireError::Gone)?;
        if self.closing {
            self.closing = false;
            ready!(self.io.poll_shutdown(cx)).map_err(|_error| WireError::Gone)?;
        }
        Poll::Ready(Ok(()))
    }

    fn abort(&mut self, _reason: Reason) {
        self.aborted = true;
        if self.until_close || self.tunnel {
            self.io.reset_on_close();
        }
    }

    fn can_respond(&self) -> bool {
        !self.responded
    }

    fn take_back(&mut self) -> bool {
        let Some(begin) = self.unsent.take() else {
            return false;
        };
        self.output.truncate(begin);
        self.responded = false;
        self.until_close = false;
        true
    }
}
