//! Moving one request to an endpoint and its response back, both at once, in one task.
//!
//! Each poll moves what can be moved in either direction; the wire is flushed before the task goes to sleep, so that
//! whatever became ready in one turn leaves in one write.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use openclaw_core::message::{Framing, render};

use super::Edits;
use super::context::Local;
use super::download::Download;
use super::error::Error;
use super::prepare::Outbound;
use super::watch::{Alone, Progress, Waiting, Watch};
use super::wire::{BodyPart, Wire, WireError};
use crate::net::Buffers;
use crate::upstream::{Connection, Upstream};

/// What an exchange with an endpoint came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Passage {
    pub status: u16,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// When the response head had come.
    pub answered: Option<Instant>,
    pub alone: Alone,
}

impl Passage {
    /// How long an endpoint that was chosen at that time had for its answer, until that began or failed to come.
    pub(super) fn took(&self, chosen: Instant) -> Duration {
        let until = self.answered.unwrap_or_else(Instant::now);
        let since = self.alone.since(chosen);
        since.map_or(Duration::ZERO, |since| {
            until.saturating_duration_since(since)
        })
    }
}

pub(super) struct Forward<'a, W> {
    wire: &'a mut W,
    connection: Connection,
    outbound: &'a Outbound,
    head: &'a [u8],
    watch: Watch<'a>,
    upload: Upload<'a>,
    download: Download<'a>,
    passage: &'a mut Passage,
}

#[derive(Debug)]
struct Upload<'a> {
    buffers: &'a Buffers,
    head_sent: usize,
    /// Chunk framing around payload, for a body of unknown length; lent from the pool while there is something in it.
    staged: Vec<u8>,
    staged_sent: usize,
    /// All payload has been taken from the wire.
    complete: bool,
    /// The endpoint takes no more: its response may still come.
    broken: bool,
}

impl<'a, W: Wire> Forward<'a, W> {
    pub(super) fn new(
        wire: &'a mut W,
        local: &'a Local,
        connection: Connection,
        (outbound, head): (&'a Outbound, &'a [u8]),
        edits: Edits<'a>,
        watch: Watch<'a>,
        passage: &'a mut Passage,
    ) -> Self {
        let upload = Upload {
            buffers: &local.buffers,
            head_sent: 0,
            staged: Vec::new(),
            staged_sent: 0,
            complete: outbound.framing == Framing::None && !outbound.asked.upgrade,
            broken: false,
        };
        let download = Download::new(local, outbound, edits);
        Self {
            wire,
            connection,
            outbound,
            head,
            watch,
            upload,
            download,
            passage,
        }
    }

    /// Runs the exchange and gives the connection back to the pool if it may be used again.
    pub(super) async fn run(mut self, upstream: &Upstream) -> Result<(), Error> {
        let result = poll_fn(|cx| self.poll(cx)).await;
        self.watch.stop();
        if result.is_err() && self.download.is_tunnel() {
            // A tunnel that was torn must not look as if it had ended (RFC 8441 §5, RFC 9110 §9.3.6).
            self.connection.reset_on_close();
        }
        if result.is_ok() && self.download.is_reusable() && self.upload.is_whole(self.head) {
            let since = self.passage.answered.unwrap_or_else(Instant::now);
            upstream.keep(self.connection, since);
        }
        result
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut upload_waits = self.poll_upload(cx)?;
        let was_tunnel = self.download.is_tunnel();
        let download = self
            .download
            .poll(cx, &mut self.connection, self.wire, self.passage);
        if !failed_by_endpoint(&download) {
            self.watch.hear(self.passage);
        }
        if self.download.is_tunnel() && !was_tunnel {
            // From now on the client's bytes go through as well.
            upload_waits = self.poll_upload(cx)?;
        }
        let download_waits = match download {
            Poll::Ready(Ok(())) if !self.download.is_tunnel() || self.upload.complete => {
                return Poll::Ready(Ok(()));
            }
            Poll::Ready(Ok(())) => Waiting::Client,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending if self.download.waits_for_client() => Waiting::Client,
            Poll::Pending => Waiting::Upstream,
        };
        if let Poll::Ready(Err(error)) = self.wire.poll_flush(cx) {
            return Poll::Ready(Err(Error::Wire(error)));
        }
        if let Poll::Ready(Err(_)) = self.connection.stream.poll_push(cx) {
            self.upload.broken = true;
        }
        let waiting = Waiting::of(upload_waits, download_waits, self.download.has_begun());
        if waiting == Waiting::Upstream
            && !self.download.is_tunnel()
            && self.wire.poll_left(cx).is_ready()
        {
            return Poll::Ready(Err(Error::Wire(WireError::Gone)));
        }
        self.passage.alone.note(waiting);
        let progress = Progress {
            bytes_in: self.passage.bytes_in,
            bytes_out: self.passage.bytes_out,
            sent: self.upload.head_sent + self.upload.staged_sent,
            uploaded: self.upload.complete,
            answered: self.download.has_begun(),
            waiting,
            alone: self.passage.alone,
        };
        self.watch
            .check(cx, progress, self.download.is_tunnel())
            .map_or_else(|error| Poll::Ready(Err(error)), |()| Poll::Pending)
    }

    /// Sends the head and as much of the body as both sides allow.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<Waiting, Error> {
        loop {
            if self.upload.broken || (self.upload.complete && self.upload.is_sent(self.head)) {
                return Ok(Waiting::Upstream);
            }
            let tunnel = self.download.is_tunnel();
            let body_is_due = !self.upload.complete
                && self.upload.staged_sent == self.upload.staged.len()
                && (!self.outbound.asked.upgrade || tunnel);
            let mut direct = false;
            let mut wait_for_client = false;
            if body_is_due {
                match self.wire.poll_body(cx).map_err(Error::Wire)? {
                    Poll::Pending => wait_for_client = true,
                    Poll::Ready(BodyPart::End) => {
                        self.upload.complete = true;
                        if tunnel {
                            return Ok(self.end_tunnel(cx));
                        }
                        if self.outbound.framing == Framing::Stream {
                            self.upload
                                .stage_end(self.wire.trailers(), &self.outbound.named);
                        }
                    }
                    Poll::Ready(BodyPart::Data) => direct = self.take_body(tunnel)?,
                }
            }
            let body = if direct { self.wire.body() } else { &[] };
            let head = self.head.get(self.upload.head_sent..).unwrap_or_default();
            let staged = self
                .upload
                .staged
                .get(self.upload.staged_sent..)
                .unwrap_or_default();
            if head.is_empty() && staged.is_empty() && body.is_empty() {
                if self.upload.complete {
                    continue;
                }
                return Ok(if wait_for_client {
                    Waiting::Client
                } else {
                    Waiting::Upstream
                });
            }
            let written = match poll_write(&mut self.connection, cx, head, staged, body) {
                Poll::Pending => return Ok(Waiting::Upstream),
                Poll::Ready(Ok(written)) => written,
                Poll::Ready(Err(_)) => {
                    self.upload.broken = true;
                    // Nothing that the client still sends through a tunnel can arrive, so its end need not be awaited.
                    self.upload.complete |= tunnel;
                    return Ok(Waiting::Upstream);
                }
            };
            let in_head = written.min(head.len());
            let in_staged = (written - in_head).min(staged.len());
            let in_body = written - in_head - in_staged;
            self.upload.head_sent += in_head;
            self.upload.staged_left(in_staged);
            if in_body > 0 {
                self.wire.consume(in_body);
                self.passage.bytes_in += in_body as u64;
            }
        }
    }

    /// Looks at payload that has arrived: staged with chunk framing, or (true) to be written as it is.
    fn take_body(&mut self, tunnel: bool) -> Result<bool, Error> {
        let payload = self.wire.body();
        let total = self.passage.bytes_in + payload.len() as u64;
        if total > self.outbound.max_body && !tunnel {
            return Err(Error::BodyTooLarge);
        }
        if self.outbound.framing != Framing::Stream {
            return Ok(true);
        }
        let count = payload.len();
        self.upload.stage_chunk(payload);
        self.wire.consume(count);
        self.passage.bytes_in = total;
        Ok(false)
    }

    /// The client ended its direction of a tunnel: so do we.
    fn end_tunnel(&mut self, cx: &mut Context<'_>) -> Waiting {
        // What is left of it is pushed out with the rest.
        let _ = self.connection.stream.poll_end(cx);
        Waiting::Upstream
    }
}

impl Upload<'_> {
    fn is_sent(&self, head: &[u8]) -> bool {
        self.head_sent == head.len() && self.staged_sent == self.staged.len()
    }

    /// The endpoint has the whole request, so that its connection is at a boundary.
    fn is_whole(&self, head: &[u8]) -> bool {
        self.complete && !self.broken && self.is_sent(head)
    }

    /// So much of the staged bytes has gone out; what is empty goes back to the pool.
    fn staged_left(&mut self, count: usize) {
        self.staged_sent += count;
        if self.staged_sent == self.staged.len() {
            self.staged_sent = 0;
            self.buffers.give_back(std::mem::take(&mut self.staged));
        }
    }

    fn stage_chunk(&mut self, payload: &[u8]) {
        use std::io::Write;
        self.staged = self.buffers.body();
        // Writing to a Vec cannot fail.
        let _ = write!(self.staged, "{:x}\r\n", payload.len());
        self.staged.extend_from_slice(payload);
        self.staged.extend_from_slice(b"\r\n");
    }

    fn stage_end(&mut self, trailers: &[u8], named: &[u8]) {
        self.staged = self.buffers.head();
        self.staged.extend_from_slice(b"0\r\n");
        if named.is_empty() {
            self.staged.extend_from_slice(trailers);
        } else {
            for line in trailers.split_inclusive(|byte| *byte == b'\n') {
                let name = line.split(|byte| *byte == b':').next();
                if !render::is_named(named, name.unwrap_or_default()) {
                    self.staged.extend_from_slice(line);
                }
            }
        }
        self.staged.extend_from_slice(b"\r\n");
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        self.buffers.give_back(std::mem::take(&mut self.staged));
    }
}

/// What went wrong is told as that, and not as an answer as well.
pub(super) fn failed_by_endpoint(polled: &Poll<Result<(), Error>>) -> bool {
    matches!(polled, Poll::Ready(Err(error)) if error.is_of_endpoint())
}

fn poll_write(
    connection: &mut Connection,
    cx: &mut Context<'_>,
    head: &[u8],
    staged: &[u8],
    body: &[u8],
) -> Poll<io::Result<usize>> {
    let stream = &mut connection.stream;
    if staged.is_empty() && body.is_empty() {
        return stream.poll_send(cx, &[IoSlice::new(head)]);
    }
    stream.poll_send(
        cx,
        &[IoSlice::new(head), IoSlice::new(staged), IoSlice::new(body)],
    )
}
