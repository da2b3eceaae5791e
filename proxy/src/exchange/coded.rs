//! A wire whose response is put into a content coding on its way, where the route and the client want that, or taken out of one that the
//! client cannot read. It lies below the cache, so that what is stored is coded once.
//!
//! Payload is taken only as the client takes what becomes of it. What an encoder keeps to itself is pushed out when an endpoint that
//! has not said how much will come makes a pause: whoever sends events piece by piece is heard piece by piece.

use std::task::{Context, Poll, ready};

use openclaw_core::caching::Status;
pub(super) use openclaw_core::coding::Wish;
use openclaw_core::coding::{Change, Rule, Verdict};
use openclaw_core::config::Route;
use openclaw_core::message::h1::bad_response;
use openclaw_core::message::{
    Fault, Field, Fields, HeaderList, Request, Response, ResponseBody, ResponseHead,
};
use openclaw_core::reason::Reason;
use tokio::net::TcpStream;

use super::context::Local;
use super::wire::{Wire, WireError, handed_on};
use crate::coding::{Coder, Until};

/// So much is coded in one turn, for others to have theirs: some milliseconds.
const TURN: usize = 128 * 1024;
/// The encoder or decoder has failed in the middle: what came cannot be sent on.
const BROKEN: Fault = bad_response("the response could not be put into, or taken out of, a coding");

/// See the module.
pub(super) struct Coded<'a, W> {
    wire: &'a mut W,
    local: &'a Local,
    /// What the route says of it and what the client takes, on routes that compress.
    asked: Option<(&'a Rule, &'a Wish)>,
    verdict: Verdict,
    body: Option<Box<Body<'a>>>,
    /// Bytes that the client got of a body that is whole.
    sent: Option<u64>,
}

/// A body under way.
struct Body<'a> {
    local: &'a Local,
    coder: Coder<'a>,
    /// Lent from the pool; from `start` on the wire has not taken it.
    out: Vec<u8>,
    start: usize,
    stage: Stage,
    /// It is pushed out in a pause.
    is_pushed: bool,
    /// The encoder may have kept something to itself.
    is_behind: bool,
    /// Of this turn.
    spent: usize,
    taken: u64,
    sent: u64,
}

#[derive(Debug)]
enum Stage {
    Open,
    /// This turn is over, and it is not the endpoint that makes a pause.
    Turned,
    /// All payload has been taken; these are the trailers.
    Ending(HeaderList),
}

/// What a client says of codings, where the route compresses.
pub(super) fn wish(route: &Route, request: &Request<'_>) -> Option<Box<Wish>> {
    let rule = route.compress.as_ref()?;
    Some(Box::new(Wish::of(request.fields, rule)))
}

impl<'a, W: Wire> Coded<'a, W> {
    pub(super) fn new(
        wire: &'a mut W,
        local: &'a Local,
        asked: Option<(&'a Rule, &'a Wish)>,
    ) -> Self {
        Self {
            wire,
            local,
            asked,
            verdict: Verdict::Untouched,
            body: None,
            sent: None,
        }
    }

    /// How much the client got, if that is not what the endpoint sent.
    pub(super) fn sent(&self) -> Option<u64> {
        self.body.as_ref().map(|body| body.sent).or(self.sent)
    }

    /// Decides about a response; one that should be coded goes as it is where too many are under way.
    fn judge(&mut self, response: &Response<'_>) {
        self.body = None;
        self.sent = None;
        let Some((rule, wish)) = self.asked else {
            return;
        };
        self.verdict = wish.judge(rule, (response.status, response.fields, response.body));
        let length = match response.body {
            // A head is told what the body would have been.
            ResponseBody::None { .. } => return,
            ResponseBody::Length(length) => Some(length),
            ResponseBody::Chunked | ResponseBody::UntilClose | ResponseBody::Tunnel => None,
        };
        let coders = &self.local.coders;
        let (coder, length) = match self.verdict {
            Verdict::Coded(coding) => {
                let kind = (coding, rule.level(coding));
                (coders.coder(kind, length, rule.max_at_once), length)
            }
            // How much comes of it nobody knows.
            Verdict::Decoded(coding) => (coders.decoder(coding, rule.max_at_once), None),
            Verdict::Untouched | Verdict::Varies | Verdict::Confirmed => return,
        };
        if let Some(coder) = coder {
            self.body = Some(Box::new(Body::new(self.local, coder, length)));
        } else {
            self.verdict = Verdict::Varies;
            self.wire.make_do();
        }
    }
}

impl<'a> Body<'a> {
    fn new(local: &'a Local, coder: Coder<'a>, length: Option<u64>) -> Self {
        Self {
            local,
            coder,
            out: Vec::new(),
            start: 0,
            stage: Stage::Open,
            is_pushed: length.is_none(),
            is_behind: false,
            spent: 0,
            taken: 0,
            sent: 0,
        }
    }

    /// Gives the wire what has been made.
    fn poll_drain<W: Wire>(
        &mut self,
        cx: &mut Context<'_>,
        wire: &mut W,
    ) -> Poll<Result<(), WireError>> {
        loop {
            let rest = self.out.get(self.start..).unwrap_or_default();
            if rest.is_empty() {
                self.start = 0;
                self.local.buffers.give_back(std::mem::take(&mut self.out));
                return Poll::Ready(Ok(()));
            }
            let count = ready!(wire.poll_send(cx, rest))?;
            self.start += count;
            self.sent += count as u64;
        }
    }

    /// One step of the encoder, with room for what it makes. How much it took, and whether it is as far as it should be.
    fn step(&mut self, payload: &[u8], until: Until) -> Result<(usize, bool), WireError> {
        if self.out.capacity() == 0 {
            self.out = self.local.buffers.body();
        }
        let before = self.out.len();
        let step = self.coder.step(payload, until, &mut self.out);
        let step = step.map_err(|_broken| WireError::Fault(BROKEN))?;
        self.taken += step.taken as u64;
        // Little may become much.
        self.spent += step.taken.max(self.out.len() - before);
        self.is_behind = match until {
            Until::Later => self.is_behind || step.taken > 0,
            Until::Flushed | Until::Finished => !step.is_done,
        };
        Ok((step.taken, step.is_done))
    }

    fn poll_send<W: Wire>(
        &mut self,
        cx: &mut Context<'_>,
        wire: &mut W,
        payload: &[u8],
    ) -> Poll<Result<usize, WireError>> {
        loop {
            ready!(self.poll_drain(cx, wire))?;
            if self.spent >= TURN {
                self.spent = 0;
                self.stage = Stage::Turned;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let (taken, _) = self.step(payload, Until::Later)?;
            if taken > 0 || payload.is_empty() {
                return Poll::Ready(Ok(taken));
            }
        }
    }

    /// Makes all that there is to be made, and gives it to the wire.
    fn poll_until<W: Wire>(
        &mut self,
        cx: &mut Context<'_>,
        wire: &mut W,
        until: Until,
    ) -> Poll<Result<(), WireError>> {
        ready!(self.poll_drain(cx, wire))?;
        while self.is_behind {
            self.step(&[], until)?;
            ready!(self.poll_drain(cx, wire))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when nothing is left to be done before the wire itself is flushed.
    fn poll_flush<W: Wire>(
        &mut self,
        cx: &mut Context<'_>,
        wire: &mut W,
    ) -> Poll<Result<(), WireError>> {
        match self.stage {
            Stage::Open if self.is_pushed => self.poll_until(cx, wire, Until::Flushed),
            Stage::Open => self.poll_drain(cx, wire),
            Stage::Turned => {
                self.stage = Stage::Open;
                self.poll_drain(cx, wire)
            }
            Stage::Ending(_) => self.poll_until(cx, wire, Until::Finished),
        }
    }
}

impl Drop for Body<'_> {
    fn drop(&mut self) {
        self.local.buffers.give_back(std::mem::take(&mut self.out));
        if let Some(coding) = self.coder.coding() {
            self.local.recorder.coded(coding, self.taken, self.sent);
        }
    }
}

impl<W: Wire> Wire for Coded<'_, W> {
    handed_on!(poll_body poll_gone poll_left body consume trailers inform can_respond);

    /// What an encoder has taken is not had back.
    fn take_back(&mut self) -> bool {
        self.body.is_none() && self.wire.take_back()
    }

    fn consider(&mut self, response: &Response<'_>) -> Option<Status> {
        self.judge(response);
        if self.verdict == Verdict::Untouched {
            return self.wire.consider(response);
        }
        let change = Change::new(self.verdict, response.fields);
        self.wire.consider(&Response {
            fields: &change.apply(response.fields),
            body: change.body(response.body),
            ..*response
        })
    }

    fn respond(&mut self, head: &ResponseHead<'_>) {
        if self.verdict == Verdict::Untouched {
            self.wire.respond(head);
            return;
        }
        let change = Change::new(self.verdict, head.fields);
        self.wire.respond(&ResponseHead {
            fields: &change.apply(head.fields),
            body: change.body(head.body),
            ..*head
        });
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        payload: &[u8],
    ) -> Poll<Result<usize, WireError>> {
        match &mut self.body {
            None => self.wire.poll_send(cx, payload),
            Some(body) => body.poll_send(cx, self.wire, payload),
        }
    }

    fn more_follows(&mut self) {
        if self.body.is_none() {
            self.wire.more_follows();
        }
    }

    fn bare_socket(&self) -> Option<&TcpStream> {
        self.wire.bare_socket().filter(|_| self.body.is_none())
    }

    fn finish(&mut self, trailers: &[Field<'_>]) {
        let Some(body) = &mut self.body else {
            self.wire.finish(trailers);
            return;
        };
        let mut kept = HeaderList::default();
        for field in &Change::new(self.verdict, &[]).trailers(trailers) {
            kept.push(field.name, field.value);
        }
        body.stage = Stage::Ending(kept);
        body.is_behind = true;
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        if let Some(body) = &mut self.body {
            match body.poll_flush(cx, self.wire)? {
                Poll::Ready(()) => {}
                Poll::Pending => {
                    // What the wire holds has to go before it takes more.
                    return match self.wire.poll_flush(cx) {
                        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                        Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
                    };
                }
            }
            if let Stage::Ending(trailers) = &body.stage {
                let mut fields = Fields::new();
                for (name, value) in trailers.iter() {
                    // No more than came in such a list.
                    let _ = fields.try_push(Field::new(name, value));
                }
                self.wire.finish(&fields);
                drop(fields);
                self.sent = Some(body.sent);
                self.body = None;
            }
        }
        self.wire.poll_flush(cx)
    }

    fn abort(&mut self, reason: Reason) {
        self.body = None;
        self.wire.abort(reason);
    }
}
