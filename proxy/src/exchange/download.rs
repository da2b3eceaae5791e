//! The way back of an exchange: the endpoint's response head, then its body, into the wire.

mod piped;

use std::task::{Context, Poll, ready};
use std::time::Instant;

use openclaw_core::message::body::Decoder;
use openclaw_core::message::h1::{Asked, bad_response, parse_response};
use openclaw_core::message::{Field, Fields, ResponseBody, render};

use super::Edits;
use super::context::Local;
use super::error::Error;
use super::forward::Passage;
use super::head::{self, MAX_INTERIM};
use super::prepare::Outbound;
use super::wire::Wire;
use crate::net::pipes::Bulk;
use crate::upstream::Connection;

/// The largest response head, well within the read buffer.
const MAX_HEAD: usize = 64 * 1024;

pub(super) struct Download<'a> {
    local: &'a Local,
    asked: Asked,
    knows_upgrade: bool,
    /// What the client offers to switch to.
    protocols: &'a [u8],
    /// Names of trailers that go no further.
    named: Vec<u8>,
    edits: Edits<'a>,
    state: State,
    /// Lent from the pool while there is something in it.
    buffer: Vec<u8>,
    /// Decoded payload not yet taken by the wire.
    payload: std::ops::Range<usize>,
    /// Where undecoded bytes begin.
    raw: usize,
    /// A long body on its way between two bare sockets.
    bulk: Bulk,
    /// The kernel holds back what was sent last, for what the pipe is to bring.
    held_back: bool,
    interim: u32,
    keep_alive: bool,
    tunnel: bool,
    client_is_slow: bool,
}

#[derive(Debug)]
enum State {
    Head,
    Body(Decoder),
    Flush,
    Done,
}

impl<'a> Download<'a> {
    pub(super) fn new(local: &'a Local, outbound: &'a Outbound, edits: Edits<'a>) -> Self {
        Self {
            local,
            asked: outbound.asked,
            knows_upgrade: outbound.knows_upgrade,
            protocols: &outbound.protocols,
            named: Vec::new(),
            edits,
            state: State::Head,
            buffer: Vec::new(),
            payload: 0..0,
            raw: 0,
            bulk: Bulk::default(),
            held_back: false,
            interim: 0,
            keep_alive: false,
            tunnel: false,
            client_is_slow: false,
        }
    }

    /// The response head has been passed on.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self.state, State::Head)
    }

    pub(super) fn is_tunnel(&self) -> bool {
        self.tunnel
    }

    /// The last poll stopped because the client takes no more.
    pub(super) fn waits_for_client(&self) -> bool {
        self.client_is_slow
    }

    /// The connection is at a message boundary, and nothing came behind the response.
    pub(super) fn is_reusable(&self) -> bool {
        matches!(self.state, State::Done) && self.keep_alive && self.raw == self.buffer.len()
    }

    /// Moves what can be moved; `Ready` when the response is complete and flushed.
    pub(super) fn poll<W: Wire>(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
        wire: &mut W,
        passage: &mut Passage,
    ) -> Poll<Result<(), Error>> {
        self.client_is_slow = false;
        loop {
            match self.state {
                State::Head => {
                    if ready!(self.poll_fill(cx, connection, wire.bare_socket().is_some()))? == 0 {
                        let error = if self.buffer.is_empty() {
                            Error::Closed
                        } else {
                            Error::HeadCut
                        };
                        return Poll::Ready(Err(error));
                    }
                    self.read_heads(wire, passage)?;
                    self.settle(cx, connection)?;
                }
                State::Body(_) if !self.payload.is_empty() => {
                    self.announce(wire);
                    let payload = self.buffer.get(self.payload.clone()).unwrap_or_default();
                    let Poll::Ready(sent) = wire.poll_send(cx, payload).map_err(Error::Wire)?
                    else {
                        self.client_is_slow = true;
                        return Poll::Pending;
                    };
                    self.payload.start += sent;
                    passage.bytes_out += sent as u64;
                }
                State::Body(_) if self.bulk.is_holding() => {
                    let Poll::Ready(sent) = self.poll_drain(cx, wire)? else {
                        self.client_is_slow = true;
                        return Poll::Pending;
                    };
                    passage.bytes_out += sent as u64;
                }
                State::Body(_) => {
                    let moved = self.poll_on(cx, connection, wire);
                    if moved.is_pending() {
                        self.push(wire);
                    }
                    ready!(moved)?;
                }
                State::Flush => {
                    if wire.poll_flush(cx).map_err(Error::Wire)?.is_pending() {
                        self.client_is_slow = true;
                        return Poll::Pending;
                    }
                    self.state = State::Done;
                }
                State::Done => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Takes interim heads and the final one out of the buffer.
    fn read_heads<W: Wire>(&mut self, wire: &mut W, passage: &mut Passage) -> Result<(), Error> {
        loop {
            let bytes = self.buffer.get(self.raw..).unwrap_or_default();
            let mut fields = Fields::new();
            let Some((response, length)) = parse_response(bytes, MAX_HEAD, self.asked, &mut fields)
                .map_err(Error::BadResponse)?
            else {
                return Ok(());
            };
            let tunnel = response.body == ResponseBody::Tunnel;
            check_switch(tunnel, response.fields, self.protocols)?;
            let interim = response.status < 200 && !tunnel;
            if wire.declines(response.status) {
                return Err(Error::Declined(response.status));
            }
            // 426 has to say what to upgrade to (RFC 9110 §15.5.22).
            let upgrade = tunnel || (response.status == 426 && self.knows_upgrade);
            self.raw += length;
            if interim {
                self.interim += 1;
                if self.interim > MAX_INTERIM {
                    return Err(Error::BadResponse(head::TOO_MANY_INTERIM));
                }
            }
            let status =
                head::pass_on(self.local, self.edits, &response, self.asked, upgrade, wire);
            if interim {
                continue;
            }
            passage.status = status;
            passage.answered = Some(Instant::now());
            self.keep_alive = response.keep_alive;
            if response.body == ResponseBody::Chunked {
                self.named = render::named(response.fields);
            }
            self.tunnel = tunnel;
            self.state = State::Body(Decoder::for_response(response.body));
            return Ok(());
        }
    }

    fn poll_on<W: Wire>(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
        wire: &mut W,
    ) -> Poll<Result<(), Error>> {
        if ready!(self.poll_pipe(cx, connection, wire))? {
            return Poll::Ready(Ok(()));
        }
        self.poll_decode(cx, connection, wire)
    }

    /// Decodes what is buffered, or reads more; at the end of the body finishes the response.
    fn poll_decode<W: Wire>(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
        wire: &mut W,
    ) -> Poll<Result<(), Error>> {
        let State::Body(decoder) = &mut self.state else {
            return Poll::Ready(Ok(()));
        };
        if decoder.is_done() {
            self.finish(wire);
            return Poll::Ready(Ok(()));
        }
        if let Some(raw) = self
            .buffer
            .get_mut(self.raw..)
            .filter(|raw| !raw.is_empty())
        {
            let decoded = decoder
                .decode(raw)
                .map_err(|fault| Error::BadResponse(bad_response(fault.detail)))?;
            self.payload = self.raw..self.raw + decoded.payload;
            self.raw += decoded.consumed;
            return Poll::Ready(Ok(()));
        }
        let ends_at_close = decoder.may_end_at_close();
        self.give_back();
        match ready!(self.poll_fill(cx, connection, false)) {
            Ok(0) if ends_at_close => {
                self.finish(wire);
                Poll::Ready(Ok(()))
            }
            // A reset in place of a clean end is no end, even where the end is the close.
            Ok(0) | Err(_) => Poll::Ready(Err(Error::Truncated)),
            Ok(_) => Poll::Ready(Ok(())),
        }
    }

    fn finish<W: Wire>(&mut self, wire: &mut W) {
        let State::Body(decoder) = &self.state else {
            return;
        };
        let mut trailers = Fields::new();
        for line in decoder.trailers().split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if let Some(colon) = memchr::memchr(b':', line) {
                let (name, value) = line.split_at_checked(colon).unwrap_or_default();
                if render::is_named(&self.named, name) {
                    continue;
                }
                let value = value.get(1..).unwrap_or_default().trim_ascii();
                // More than fit are dropped, as a proxy may (RFC 9110 §6.5.1).
                let _ = trailers.try_push(Field::new(name, value));
            }
        }
        wire.finish(&trailers);
        drop(trailers);
        self.state = State::Flush;
    }

    fn give_back(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        self.local.buffers.give_back(buffer);
        self.payload = 0..0;
        self.raw = 0;
    }

    /// Reads once; the buffer is only held while there is something in it. Little is read `from_bare` sockets to bare ones where
    /// the endpoint's last body was of middling length.
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
        from_bare: bool,
    ) -> Poll<Result<usize, Error>> {
        let closed = |_error| Error::Closed;
        if self.buffer.is_empty() {
            ready!(connection.stream.poll_readable(cx)).map_err(closed)?;
            if self.buffer.capacity() == 0 {
                let is_short = from_bare
                    && connection.endpoint.is_middling.get()
                    && connection.stream.bare_socket().is_some();
                self.buffer = if is_short {
                    self.local.buffers.head()
                } else {
                    self.local.buffers.body()
                };
            }
        }
        let read = connection.stream.poll_read_vec(cx, &mut self.buffer);
        if read.is_pending() && self.buffer.is_empty() {
            self.give_back();
        }
        read.map(|read| match read {
            Ok(count) => {
                self.bulk.note(count);
                Ok(count)
            }
            // A reset before any byte is a stale connection; later it cuts the response.
            Err(_) if self.has_begun() => Err(Error::Truncated),
            Err(_) if !self.buffer.is_empty() => Err(Error::HeadCut),
            Err(error) => Err(connection.refused(error).map_or(Error::Closed, Error::Tls)),
        })
    }
}

/// A tunnel is of a protocol that the client has offered (RFC 9110 §7.8).
fn check_switch(tunnel: bool, fields: &[Field<'_>], offered: &[u8]) -> Result<(), Error> {
    if !tunnel || render::switches_as_offered(fields, offered) {
        return Ok(());
    }
    let fault = bad_response("a switch to a protocol that the client did not offer");
    Err(Error::BadResponse(fault))
}

impl Drop for Download<'_> {
    fn drop(&mut self) {
        self.give_back();
        self.bulk.let_go(&self.local.pipes);
    }
}
