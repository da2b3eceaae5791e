//! Answers that this proxy gives itself: a route's `respond` or `redirect`, and refusals.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use openclaw_core::config::{Action, HeaderEdit, Route};
use openclaw_core::message::{
    Fault, Field, Fields, Method, ResponseBody, ResponseHead, grpc, phrase, render,
};
use openclaw_core::pace::Pace;
use openclaw_core::template::Status;

use super::context::{Downstream, Local};
use super::error::Error;
use super::prepare::{Plan, Prepared};
use super::wire::{Wire, WireError};
use crate::filter::Allowance;
use crate::time::Deadline;

/// The methods that go through here whatever the endpoint makes of them.
const ALLOWED: &[u8] = b"GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS";

/// Of the usual text of a refusal.
const TEXT: &str = "text/plain; charset=utf-8";

/// What stands in the head of a route's answer beside what the route has written.
struct Told<'a> {
    /// All of it filled in.
    edits: &'a HeaderEdit,
    location: Option<&'a [u8]>,
    alt_svc: Option<&'a str>,
    allowance: Option<Allowance>,
}

/// Sends what the route says. Returns status and payload bytes.
pub(super) async fn of_route<W: Wire>(
    local: &Local,
    downstream: &Downstream,
    (route, location): (&Route, Option<&[u8]>),
    prepared: &Prepared,
    wire: &mut W,
    deadline: &Deadline,
) -> (u16, Result<u64, Error>) {
    let (status, body) = match &route.action {
        Action::Respond(respond) => (respond.status, &*respond.body),
        Action::Redirect(redirect) => (redirect.status, &[][..]),
        Action::Forward(_) => (500, &[][..]),
    };
    let edits = prepared.edits.as_deref();
    let edits = edits.unwrap_or(&route.headers.response);
    let filled = edits.has_variables().then(|| edits.filled(&Status(status)));
    let told = Told {
        edits: filled.as_ref().unwrap_or(edits),
        location,
        alt_svc: downstream.alt_svc.as_deref(),
        allowance: prepared.allowance,
    };
    let body = queue_route_head(local, route, &told, (status, body), prepared.method, wire);
    (
        status,
        send(std::iter::once(body), wire, deadline, downstream).await,
    )
}

/// Says what may be asked for here, to a client that asks this hop alone.
pub(super) async fn of_options<W: Wire>(
    local: &Local,
    downstream: &Downstream,
    wire: &mut W,
    deadline: &Deadline,
) -> Result<u64, Error> {
    queue_options_head(local, wire);
    send(std::iter::empty(), wire, deadline, downstream).await
}

/// Tells the client in a few fixed words that it is refused, and under which id the log knows more.
pub(super) async fn refusal<W: Wire>(
    local: &Local,
    downstream: &Downstream,
    fault: Fault,
    prepared: &Prepared,
    wire: &mut W,
    deadline: &Deadline,
) -> Result<u64, Error> {
    let id = &prepared.id;
    let text = format!(
        "{} {}\n{}\nrequest id: {id}\n",
        fault.status,
        phrase(fault.status),
        fault.reason.code()
    );
    let alt_svc = downstream.alt_svc.as_deref();
    let snapshot = &prepared.serving.snapshot;
    let page = snapshot.page(&downstream.listener.name, prepared.route, fault.status);
    let words = page.map_or((TEXT, text.as_bytes()), |page| {
        (page.content_type, &page.body)
    });
    let body = queue_refusal_head(local, fault, prepared, alt_svc, words, wire);
    send(std::iter::once(body), wire, deadline, downstream).await
}

/// Queues the head of a route's answer and returns the payload that belongs to it. Not part of the future: a list of
/// fields is large, and the future of every connection would have to hold it.
fn queue_route_head<'a, W: Wire>(
    local: &Local,
    route: &Route,
    told: &Told<'_>,
    (status, body): (u16, &'a [u8]),
    method: Method,
    wire: &mut W,
) -> &'a [u8] {
    let date = local.date(Instant::now());
    let limit = told.allowance.map(|known| known.fields());
    let mut fields = Fields::new();
    fields.push(Field::new(b"Date", &date));
    match &route.action {
        Action::Respond(respond) if !respond.content_type.is_empty() => {
            fields.push(Field::new(b"Content-Type", respond.content_type.as_bytes()));
        }
        Action::Redirect(redirect) => {
            let written = redirect.to.plain().unwrap_or_default();
            fields.push(Field::new(b"Location", told.location.unwrap_or(written)));
        }
        Action::Respond(_) | Action::Forward(_) => {}
    }
    let edits = told.edits;
    for (name, value) in edits.set.iter().chain(&edits.add) {
        // More than fit are left out; the configuration check bounds them far below.
        let _ = fields.try_push(Field::new(
            name.as_bytes(),
            value.plain().unwrap_or_default(),
        ));
    }
    if let Some(alt_svc) = told.alt_svc {
        let field = Field::new(b"Alt-Svc", alt_svc.as_bytes());
        render::response_field(&mut fields, edits, field);
    }
    if let Some(limit) = &limit {
        limit.put(&mut fields);
    }
    queue_head(status, &fields, body, method, wire)
}

fn queue_options_head<W: Wire>(local: &Local, wire: &mut W) {
    let date = local.date(Instant::now());
    let fields = [Field::new(b"Date", &date), Field::new(b"Allow", ALLOWED)];
    queue_head(200, &fields, &[], Method::Options, wire);
}

fn queue_refusal_head<'a, W: Wire>(
    local: &Local,
    fault: Fault,
    prepared: &Prepared,
    alt_svc: Option<&str>,
    (content_type, body): (&str, &'a [u8]),
    wire: &mut W,
) -> &'a [u8] {
    let date = local.date(Instant::now());
    let limit = prepared.allowance.map(|known| match fault.status {
        429 => known.fields_of_refusal(),
        _ => known.fields(),
    });
    let considered = considered(fault, &prepared.plan);
    let mut fields = Fields::new();
    fields.push(Field::new(b"Date", &date));
    if prepared.is_grpc {
        return queue_grpc_status(fault, prepared, fields, wire);
    }
    fields.push(Field::new(b"Content-Type", content_type.as_bytes()));
    fields.push(Field::new(b"Cache-Control", b"no-store"));
    fields.push(Field::new(b"X-Request-Id", prepared.id.as_bytes()));
    if let Some(alt_svc) = alt_svc {
        fields.push(Field::new(b"Alt-Svc", alt_svc.as_bytes()));
    }
    if let Some(text) = &considered {
        fields.push(Field::new(b"Cache-Status", text.as_bytes()));
    }
    match fault.status {
        503 => fields.push(Field::new(b"Retry-After", b"5")),
        405 => fields.push(Field::new(b"Allow", ALLOWED)),
        _ => {}
    }
    if let Some(limit) = &limit {
        limit.put(&mut fields);
    }
    queue_head(fault.status, &fields, body, prepared.method, wire)
}

/// What the cache made of a request that is refused after it was asked (RFC 9211).
fn considered(fault: Fault, plan: &Plan) -> Option<String> {
    match plan {
        Plan::Forward(outbound) => Some(outbound.caching.as_ref()?.unanswered()?.text()),
        Plan::Refuse(_) => {
            let is_unstored = fault.reason == Error::NotStored.fault().reason;
            is_unstored.then(|| "openclaw; detail=only-if-cached".to_owned())
        }
        Plan::Stored(..) | Plan::Answer(_) | Plan::Options => None,
    }
}

/// A call is refused by a head that is trailers at the same time, or its library would know of no status but "unknown".
fn queue_grpc_status<'a, W: Wire>(
    fault: Fault,
    prepared: &'a Prepared,
    mut fields: Fields<'a>,
    wire: &mut W,
) -> &'static [u8] {
    let status = grpc::status(fault.status).as_bytes();
    fields.push(Field::new(b"Content-Type", b"application/grpc"));
    fields.push(Field::new(b"X-Request-Id", prepared.id.as_bytes()));
    fields.push(Field::new(b"Grpc-Status", status));
    let reason = fault.reason.code().as_bytes();
    fields.push(Field::new(b"Grpc-Message", reason));
    wire.respond(&ResponseHead {
        status: 200,
        phrase: b"",
        fields: &fields,
        source: &[],
        body: ResponseBody::None { declared: None },
    });
    &[]
}

fn queue_head<'a, W: Wire>(
    status: u16,
    fields: &[Field<'_>],
    body: &'a [u8],
    method: Method,
    wire: &mut W,
) -> &'a [u8] {
    let length = body.len() as u64;
    let bodiless = method == Method::Head || matches!(status, 204 | 304);
    let framing = if bodiless {
        let declared = (status == 200 || length > 0).then_some(length);
        ResponseBody::None { declared }
    } else {
        ResponseBody::Length(length)
    };
    wire.respond(&ResponseHead {
        status,
        phrase: b"",
        fields,
        source: b"",
        body: framing,
    });
    if bodiless { &[] } else { body }
}

/// Sends payload, piece by piece, whose head is queued, and the end. Returns how much it was.
pub(super) async fn send<'a, W: Wire>(
    mut pieces: impl Iterator<Item = &'a [u8]>,
    wire: &mut W,
    deadline: &Deadline,
    downstream: &Downstream,
) -> Result<u64, Error> {
    let next = |_: &mut Context<'_>| Poll::Ready(Ok(pieces.next()));
    send_as_it_comes(next, Duration::ZERO, wire, (deadline, downstream)).await
}

/// The same for payload that is on its way: the next of it may be `patience` away.
pub(super) async fn send_as_it_comes<P: AsRef<[u8]>, W: Wire>(
    mut next: impl FnMut(&mut Context<'_>) -> Poll<Result<Option<P>, Error>>,
    patience: Duration,
    wire: &mut W,
    (deadline, downstream): (&Deadline, &Downstream),
) -> Result<u64, Error> {
    let listener = &downstream.listener;
    let mut pace = Pace::new(listener.min_body_rate, listener.idle_timeout);
    let mut piece: Option<P> = None;
    let mut at = 0;
    let mut total = 0;
    let mut waits = false;
    let mut finished = false;
    // The client is waited for from the first byte to the last, but for when there is nothing for it.
    let mut keeps_pace = |total: u64, is_waited_for: bool| {
        let slack = pace.note(deadline.now(), total, is_waited_for);
        let limit = slack.map(|slack| if is_waited_for { slack } else { patience });
        limit.inspect(|limit| deadline.arm(*limit)).is_some()
    };
    keeps_pace(total, true);
    let result = poll_fn(|cx| {
        while !finished {
            let whole = piece.as_ref().map_or(&[][..], AsRef::as_ref);
            let left = whole.get(at..).unwrap_or_default();
            if left.is_empty() {
                match next(cx)? {
                    Poll::Ready(Some(next)) => (piece, at) = (Some(next), 0),
                    Poll::Ready(None) => {
                        wire.finish(&[]);
                        finished = true;
                    }
                    Poll::Pending => {
                        if !std::mem::replace(&mut waits, true) {
                            keeps_pace(total, false);
                        }
                        return nothing_yet(cx, wire, deadline);
                    }
                }
                // The time in which there was nothing to take is not the client's.
                if std::mem::take(&mut waits) {
                    keeps_pace(total, true);
                }
                continue;
            }
            let sent = wire.poll_send(cx, left).map_err(Error::Wire)?;
            let Some(count) = ready!(deadline.bound(cx, sent)) else {
                return Poll::Ready(Err(Error::ClientTimeout));
            };
            at += count;
            total += count as u64;
            if !keeps_pace(total, true) {
                return Poll::Ready(Err(Error::ClientTimeout));
            }
        }
        let flushed = wire.poll_flush(cx).map_err(Error::Wire)?;
        let in_time = ready!(deadline.bound(cx, flushed));
        Poll::Ready(in_time.ok_or(Error::ClientTimeout))
    })
    .await;
    deadline.disarm();
    result.map(|()| total)
}

/// While there is nothing to send: what is there goes out, and a client that goes need not be waited for.
fn nothing_yet<W: Wire, T>(
    cx: &mut Context<'_>,
    wire: &mut W,
    deadline: &Deadline,
) -> Poll<Result<T, Error>> {
    let flushed = wire.poll_flush(cx);
    if matches!(flushed, Poll::Ready(Err(_))) || wire.poll_gone(cx).is_ready() {
        return Poll::Ready(Err(Error::Wire(WireError::Gone)));
    }
    if deadline.poll_expired(cx) {
        return Poll::Ready(Err(Error::UpstreamTimeout));
    }
    Poll::Pending
}
