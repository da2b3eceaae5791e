//! Moving one request to an endpoint and its response back over a stream of an HTTP/2 connection.
//!
//! The counterpart of `forward` and `download`. Flow control is the `h2` crate's: room is given back when the client
//! has taken the payload, and none of the request is taken from its wire before there is room for it.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, Bytes};
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use openclaw_core::message::chunked::is_safe_trailer;
use openclaw_core::message::h1::bad_response;
use openclaw_core::message::response::of_stream;
use openclaw_core::message::{Field, Fields, Framing, Response, ResponseBody};

use super::Edits;
use super::context::Local;
use super::error::Error;
use super::forward::{Passage, failed_by_endpoint};
use super::head::{self, MAX_INTERIM};
use super::prepare::Outbound;
use super::stream_head;
use super::stream_tunnel::Tunnel;
use super::watch::{Progress, Waiting, Watch};
use super::wire::{BodyPart, Wire, WireError};
use crate::upstream::Lease;

pub(super) struct Streamed<'a, W> {
    wire: &'a mut W,
    local: &'a Local,
    outbound: &'a Outbound,
    edits: Edits<'a>,
    watch: Watch<'a>,
    passage: &'a mut Passage,
    upload: Upload,
    reply: Reply,
    /// Where the stream is to become one.
    tunnel: Option<Tunnel>,
    interim: u32,
    client_is_slow: bool,
    /// Last, so that the stream is closed before others may have its place.
    lease: Lease,
}

/// How far the request is.
enum Upload {
    Open(SendStream<Bytes>),
    Sent,
    /// The endpoint takes no more: its response may still come.
    Broken,
}

/// How far the response is.
enum Reply {
    Head(ResponseFuture),
    Body(RecvStream, ResponseBody, Bytes),
    Flush,
    Done,
}

impl<'a, W: Wire> Streamed<'a, W> {
    pub(super) fn new(
        wire: &'a mut W,
        local: &'a Local,
        mut lease: Lease,
        (outbound, head, edits, tunnel): (&'a Outbound, &[u8], Edits<'a>, Option<Tunnel>),
        watch: Watch<'a>,
        passage: &'a mut Passage,
    ) -> Result<Self, Error> {
        let protocol = tunnel.as_ref().map(Tunnel::protocol);
        let request = stream_head::request(head, lease.is_secured(), protocol);
        let request = request.ok_or(Error::Unspeakable)?;
        let ends = outbound.framing == Framing::None && tunnel.is_none();
        let (response, stream) = lease
            .send
            .send_request(request, ends)
            .map_err(|error| failed(&error, false))?;
        Ok(Self {
            wire,
            local,
            outbound,
            edits,
            watch,
            passage,
            upload: if ends {
                Upload::Sent
            } else {
                Upload::Open(stream)
            },
            reply: Reply::Head(response),
            tunnel,
            interim: 0,
            client_is_slow: false,
            lease,
        })
    }

    pub(super) async fn run(mut self) -> Result<(), Error> {
        let mut result = poll_fn(|cx| self.poll(cx)).await;
        self.watch.stop();
        if result == Err(Error::Closed)
            && let Some(fault) = self.lease.refused()
        {
            result = Err(Error::Tls(fault));
        }
        if self.lease.is_lost() && matches!(result, Err(Error::Closed | Error::Truncated)) {
            result = Err(Error::UpstreamTimeout);
        }
        if result == Err(Error::UpstreamTimeout) && !self.is_tunnel() {
            // The endpoint may take its time, or be gone without a word.
            self.lease.distrust();
        }
        result
    }

    fn is_tunnel(&self) -> bool {
        self.tunnel.as_ref().is_some_and(Tunnel::is_open)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut upload = self.poll_upload(cx)?;
        let was_tunnel = self.is_tunnel();
        let download = self.poll_download(cx);
        if !failed_by_endpoint(&download) {
            self.watch.hear(self.passage);
        }
        if self.is_tunnel() && !was_tunnel {
            // From now on the client's bytes go through as well.
            upload = self.poll_upload(cx)?;
        }
        let is_open = matches!(self.upload, Upload::Open(_));
        let download = match download {
            Poll::Ready(Ok(())) if self.is_tunnel() && is_open => Waiting::Client,
            Poll::Ready(result) => return Poll::Ready(result),
            Poll::Pending if self.client_is_slow => Waiting::Client,
            Poll::Pending => Waiting::Upstream,
        };
        if let Poll::Ready(Err(error)) = self.wire.poll_flush(cx) {
            return Poll::Ready(Err(Error::Wire(error)));
        }
        let has_begun = !matches!(self.reply, Reply::Head(_));
        let waiting = Waiting::of(upload, download, has_begun);
        if waiting == Waiting::Upstream && !self.is_tunnel() && self.wire.poll_left(cx).is_ready() {
            return Poll::Ready(Err(Error::Wire(WireError::Gone)));
        }
        self.passage.alone.note(waiting);
        let progress = Progress {
            bytes_in: self.passage.bytes_in,
            bytes_out: self.passage.bytes_out,
            sent: 0,
            uploaded: !matches!(self.upload, Upload::Open(_)),
            answered: has_begun,
            waiting,
            alone: self.passage.alone,
        };
        // Either side of a call may be silent for as long as it likes once it has begun, as in a tunnel.
        let is_tunnel = self.is_tunnel() || (self.outbound.is_grpc && has_begun);
        self.watch
            .check(cx, progress, is_tunnel)
            .map_or_else(|error| Poll::Ready(Err(error)), |()| Poll::Pending)
    }

    /// Sends as much of the body as both sides allow.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<Waiting, Error> {
        let is_tunnel = self.is_tunnel();
        while let Upload::Open(stream) = &mut self.upload {
            if self.tunnel.is_some() && !is_tunnel {
                // What the client says is for whoever agrees to the tunnel.
                return Ok(Waiting::Upstream);
            }
            match self.wire.poll_body(cx).map_err(Error::Wire)? {
                Poll::Pending => return Ok(Waiting::Client),
                Poll::Ready(BodyPart::End) => {
                    let sent =
                        match stream_head::trailers(self.wire.trailers(), &self.outbound.named) {
                            Some(trailers) => stream.send_trailers(trailers),
                            None => stream.send_data(Bytes::new(), true),
                        };
                    self.upload = sent.map_or(Upload::Broken, |()| Upload::Sent);
                }
                Poll::Ready(BodyPart::Data) => {
                    let payload = self.wire.body();
                    let total = self.passage.bytes_in + payload.len() as u64;
                    if total > self.outbound.max_body && !is_tunnel {
                        return Err(Error::BodyTooLarge);
                    }
                    let Poll::Ready(room) = poll_room(stream, cx, payload.len()) else {
                        return Ok(Waiting::Upstream);
                    };
                    let part = payload.get(..room.min(payload.len())).unwrap_or(payload);
                    let count = part.len();
                    // An error of the stream is the response's to tell; what it took from the client is lost either way.
                    if room == 0
                        || stream
                            .send_data(Bytes::copy_from_slice(part), false)
                            .is_err()
                    {
                        self.upload = Upload::Broken;
                    } else {
                        self.wire.consume(count);
                        self.passage.bytes_in += count as u64;
                    }
                }
            }
        }
        Ok(Waiting::Upstream)
    }

    /// Moves what can be moved; `Ready` when the response is complete and flushed.
    fn poll_download(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.client_is_slow = false;
        loop {
            match &mut self.reply {
                Reply::Head(_) => ready!(self.poll_head(cx))?,
                Reply::Body(stream, _, payload) if !payload.is_empty() => {
                    let Poll::Ready(sent) =
                        self.wire.poll_send(cx, payload).map_err(Error::Wire)?
                    else {
                        self.client_is_slow = true;
                        return Poll::Pending;
                    };
                    payload.advance(sent);
                    self.passage.bytes_out += sent as u64;
                    // Only a stream that is over has no room to be given back.
                    let _ = stream.flow_control().release_capacity(sent);
                }
                Reply::Body(..) => ready!(self.poll_body(cx))?,
                Reply::Flush => {
                    if self.wire.poll_flush(cx).map_err(Error::Wire)?.is_pending() {
                        self.client_is_slow = true;
                        return Poll::Pending;
                    }
                    self.reply = Reply::Done;
                }
                Reply::Done => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Passes interim heads on.
    fn pass_interim(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        let Reply::Head(response) = &mut self.reply else {
            return Ok(());
        };
        while let Poll::Ready(Some(interim)) = response.poll_informational(cx) {
            let interim = interim.map_err(|error| failed(&error, false))?;
            self.interim += 1;
            if self.interim > MAX_INTERIM {
                return Err(Error::BadResponse(head::TOO_MANY_INTERIM));
            }
            let mut fields = Fields::new();
            let asked = self.outbound.asked;
            let response = stream_head::fields(interim.headers(), &mut fields)
                .and_then(|()| of_stream(interim.status().as_u16(), &fields, asked, false))
                .map_err(Error::BadResponse)?;
            head::pass_on(self.local, self.edits, &response, asked, false, self.wire);
        }
        Ok(())
    }

    /// Passes interim heads on, and the final one.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.pass_interim(cx)?;
        let Reply::Head(response) = &mut self.reply else {
            return Poll::Ready(Ok(()));
        };
        let (parts, stream) = ready!(Pin::new(response).poll(cx))
            .map_err(|error| failed(&error, false))?
            .into_parts();
        self.lease.has_served();
        let mut fields = Fields::new();
        let ends = stream.is_end_stream();
        let mut response = stream_head::fields(&parts.headers, &mut fields)
            .and_then(|()| of_stream(parts.status.as_u16(), &fields, self.outbound.asked, ends))
            .map_err(Error::BadResponse)?;
        if self.wire.declines(response.status) {
            return Poll::Ready(Err(Error::Declined(response.status)));
        }
        if ends && self.outbound.is_grpc && response.body == ResponseBody::Length(0) {
            // What the client takes for trailers must not say how long a body is.
            response.body = ResponseBody::None { declared: None };
        }
        // HTTP/2 knows no Upgrade (RFC 9113 §8.6): only what was asked for as a tunnel can be one.
        let agrees = |tunnel: &mut Tunnel| tunnel.agrees(response.status);
        let is_tunnel = self.tunnel.as_mut().is_some_and(agrees);
        let switch = self.tunnel.as_ref().filter(|_| is_tunnel);
        let switch = switch.map(|tunnel| tunnel.fields(&fields));
        let response = match &switch {
            Some(fields) => Response {
                status: 101,
                fields,
                body: ResponseBody::Tunnel,
                ..response
            },
            None => response,
        };
        if !is_tunnel
            && self.tunnel.is_some()
            && let Upload::Open(stream) = &mut self.upload
        {
            // The endpoint does not want it; what it answers is the client's answer, as to any other request.
            let ended = stream.send_data(Bytes::new(), true);
            self.upload = ended.map_or(Upload::Broken, |()| Upload::Sent);
        }
        let status = head::pass_on(
            self.local,
            self.edits,
            &response,
            self.outbound.asked,
            is_tunnel,
            self.wire,
        );
        self.passage.status = status;
        self.passage.answered = Some(Instant::now());
        self.reply = Reply::Body(stream, response.body, Bytes::new());
        Poll::Ready(Ok(()))
    }

    /// Takes the next payload, or the end.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Reply::Body(stream, body, payload) = &mut self.reply else {
            return Poll::Ready(Ok(()));
        };
        if let Some(data) = ready!(stream.poll_data(cx)) {
            *payload = data.map_err(|error| failed(&error, true))?;
            if matches!(body, ResponseBody::None { .. }) && !payload.is_empty() {
                let fault = bad_response("a body in a response that has none (RFC 9110 §6.4.1)");
                return Poll::Ready(Err(Error::BadResponse(fault)));
            }
            return Poll::Ready(Ok(()));
        }
        let trailers = ready!(stream.poll_trailers(cx)).map_err(|error| failed(&error, true))?;
        let mut kept = Fields::new();
        for (name, value) in trailers.iter().flatten() {
            if is_safe_trailer(name.as_str().as_bytes()) {
                // More than fit are dropped, as a proxy may (RFC 9110 §6.5.1).
                let _ = kept.try_push(Field::new(
                    name.as_str().as_bytes(),
                    value.as_bytes().trim_ascii(),
                ));
            }
        }
        self.wire.finish(&kept);
        drop(kept);
        self.reply = Reply::Flush;
        Poll::Ready(Ok(()))
    }
}

/// How much of `wanted` the stream takes now; 0 if it never takes anything again.
fn poll_room(stream: &mut SendStream<Bytes>, cx: &mut Context<'_>, wanted: usize) -> Poll<usize> {
    stream.reserve_capacity(wanted);
    match stream.capacity() {
        0 => Poll::Ready(match ready!(stream.poll_capacity(cx)) {
            Some(Ok(room)) => room,
            Some(Err(_)) | None => 0,
        }),
        room => Poll::Ready(room),
    }
}

/// What an error of a stream means. `has_begun`: the client has the response head.
fn failed(error: &h2::Error, has_begun: bool) -> Error {
    let is_refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    if has_begun && !error.is_library() {
        Error::Truncated
    } else if error.is_remote() && (error.is_go_away() || is_refused) && !has_begun {
        // Only streams that the endpoint has not looked at get this (RFC 9113 §6.8, §8.7).
        Error::Unprocessed
    } else if error.is_library() {
        Error::BadResponse(bad_response("the endpoint breaks HTTP/2 (RFC 9113)"))
    } else if error.is_reset() {
        Error::Reset
    } else {
        Error::Closed
    }
}
