//! Copies of requests for another upstream (`mirror` of a route). The copy is taken beside the exchange and sent by the
//! worker's one task for copies, through the same tries as any request; a request whose copy cannot be had goes without.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use openclaw_core::balance::Key;
use openclaw_core::caching::Status;
use openclaw_core::config::{HeaderEdit, Mirror, Route};
use openclaw_core::message::h1::Asked;
use openclaw_core::message::{Fault, Field, Framing, Response, ResponseHead};
use openclaw_core::proxy_protocol::Ends;
use openclaw_core::reason::Reason;
use tokio::sync::mpsc;

use super::caching::Through;
use super::context::Local;
use super::prepare::{Outbound, balance_key};
use super::serving::Serving;
use super::tries::Tries;
use super::watch::Limits;
use super::wire::{BodyPart, Wire, WireError, handed_on};
use super::{Edits, Story};
use crate::telemetry::Mirrored;
use crate::time::Deadline;

/// A request to be sent once more.
#[derive(Debug)]
pub struct Copied {
    serving: Rc<Serving>,
    route: u32,
    outbound: Outbound,
    body: Vec<u8>,
    /// Of `max_in_flight`.
    _place: Place,
}

/// Given back on drop.
#[derive(Debug)]
struct Place(Rc<Cell<usize>>);

impl Place {
    fn take(in_flight: &Rc<Cell<usize>>, max: usize) -> Option<Self> {
        let now = in_flight.get();
        (now < max).then(|| {
            in_flight.set(now + 1);
            Self(Rc::clone(in_flight))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Whether this request is one of those that are copied.
fn is_drawn(mirror: &Mirror, outbound: &Outbound, local: &Local) -> bool {
    // What may become a tunnel has no end that could be copied.
    let is_plain = !outbound.asked.upgrade && outbound.asked.websocket.is_none();
    is_plain && local.random.borrow_mut().f64() * 100.0 < mirror.percent
}

/// What stays at one endpoint of those who get copies, where their balancer goes by that.
pub(super) fn key(serving: &Serving, route: &Route, client: IpAddr, target: &[u8]) -> Key {
    let mirror = route.mirror.as_ref();
    let shadow = mirror.and_then(|mirror| serving.upstreams.get(mirror.to));
    shadow.map_or_else(Key::default, |shadow| {
        balance_key(shadow.config.balance, client, target)
    })
}

impl Through<'_> {
    /// Asks an endpoint, with a copy to another upstream where one is due.
    pub(super) async fn past_the_cache<W: Wire>(
        &self,
        wire: &mut W,
        story: &mut Story,
    ) -> Option<Fault> {
        let (local, outbound) = (self.local, self.outbound);
        let mirror = self.route.mirror.as_ref().zip(self.behind);
        let Some((mirror, behind)) = mirror.filter(|(mirror, _)| is_drawn(mirror, outbound, local))
        else {
            return self.tries().run(wire, story).await;
        };
        let ours = (local, behind.serving);
        let of = (behind.route, mirror);
        // Boxed, so that exchanges without a copy need not have room for that.
        Box::pin(beside(self.tries(), ours, of, outbound, wire, story)).await
    }
}

/// Runs an exchange and has its request copied.
async fn beside<W: Wire>(
    tries: Tries<'_>,
    (local, serving): (&Local, &Rc<Serving>),
    (route, mirror): (usize, &Mirror),
    outbound: &Outbound,
    wire: &mut W,
    story: &mut Story,
) -> Option<Fault> {
    let slot = serving.slots.routes.get(route).copied().unwrap_or_default();
    let in_flight = serving.mirrors.get(route);
    let place = in_flight.and_then(|in_flight| Place::take(in_flight, mirror.max_in_flight));
    let Some(place) = place else {
        local.recorder.mirrored(slot, Mirrored::Dropped);
        return tries.run(wire, story).await;
    };
    let is_small = !matches!(outbound.framing, Framing::Length(length) if length > mirror.max_body);
    let mut tee = Tee {
        wire,
        copy: is_small.then(Vec::new),
        max: mirror.max_body,
        is_whole: outbound.framing == Framing::None,
    };
    // What has no body need not wait for the answer.
    let early = tee.is_whole.then(Vec::new);
    let shadow = serving.upstreams.get(mirror.to);
    // Only if the one that serves is told of the client, too: it is not known here any more.
    let ends = outbound
        .ends
        .filter(|_| shadow.is_some_and(|shadow| shadow.config.send_proxy_protocol.is_some()));
    let send = |body| {
        local.mirror(Copied {
            serving: Rc::clone(serving),
            route: slot,
            outbound: copied(outbound, mirror.to, ends),
            body,
            _place: place,
        });
    };
    if let Some(body) = early {
        send(body);
        return tries.run(wire, story).await;
    }
    let fault = tries.run(&mut tee, story).await;
    match tee.copy {
        Some(body) if tee.is_whole => send(body),
        Some(_) => local.recorder.mirrored(slot, Mirrored::Dropped),
        None => local.recorder.mirrored(slot, Mirrored::TooLarge),
    }
    fault
}

fn copied(outbound: &Outbound, upstream: usize, ends: Option<Ends>) -> Outbound {
    Outbound {
        upstream,
        head: outbound.head.clone(),
        framing: outbound.framing,
        asked: Asked {
            head: outbound.asked.head,
            upgrade: false,
            websocket: None,
        },
        knows_upgrade: false,
        protocols: Vec::new(),
        named: outbound.named.clone(),
        max_body: u64::MAX,
        is_grpc: outbound.is_grpc,
        idempotent: outbound.idempotent,
        ends,
        key: outbound.mirror_key,
        mirror_key: Key::default(),
        came: None,
        caching: None,
        coding: None,
    }
}

/// Sends what is copied on this worker, for ever.
pub async fn serve(local: Rc<Local>, mut copies: mpsc::UnboundedReceiver<Copied>) {
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            copy = copies.recv() => match copy {
                Some(copy) => running.push(send(&local, copy)),
                None => return,
            },
            Some(()) = running.next(), if !running.is_empty() => {}
        }
    }
}

async fn send(local: &Local, copy: Copied) {
    let Some(upstream) = copy.serving.upstreams.get(copy.outbound.upstream) else {
        return;
    };
    let config = &upstream.config;
    let deadline = Deadline::new(&local.wheel);
    let whole = Some(config.connect_timeout + config.response_timeout);
    deadline.cap(whole);
    let limits = Limits {
        client: config.response_timeout,
        min_body_rate: 0,
        upstream: config.response_timeout,
        tunnel: config.response_timeout,
        whole,
    };
    let none = HeaderEdit::default();
    let edits = Edits {
        of_route: &none,
        allowance: None,
        alt_svc: None,
        cookie: None,
        own: None,
        compress: None,
    };
    let mut shadow = Shadow::new(copy.body);
    let mut story = Story::default();
    let tries = Tries::new(local, upstream, &copy.outbound, edits, (&deadline, limits));
    let fault = tries.run(&mut shadow, &mut story).await;
    let result = if fault.is_none() {
        Mirrored::Sent
    } else {
        Mirrored::Failed
    };
    local.recorder.mirrored(copy.route, result);
}

/// A client's wire, of which what goes through upwards is kept.
struct Tee<'a, W> {
    wire: &'a mut W,
    /// None once it is too large.
    copy: Option<Vec<u8>>,
    max: u64,
    is_whole: bool,
}

impl<W: Wire> Wire for Tee<'_, W> {
    handed_on!(poll_gone body trailers inform consider respond poll_send more_follows bare_socket finish poll_flush abort can_respond);

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<BodyPart, WireError>> {
        let polled = self.wire.poll_body(cx);
        self.is_whole |= matches!(polled, Poll::Ready(Ok(BodyPart::End)));
        polled
    }

    fn consume(&mut self, count: usize) {
        if let Some(copy) = &mut self.copy {
            let part = self.wire.body().get(..count).unwrap_or_default();
            if (copy.len() + part.len()) as u64 > self.max {
                self.copy = None;
            } else {
                copy.extend_from_slice(part);
            }
        }
        self.wire.consume(count);
    }
}

/// The wire of a request that no client waits for: its body is there, and whatever is answered goes nowhere.
pub(super) struct Shadow {
    body: Vec<u8>,
    sent: usize,
    is_answered: bool,
}

impl Shadow {
    pub(super) const fn new(body: Vec<u8>) -> Self {
        Self {
            body,
            sent: 0,
            is_answered: false,
        }
    }
}

impl Wire for Shadow {
    fn poll_body(&mut self, _cx: &mut Context<'_>) -> Poll<Result<BodyPart, WireError>> {
        Poll::Ready(Ok(if self.body().is_empty() {
            BodyPart::End
        } else {
            BodyPart::Data
        }))
    }

    fn body(&self) -> &[u8] {
        self.body.get(self.sent..).unwrap_or_default()
    }

    fn consume(&mut self, count: usize) {
        self.sent += count;
    }

    fn trailers(&self) -> &[u8] {
        &[]
    }

    fn inform(&mut self, _head: &ResponseHead<'_>) {}

    fn consider(&mut self, _response: &Response<'_>) -> Option<Status> {
        None
    }

    fn respond(&mut self, _head: &ResponseHead<'_>) {
        self.is_answered = true;
    }

    fn poll_send(
        &mut self,
        _cx: &mut Context<'_>,
        payload: &[u8],
    ) -> Poll<Result<usize, WireError>> {
        Poll::Ready(Ok(payload.len()))
    }

    fn finish(&mut self, _trailers: &[Field<'_>]) {}

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        Poll::Ready(Ok(()))
    }

    fn abort(&mut self, _reason: Reason) {}

    fn can_respond(&self) -> bool {
        !self.is_answered
    }
}
