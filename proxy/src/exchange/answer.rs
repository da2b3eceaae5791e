//! Answers that this proxy gives itself: a route's `respond` or `redirect`, and refusals.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Instant;

use openclaw_core::config::{Action, Route};
use openclaw_core::message::{Fault, Field, Fields, Method, ResponseBody, ResponseHead, phrase};

use super::context::{Downstream, Local};
use super::error::Error;
use super::wire::Wire;
use crate::time::Deadline;

/// A whole small response.
struct Whole<'a> {
    status: u16,
    fields: Fields<'a>,
    body: &'a [u8],
}

/// Sends what the route says. Returns status and payload bytes.
pub(super) async fn of_route<W: Wire>(
    local: &Local,
    downstream: &Downstream,
    route: &Route,
    method: Method,
    wire: &mut W,
    deadline: &Deadline,
) -> (u16, Result<u64, Error>) {
    let date = local.date(Instant::now());
    let mut whole = Whole {
        status: 200,
        fields: Fields::new(),
        body: &[],
    };
    whole.fields.push(Field::new(b"Date", &date));
    match &route.action {
        Action::Respond(respond) => {
            whole.status = respond.status;
            whole.body = &respond.body;
            if !respond.content_type.is_empty() {
                whole
                    .fields
                    .push(Field::new(b"Content-Type", respond.content_type.as_bytes()));
            }
        }
        Action::Redirect(redirect) => {
            whole.status = redirect.status;
            whole
                .fields
                .push(Field::new(b"Location", redirect.to.as_bytes()));
        }
        Action::Forward(_) => {}
    }
    let edits = &route.headers.response;
    for (name, value) in edits.set.iter().chain(&edits.add) {
        // More than fit are left out; the configuration check bounds them far below.
        let _ = whole
            .fields
            .try_push(Field::new(name.as_bytes(), value.as_bytes()));
    }
    (
        whole.status,
        send(whole, method, wire, deadline, downstream).await,
    )
}

/// Tells the client in a few fixed words that it is refused, and under which id the log knows more.
pub(super) async fn refusal<W: Wire>(
    local: &Local,
    downstream: &Downstream,
    fault: Fault,
    (id, method): (&str, Method),
    wire: &mut W,
    deadline: &Deadline,
) -> Result<u64, Error> {
    let date = local.date(Instant::now());
    let body = format!(
        "{} {}\n{}\nrequest id: {id}\n",
        fault.status,
        phrase(fault.status),
        fault.reason.code()
    );
    let mut fields = Fields::new();
    fields.push(Field::new(b"Date", &date));
    fields.push(Field::new(b"Content-Type", b"text/plain; charset=utf-8"));
    fields.push(Field::new(b"Cache-Control", b"no-store"));
    fields.push(Field::new(b"X-Request-Id", id.as_bytes()));
    match fault.status {
        503 => fields.push(Field::new(b"Retry-After", b"5")),
        405 => fields.push(Field::new(
            b"Allow",
            b"GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS",
        )),
        _ => {}
    }
    send(
        Whole {
            status: fault.status,
            fields,
            body: body.as_bytes(),
        },
        method,
        wire,
        deadline,
        downstream,
    )
    .await
}

async fn send<W: Wire>(
    whole: Whole<'_>,
    method: Method,
    wire: &mut W,
    deadline: &Deadline,
    downstream: &Downstream,
) -> Result<u64, Error> {
    let length = whole.body.len() as u64;
    let bodiless = method == Method::Head || matches!(whole.status, 204 | 304);
    let body = if bodiless {
        ResponseBody::None {
            declared: (whole.status == 200 || length > 0).then_some(length),
        }
    } else {
        ResponseBody::Length(length)
    };
    wire.respond(&ResponseHead {
        status: whole.status,
        phrase: b"",
        fields: &whole.fields,
        body,
    });
    let mut left = if bodiless { &[][..] } else { whole.body };
    let sent = left.len() as u64;
    let mut finished = false;
    deadline.arm(downstream.listener.idle_timeout);
    let result = poll_fn(|cx| {
        while !left.is_empty() {
            match wire.poll_send(cx, left).map_err(Error::Wire)? {
                Poll::Ready(count) => left = left.get(count..).unwrap_or_default(),
                Poll::Pending if deadline.poll_expired(cx) => {
                    return Poll::Ready(Err(Error::ClientTimeout));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        if !finished {
            wire.finish(&[]);
            finished = true;
        }
        match wire.poll_flush(cx).map_err(Error::Wire)? {
            Poll::Ready(()) => Poll::Ready(Ok(())),
            Poll::Pending if deadline.poll_expired(cx) => Poll::Ready(Err(Error::ClientTimeout)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    deadline.disarm();
    result.map(|()| sent)
}
