//! The life of one request, from its checked head to the access log.

mod answer;
mod attempt;
mod caching;
mod coded;
pub mod connections;
pub mod context;
mod download;
mod error;
mod forward;
mod given_up;
mod head;
mod kept;
mod log;
pub mod mirror;
mod prepare;
mod queued;
mod refused;
pub mod serving;
mod stream_head;
mod stream_tunnel;
mod streamed;
mod tracing;
mod tries;
mod watch;
pub mod wire;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use openclaw_core::balance::Pin;
use openclaw_core::coding;
use openclaw_core::config::{HeaderEdit, Route, Sticky};
use openclaw_core::message::{Fault, Method};
use openclaw_core::reason::Reason;

pub use self::error::{EXHAUSTED, connect_detail};
pub(crate) use self::log::protocol;
pub use self::prepare::{Prepared, prepare};
pub use self::refused::{refuse, refuse_late};

use self::caching::{Behind, Through, Unsettling};
use self::context::{Downstream, Local};
use self::error::{Error, is_of_endpoint};
use self::forward::Passage;
use self::given_up::GivenUp;
use self::prepare::{Outbound, Plan};
use self::serving::Serving;
use self::watch::Limits;
use self::wire::{Wire, WireError};
use crate::filter::Allowance;
use crate::telemetry::{Cache, Hedged, Record, Tried};
use crate::time::Deadline;
use crate::upstream::{Endpoint, Upstream};

/// What this proxy does to the fields of a response.
#[derive(Clone, Copy, Debug)]
struct Edits<'a> {
    of_route: &'a HeaderEdit,
    allowance: Option<Allowance>,
    alt_svc: Option<&'a str>,
    /// Where the client is to stay, and whether it came over TLS.
    cookie: Option<(&'a Sticky, Pin, bool)>,
    /// Who the endpoint is, where it may name itself.
    own: Option<Own<'a>>,
    /// What is compressed.
    compress: Option<&'a coding::Rule>,
}

/// How an endpoint knows itself.
#[derive(Clone, Copy, Debug)]
struct Own<'a> {
    route: &'a Route,
    endpoint: &'a Endpoint,
    /// The head that it got.
    head: &'a [u8],
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
    /// Its span, if it is not the first one's.
    span: Option<u64>,
    retries: u32,
    /// What came of asking a second endpoint beside the first one.
    hedge: Option<Hedged>,
    /// Endpoints that were asked in vain.
    tries: Vec<Tried>,
    given_up: GivenUp,
    /// What the cache made of it.
    cache: Option<Cache>,
}

/// A request under way. Whatever becomes of it, also when its task is dropped, it is counted and logged once.
struct Running<'a> {
    local: &'a Local,
    downstream: &'a Downstream,
    prepared: Prepared,
    story: Story,
    is_over: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let Self {
            local,
            downstream,
            prepared,
            story,
            is_over,
        } = self;
        if !*is_over {
            let error = match downstream.cut.get() {
                Some(reason) => Error::TurnedAway(reason),
                None if local.is_ending() => Error::Ended,
                None => Error::Wire(WireError::Gone),
            };
            story.fail(error.fault());
        }
        record(local, downstream, prepared, story);
        if let Plan::Forward(outbound) = &mut prepared.plan {
            local.buffers.give_back(std::mem::take(&mut outbound.head));
        }
    }
}

impl Story {
    /// An endpoint was asked in vain from `since` on.
    fn tried(&mut self, endpoint: &Endpoint, error: Error, since: Instant) {
        self.tries.push(tried(endpoint, error, since, self.span));
    }

    fn fail(&mut self, fault: Fault) {
        self.reason = Some(fault.reason);
        self.detail = fault.detail;
        if self.passage.status == 0 {
            self.passage.status = fault.status;
        }
    }
}

fn tried(endpoint: &Endpoint, error: Error, since: Instant, span: Option<u64>) -> Tried {
    let fault = error.fault();
    Tried {
        endpoint: Arc::clone(&endpoint.label),
        reason: fault.reason,
        detail: fault.detail,
        begun: since,
        took: since.elapsed(),
        span,
    }
}

/// Carries a request out and answers the client, whatever happens; then counts and logs it.
pub async fn run<W: Wire>(
    local: &Rc<Local>,
    downstream: &Rc<Downstream>,
    prepared: Prepared,
    wire: &mut W,
    deadline: &Deadline,
) {
    let mut running = Running {
        local,
        downstream,
        prepared,
        story: Story::default(),
        is_over: false,
    };
    let Running {
        prepared, story, ..
    } = &mut running;
    let serving = prepared.serving.clone();
    let route = prepared
        .route
        .and_then(|index| serving.snapshot.config.routes.get(index));
    caching::settle(local, prepared, deadline).await;
    caching::refresh(local, downstream, prepared);
    let fault = match (&prepared.plan, route) {
        (Plan::Stored(stored, _), Some(route)) => {
            let place = (&**local, &**downstream);
            caching::answer(place, (prepared, route), stored, wire, deadline, story).await
        }
        (Plan::Forward(outbound), Some(route)) => match serving.upstreams.get(outbound.upstream) {
            Some(upstream) => {
                let forwarding = Forwarding {
                    local,
                    downstream,
                    prepared,
                    serving: &serving,
                    upstream,
                    route,
                    outbound,
                    deadline,
                };
                forwarding.run(wire, story).await
            }
            None => Some(Error::NoEndpoint.fault()),
        },
        (Plan::Answer(location), Some(route)) => {
            let way = (route, location.as_deref());
            let (status, sent) =
                answer::of_route(local, downstream, way, prepared, wire, deadline).await;
            story.passage.status = status;
            story.passage.bytes_out = *sent.as_ref().unwrap_or(&0);
            sent.err().map(Error::fault)
        }
        (Plan::Options, _) => {
            let sent = answer::of_options(local, downstream, wire, deadline).await;
            story.passage.status = 200;
            sent.err().map(Error::fault)
        }
        (Plan::Refuse(fault), _) => Some(*fault),
        (Plan::Forward(_) | Plan::Stored(..) | Plan::Answer(_), None) => {
            Some(Error::NoEndpoint.fault())
        }
    };
    if let Some(fault) = fault {
        local.accuse(downstream, fault.reason);
        story.fail(fault);
        tell(local, downstream, fault, prepared, wire, deadline, story).await;
    }
    running.is_over = true;
}

/// A request that goes to an endpoint.
struct Forwarding<'a> {
    local: &'a Rc<Local>,
    downstream: &'a Rc<Downstream>,
    prepared: &'a Prepared,
    serving: &'a Rc<Serving>,
    upstream: &'a Upstream,
    route: &'a Route,
    outbound: &'a Outbound,
    deadline: &'a Deadline,
}

impl Forwarding<'_> {
    async fn run<W: Wire>(self, wire: &mut W, story: &mut Story) -> Option<Fault> {
        let Self {
            local,
            prepared,
            route,
            outbound,
            deadline,
            ..
        } = self;
        story.upstream = Some(self.upstream.slot);
        story.sent = Some(prepared.started);
        let limits = Limits::new(&self.downstream.listener, &self.upstream.config, route);
        deadline.cap(route.timeout);
        let through = Through {
            local,
            downstream: self.downstream,
            upstream: self.upstream,
            route,
            outbound,
            edits: edits(prepared, self.downstream, route),
            time: (deadline, limits),
            is_head: prepared.method == Method::Head,
            ids: prepared.ids.as_deref(),
            behind: prepared.route.map(|route| Behind {
                local,
                downstream: self.downstream,
                serving: self.serving,
                route,
            }),
        };
        // Boxed, so that exchanges without a cache need not have room for that.
        let fault = match (outbound.caching.as_ref(), &route.cache) {
            (None, _) => through.past_the_cache(wire, story).await,
            (Some(asking), Some(rule)) => Box::pin(through.cached(rule, asking, wire, story)).await,
            (Some(asking), None) => {
                let mut wire = Unsettling::new(wire, asking);
                Box::pin(through.past_the_cache(&mut wire, story)).await
            }
        };
        in_time(fault, deadline)
    }
}

/// What is done to the fields of a response on this route.
fn edits<'a>(prepared: &'a Prepared, downstream: &'a Downstream, route: &'a Route) -> Edits<'a> {
    Edits {
        of_route: prepared.edits.as_deref().unwrap_or(&route.headers.response),
        allowance: prepared.allowance,
        alt_svc: downstream.alt_svc.as_deref(),
        cookie: None,
        own: None,
        compress: route.compress.as_ref(),
    }
}

/// What an exchange with an endpoint came to, when it had a time for all of it: another failure that was found when that time
/// was up, such as a connection that was not there yet, is not what went wrong.
fn in_time(fault: Option<Fault>, deadline: &Deadline) -> Option<Fault> {
    let is_over = deadline.is_over();
    deadline.cap(None);
    let is_of_time = |reason| matches!(reason, Reason::UpstreamConnect | Reason::UpstreamSaturated);
    fault.map(|fault| {
        if is_over && is_of_time(fault.reason) {
            Error::RouteTimeout.fault()
        } else {
            fault
        }
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
    // A client that gets nothing at all may take its connection for a stale one, and repeat what the endpoint has done.
    if fault.reason == Reason::ClientAborted || !(wire.can_respond() || wire.take_back()) {
        wire.abort(fault.reason);
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
    let mut story = Story::default();
    story.fail(fault);
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
    if let Some((slot, hedge)) = story.upstream.zip(story.hedge) {
        local.recorder.hedged(slot, hedge);
    }
    let mut log = prepared.log.take();
    if let Some(log) = &mut log {
        log::complete(log, prepared, story);
    }
    story.given_up.count(local);
    let last = story.endpoint.as_ref();
    let last = last.filter(|endpoint| !story.given_up.has(endpoint));
    if let Some(endpoint) = last {
        endpoint.was_asked(upstream_time, story.reason.is_some_and(is_of_endpoint));
    }
    let record = Record {
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
        endpoint: last.map(|endpoint| endpoint.slot.get()),
        upstream_time,
        retries: story.retries,
        waited: story.sent.map(|sent| sent.duration_since(prepared.started)),
        tries: &story.tries,
        cache: story.cache,
        ids: prepared.ids.as_deref().map(|ids| (ids, story.span)),
    };
    let late = || log::late_fields(downstream, prepared, story);
    local.recorder.exchange(&record, log, late);
}
