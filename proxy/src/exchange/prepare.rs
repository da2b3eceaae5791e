//! From a checked request head to everything the exchange needs, while the head's bytes are still where the wire put
//! them: route, endpoint head, log fields. Nothing here waits.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

use openclaw_core::balance::{Key, Pin};
use openclaw_core::config::{Action, Balance, Forwarded, HeaderEdit, Route, UpstreamProtocol};
use openclaw_core::message::h1::Asked;
use openclaw_core::message::render::{self, Hop};
use openclaw_core::message::{
    Fault, Framing, Kind, Method, Request, Version, authority, grpc, path, via, websocket,
};
use openclaw_core::proxy_protocol::Ends;
use openclaw_core::route::{self, Request as _, Seen, target};
use openclaw_core::template::Facts;
use openclaw_core::trace::{self, Ids, RequestId};
use regex::bytes::Regex;

use super::caching::{Asking, Refresh, Stored, planned};
use super::coded::{self, Wish};
use super::context::{Downstream, Local};
use super::error::{Error, LOOP, NOT_REFLECTED};
use super::log::log_fields;
use super::mirror;
use super::serving::Serving;
use super::tracing;
use crate::filter::{self, Allowance};
use crate::telemetry::LogFields;
use crate::upstream::Upstream;

/// How often a request may have been through a proxy of this kind.
const MAX_PASSES: usize = 8;

/// A request ready to be carried out; owns all it needs.
#[derive(Debug)]
pub struct Prepared {
    pub(super) serving: Rc<Serving>,
    pub(super) route: Option<usize>,
    pub(super) plan: Plan,
    /// What the client is told of its limit.
    pub(super) allowance: Option<Allowance>,
    /// The route's edits of the response, where they have variables, filled in as far as the request goes.
    pub(super) edits: Option<Box<HeaderEdit>>,
    pub(super) id: RequestId,
    pub(super) client: IpAddr,
    pub(super) version: Version,
    pub(super) method: Method,
    /// The client knows refusals by gRPC's own status alone.
    pub(super) is_grpc: bool,
    pub(super) started: Instant,
    pub(super) log: Option<Box<LogFields>>,
    /// Its place in a trace that is recorded.
    pub(super) ids: Option<Box<Ids>>,
}

/// What is to be done.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "most requests are forwarded")]
pub(super) enum Plan {
    Forward(Outbound),
    /// From the cache; where it is stale, with the request that asks for it again.
    Stored(Box<Stored>, Option<Box<Refresh>>),
    /// The route's own answer: `respond`, or `redirect` with the place where that is not as it is written.
    Answer(Option<Vec<u8>>),
    /// OPTIONS with `Max-Forwards: 0`: we are whom it asks (RFC 9110 §7.6.2).
    Options,
    Refuse(Fault),
}

/// The request as it goes to an endpoint.
#[derive(Debug)]
pub(super) struct Outbound {
    /// Index into `Serving::upstreams`.
    pub upstream: usize,
    /// Rendered; kept until the response has begun, for a retry.
    pub head: Vec<u8>,
    pub framing: Framing,
    pub asked: Asked,
    /// The client's wire knows upgrades: it is HTTP/1.1.
    pub knows_upgrade: bool,
    /// The protocols that the client offers to switch to; empty when it asks for none.
    pub protocols: Vec<u8>,
    /// Names of trailers that go no further, see [`render::named`].
    pub named: Vec<u8>,
    pub max_body: u64,
    /// A call of gRPC, whose streams may be silent once they have begun.
    pub is_grpc: bool,
    pub idempotent: bool,
    /// Whose connection the endpoint is told that it gets, where it is told.
    pub ends: Option<Ends>,
    /// What stays at one endpoint, where the balancer goes by that.
    pub key: Key,
    /// The same for a copy of it.
    pub mirror_key: Key,
    /// Where clients stay with their endpoint.
    pub came: Option<Box<Came>>,
    /// What the cache does with the response.
    pub caching: Option<Box<Asking>>,
    /// What the client takes, where responses are compressed.
    pub coding: Option<Box<Wish>>,
}

/// How a client came to an upstream whose clients stay with their endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Came {
    /// What its cookie says.
    pub with: Option<Pin>,
    pub is_secure: bool,
}

/// Decides what to do with a request.
pub fn prepare(local: &Local, downstream: &Downstream, request: &Request<'_>) -> Prepared {
    let serving = local.serving();
    let started = Instant::now();
    let id = request_id(local, downstream, request);
    let client = downstream.client(request.fields);
    let mut written = Vec::new();
    let path = path::normalised(request.path(), &mut written);
    let misdirected = downstream.is_misdirected(authority::host(request.authority));
    let seen = Seen {
        request,
        path,
        client,
        scheme: downstream.scheme_of(request),
    };
    let index = (!misdirected).then(|| serving.router.find(&seen)).flatten();
    let route = index.and_then(|index| serving.snapshot.config.routes.get(index));
    let filters = index.and_then(|index| serving.filters.get(index));
    let barred = downstream.bars(client, local);
    let filters = filters.filter(|_| barred.is_none());
    let filtered = filter::ask(filters.map_or(&[], Vec::as_slice), &seen, started);
    let early = downstream.early.get();
    let ids = tracing::ids(local, &serving, request, downstream.trusted);
    let known_as = (&id, ids.as_deref());
    let plan = match (route, filtered.refusal) {
        _ if let Some(reason) = barred => Plan::Refuse(Error::Barred(reason).fault()),
        _ if early && !Method::of(request.method).is_safe() => {
            Plan::Refuse(Error::TooEarly.fault())
        }
        (None, _) if misdirected => Plan::Refuse(Error::Misdirected.fault()),
        (None, _) => Plan::Refuse(Error::NoRoute.fault()),
        (Some(_), Some(refusal)) => Plan::Refuse(Error::Filtered(refusal).fault()),
        (Some(route), None) => goes_no_further(request).unwrap_or_else(|| {
            let asked = (&seen, downstream.trusted);
            planned(&serving, route, asked, started, |seen| {
                plan(local, downstream, seen, (index, route), &serving, known_as)
            })
        }),
    };
    let edits = route.filter(|route| route.headers.response.has_variables());
    let edits = edits.map(|route| {
        let facts = facts(downstream, &seen, route, &id, upstream_of(&plan, &serving));
        Box::new(route.headers.response.filled(&facts))
    });
    let wanted = local.recorder.wanted();
    let wants_fields = wanted.fields || ids.is_some() || matches!(plan, Plan::Refuse(_));
    let log = wants_fields.then(|| {
        let mut log = log_fields(downstream, request, route, (&id, client));
        log.is_left_out = !wanted.line;
        log
    });
    Prepared {
        serving,
        route: index,
        plan,
        allowance: filtered.allowance,
        edits,
        id,
        client,
        version: request.version,
        method: Method::of(request.method),
        is_grpc: grpc::is_call(request),
        started,
        log,
        ids,
    }
}

/// That of a trusted proxy, or a new one.
fn request_id(local: &Local, downstream: &Downstream, request: &Request<'_>) -> RequestId {
    let received = request
        .known(Kind::XRequestId)
        .filter(|_| downstream.trusted);
    received
        .and_then(trace::received_id)
        .unwrap_or_else(|| trace::request_id(local.random_u128()))
}

fn plan(
    local: &Local,
    downstream: &Downstream,
    seen: &Seen<'_>,
    (index, route): (Option<usize>, &Route),
    serving: &Serving,
    (id, ids): (&RequestId, Option<&Ids>),
) -> Plan {
    let (request, client) = (seen.request, seen.client);
    let regex = index.and_then(|index| serving.groups.get(index)?.as_ref());
    let max_body = route.max_body.unwrap_or(u64::MAX);
    if matches!(request.framing, Framing::Length(length) if length > max_body) {
        return Plan::Refuse(Error::BodyTooLarge.fault());
    }
    let targets = match &route.action {
        Action::Forward(targets) => targets,
        Action::Respond(_) => return Plan::Answer(None),
        Action::Redirect(redirect) => {
            let facts = facts(downstream, seen, route, id, "");
            return Plan::Answer(target::for_client(redirect, regex, &facts));
        }
    };
    let choice = match targets.as_slice() {
        [only] => only.upstream,
        several => {
            let random = local.random.borrow_mut().u64(..);
            route::pick(several, &route.split_by, seen, random)
        }
    };
    let Some(upstream) = serving.upstreams.get(choice) else {
        return Plan::Refuse(Error::NoEndpoint.fault());
    };
    let announces = upstream.config.send_proxy_protocol.is_some();
    let websocket = websocket_key(local, request);
    let facts = facts(downstream, seen, route, id, &upstream.config.name);
    let traceparent = tracing::header(local, serving, request, ids);
    let head = head(
        local,
        downstream,
        &facts,
        (route, regex),
        upstream.config.forwarded,
        (websocket.as_ref(), &traceparent),
    );
    Plan::Forward(Outbound {
        upstream: choice,
        head,
        framing: request.framing,
        asked: Asked {
            head: request.method == b"HEAD",
            upgrade: may_upgrade(request, upstream.config.protocol),
            websocket,
        },
        knows_upgrade: request.version == Version::H11,
        protocols: render::offered(request),
        named: render::named(request.fields),
        max_body,
        is_grpc: grpc::is_call(request),
        idempotent: Method::of(request.method).is_idempotent(),
        ends: announces.then(|| downstream.ends(client)),
        key: balance_key(upstream.config.balance, client, request.target),
        mirror_key: mirror::key(serving, route, client, request.target),
        came: came(upstream, seen),
        caching: None,
        coding: coded::wish(route, request),
    })
}

/// What a client brings to an upstream whose clients stay with their endpoint.
fn came(upstream: &Upstream, seen: &Seen<'_>) -> Option<Box<Came>> {
    let sticky = upstream.config.sticky.as_ref()?;
    Some(Box::new(Came {
        with: Pin::of(seen.cookies(), &sticky.cookie),
        is_secure: seen.scheme == "https",
    }))
}

/// What templates of the route may ask.
fn facts<'a>(
    downstream: &Downstream,
    seen: &'a Seen<'a>,
    route: &'a Route,
    id: &'a RequestId,
    upstream: &'a str,
) -> Facts<'a, Seen<'a>> {
    Facts {
        request: seen,
        target: seen.request.target,
        id,
        route: &route.name,
        upstream,
        local: downstream.local,
    }
}

fn upstream_of<'a>(plan: &Plan, serving: &'a Serving) -> &'a str {
    let upstream = match plan {
        Plan::Forward(outbound) => serving.upstreams.get(outbound.upstream),
        Plan::Stored(..) | Plan::Answer(_) | Plan::Options | Plan::Refuse(_) => None,
    };
    upstream.map_or("", |upstream| &upstream.config.name)
}

/// The request's head as the endpoint gets it.
fn head(
    local: &Local,
    downstream: &Downstream,
    facts: &Facts<'_, Seen<'_>>,
    (route, regex): (&Route, Option<&Regex>),
    forwarded: Forwarded,
    (websocket_key, traceparent): (Option<&websocket::Key>, &str),
) -> Vec<u8> {
    let request = facts.request.request;
    let mut head = local.buffers.head();
    let edits = &route.headers.request;
    let filled = edits.has_variables().then(|| edits.filled(facts));
    render::request_head(
        &mut head,
        request,
        &Hop {
            peer: &downstream.peer_text,
            trusted: downstream.trusted,
            cdns: &downstream.listener.cdns,
            by_cdn: downstream.is_named_by_cdn(request.fields),
            forwarded,
            client: facts.request.client,
            scheme: downstream.scheme(),
            local: downstream.local,
            request_id: facts.id,
            traceparent,
            websocket_key,
            target: &target::for_endpoint(route, regex, facts),
            early: downstream.early.get(),
            edits: filled.as_ref().unwrap_or(edits),
        },
    );
    head
}

/// Requests that no endpoint gets, whatever the route: they are for this hop, or go round in circles.
fn goes_no_further(request: &Request<'_>) -> Option<Plan> {
    if request.max_forwards == Some(0) {
        let options = Method::of(request.method) == Method::Options;
        return Some(if options {
            Plan::Options
        } else {
            Plan::Refuse(NOT_REFLECTED)
        });
    }
    (via::passes(request.fields) > MAX_PASSES).then_some(Plan::Refuse(LOOP))
}

/// A server that speaks something else may ignore the wish (RFC 9110 §7.8).
fn may_upgrade(request: &Request<'_>, protocol: UpstreamProtocol) -> bool {
    let is_known = protocol == UpstreamProtocol::H1 || websocket::is_tunnel(request);
    request.upgrade && render::may_upgrade(request) && is_known
}

/// The challenge that this hop makes in place of a client on a stream.
fn websocket_key(local: &Local, request: &Request<'_>) -> Option<websocket::Key> {
    let is_asked = request.extended_connect;
    is_asked.then(|| websocket::key(local.random_u128()))
}

pub(super) fn balance_key(balance: Balance, client: IpAddr, target: &[u8]) -> Key {
    match balance {
        Balance::IpHash | Balance::Maglev => Key::of_client(client),
        Balance::UrlHash => Key::of_bytes(target),
        Balance::RoundRobin | Balance::LeastConnections | Balance::LeastTime | Balance::Random => {
            Key::default()
        }
    }
}
