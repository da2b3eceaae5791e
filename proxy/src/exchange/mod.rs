//! The life of one request, from its checked head to the access log.

mod answer;
pub mod connections;
pub mod context;
mod download;
mod error;
mod forward;
mod prepare;
pub mod wire;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use openclaw_core::config::HeaderEdit;
use openclaw_core::message::Fault;
use openclaw_core::reason::Reason;

pub use self::prepare::{Prepared, prepare, refuse};

use self::context::{Downstream, Local};
use self::error::Error;
use self::forward::{Forward, Limits, Passage};
use self::prepare::{Outbound, Plan};
use self::wire::{Wire, WireError};
use crate::filter::Allowance;
use crate::telemetry::Record;
use crate::time::Deadline;
use crate::upstream::{Connection, Endpoint, Upstream};

/// How often a kept connection that turned out dead is replaced before that counts as a try.
const STALE_TRIES: u32 = 3;

/// What this proxy does to the fields of a response.
#[derive(Clone, Copy, Debug)]
struct Edits<'a> {
    of_route: &'a HeaderEdit,
    allowance: Option<Allowance>,
}

/// What is known at the end, for counters and log.
#[derive(Default)]
struct Story {
    passage: Passage,
    reason: Option<Reason>,
    detail: &'static str,
    upstream: Option<u32>,
    endpoint: Option<Rc<Endpoint>>,
    /// When the last try began.
    sent: Option<Instant>,
    retries: u32,
}

/// An exchange under way. However it ends, it is counted and logged, and gives back what it borrowed: also when its connection is
/// closed in the middle and the future dropped.
struct Course<'a> {
    local: &'a Local,
    downstream: &'a Downstream,
    prepared: Prepared,
    story: Story,
    is_over: bool,
}

impl Drop for Course<'_> {
    fn drop(&mut self) {
        if let Plan::Forward(outbound) = &mut self.prepared.plan {
            let head = std::mem::take(&mut outbound.head);
            self.local.buffers.give_back(head);
        }
        if !self.is_over {
            // What ends with the worker itself is not told.
            let Some(reason) = self.downstream.cut.get() else {
                return;
            };
            self.story.reason = Some(reason);
            self.story.detail = "the connection was closed when its peer was turned away";
            if self.story.passage.status == 0 {
                self.story.passage.status = Error::Wire(WireError::Gone).fault().status;
            }
        }
        let Self {
            local,
            downstream,
            prepared,
            story,
            is_over: _,
        } = self;
        record(local, downstream, prepared, story);
    }
}

/// Carries a request out and answers the client, whatever happens; then counts and logs it.
pub async fn run<W: Wire>(
    local: &Local,
    downstream: &Downstream,
    prepared: Prepared,
    wire: &mut W,
    deadline: &Deadline,
) {
    let method = prepared.method;
    let serving = prepared.serving.clone();
    let mut course = Course {
        local,
        downstream,
        prepared,
        story: Story::default(),
        is_over: false,
    };
    let Course {
        prepared, story, ..
    } = &mut course;
    let route = prepared
        .route
        .and_then(|index| serving.snapshot.config.routes.get(index));
    let fault = match (&prepared.plan, route) {
        (Plan::Forward(outbound), Some(route)) => {
            let upstream = serving.upstreams.get(outbound.upstream);
            match upstream {
                Some(upstream) => {
                    story.upstream = Some(upstream.slot);
                    story.sent = Some(prepared.started);
                    let edits = Edits {
                        of_route: &route.headers.response,
                        allowance: prepared.allowance,
                    };
                    forward(
                        local, downstream, upstream, outbound, edits, wire, deadline, story,
                    )
                    .await
                }
                None => Some(Error::NoEndpoint.fault()),
            }
        }
        (Plan::Answer, Some(route)) => {
            let (status, sent) = answer::of_route(
                local,
                downstream,
                route,
                (method, prepared.allowance),
                wire,
                deadline,
            )
            .await;
            story.passage.status = status;
            story.passage.bytes_out = *sent.as_ref().unwrap_or(&0);
            sent.err().map(Error::fault)
        }
        (Plan::Refuse(fault), _) => Some(*fault),
        (Plan::Forward(_) | Plan::Answer, None) => Some(Error::NoEndpoint.fault()),
    };
    if let Some(fault) = fault {
        story.reason = Some(fault.reason);
        story.detail = fault.detail;
        local.accuse(downstream, fault.reason);
        tell(local, downstream, fault, prepared, wire, deadline, story).await;
    }
    course.is_over = true;
}

/// Tries endpoints until one has answered or nothing may be tried any more.
#[expect(
    clippy::too_many_arguments,
    reason = "the one place where all parts of an exchange meet"
)]
async fn forward<W: Wire>(
    local: &Local,
    downstream: &Downstream,
    upstream: &Upstream,
    outbound: &Outbound,
    edits: Edits<'_>,
    wire: &mut W,
    deadline: &Deadline,
    story: &mut Story,
) -> Option<Fault> {
    let limits = Limits {
        client: downstream.listener.idle_timeout,
        upstream: upstream.config.response_timeout,
        tunnel: upstream.config.tunnel_timeout,
    };
    let mut tried: Vec<SocketAddr> = Vec::new();
    let mut failure = None;
    let mut stale = 0;
    // The first try begins when the request was read: one look at the clock less.
    let mut now = story.sent.unwrap_or_else(Instant::now);
    loop {
        let Some(endpoint) = upstream.choose(&tried, now) else {
            return Some(failure.unwrap_or(Error::NoEndpoint).fault());
        };
        story.endpoint = Some(endpoint.clone());
        let error = match connect(local, upstream, &endpoint, stale < STALE_TRIES, deadline).await {
            Ok(connection) => {
                let reused = connection.reused;
                let passage = &mut story.passage;
                let forward = Forward::new(
                    wire,
                    local,
                    connection,
                    outbound,
                    edits,
                    (deadline, limits),
                    passage,
                );
                match forward.run(upstream).await {
                    Ok(()) => return None,
                    Err(error) if error.is_retriable(outbound.idempotent, reused) && reused => {
                        stale += 1;
                        continue;
                    }
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        if !error.is_retriable(outbound.idempotent, false)
            || story.retries >= upstream.config.retries
        {
            return Some(error.fault());
        }
        story.retries += 1;
        failure = Some(error);
        tried.push(endpoint.address);
        now = Instant::now();
        story.sent = Some(now);
    }
}

/// A kept connection if there is a live one, else a new one within `connect_timeout`.
async fn connect(
    local: &Local,
    upstream: &Upstream,
    endpoint: &Rc<Endpoint>,
    may_reuse: bool,
    deadline: &Deadline,
) -> Result<Connection, Error> {
    if may_reuse && let Some(connection) = endpoint.idle_connection() {
        return Ok(connection);
    }
    deadline.arm(upstream.config.connect_timeout);
    let mut connecting = Box::pin(endpoint.connect());
    let result = poll_fn(|cx| match connecting.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(result.map_err(|error| error.kind())),
        Poll::Pending if deadline.poll_expired(cx) => Poll::Ready(Err(io::ErrorKind::TimedOut)),
        Poll::Pending => Poll::Pending,
    })
    .await;
    deadline.disarm();
    local
        .recorder
        .upstream_connect(endpoint.slot.get(), result.is_ok());
    result.map_err(|kind| {
        endpoint.failed(Instant::now());
        Error::Connect(kind)
    })
}

/// Answers with a refusal if the client can still take one; otherwise makes sure that it sees no clean end.
async fn tell<W: Wire>(
    local: &Local,
    downstream: &Downstream,
    fault: Fault,
    prepared: &Prepared,
    wire: &mut W,
    deadline: &Deadline,
    story: &mut Story,
) {
    if fault.reason == Reason::ClientAborted || !wire.can_respond() {
        wire.abort(fault.reason);
        if story.passage.status == 0 {
            story.passage.status = fault.status;
        }
        return;
    }
    story.passage.status = fault.status;
    let told = answer::refusal(local, downstream, fault, prepared, wire, deadline).await;
    match told {
        Ok(sent) => story.passage.bytes_out = sent,
        Err(error) => wire.abort(error.fault().reason),
    }
}

/// Counts and logs a request that its wire refused without an answer.
pub fn record_refused(
    local: &Local,
    downstream: &Downstream,
    mut prepared: Prepared,
    fault: Fault,
) {
    local.accuse(downstream, fault.reason);
    let passage = Passage {
        status: fault.status,
        ..Passage::default()
    };
    let story = Story {
        passage,
        reason: Some(fault.reason),
        detail: fault.detail,
        ..Story::default()
    };
    record(local, downstream, &mut prepared, &story);
}

fn record(local: &Local, downstream: &Downstream, prepared: &mut Prepared, story: &Story) {
    let route = prepared
        .route
        .and_then(|index| prepared.serving.slots.routes.get(index))
        .copied();
    let upstream_time = story
        .passage
        .answered
        .zip(story.sent)
        .map(|(answered, sent)| answered.duration_since(sent));
    if let Some(log) = &mut prepared.log {
        if let Some(endpoint) = &story.endpoint {
            endpoint.label.as_ref().clone_into(&mut log.endpoint);
        }
        if let Plan::Forward(outbound) = &prepared.plan
            && let Some(upstream) = prepared.serving.upstreams.get(outbound.upstream)
        {
            upstream.config.name.as_ref().clone_into(&mut log.upstream);
        }
        log.detail = story.detail;
    }
    local.recorder.exchange(&Record {
        listener: downstream.listener_slot,
        route,
        method: prepared.method.name().as_bytes(),
        status: story.passage.status,
        reason: story.reason,
        started: prepared.started,
        ended: Instant::now(),
        bytes_in: story.passage.bytes_in,
        bytes_out: story.passage.bytes_out,
        upstream: story.upstream,
        endpoint: story.endpoint.as_ref().map(|endpoint| endpoint.slot.get()),
        upstream_time,
        retries: story.retries,
        log: prepared.log.as_deref(),
    });
}

/// Waits for a condition with a deadline; `false` when the time is up.
pub async fn within(
    deadline: &Deadline,
    limit: Duration,
    mut poll: impl FnMut(&mut std::task::Context<'_>) -> Poll<()>,
) -> bool {
    deadline.arm(limit);
    let done = poll_fn(|cx| match poll(cx) {
        Poll::Ready(()) => Poll::Ready(true),
        Poll::Pending if deadline.poll_expired(cx) => Poll::Ready(false),
        Poll::Pending => Poll::Pending,
    })
    .await;
    deadline.disarm();
    done
}
