//! An exchange with a cache between: from the store, or from the origin and into the store on the way.

mod draft;
mod filling;
mod look;
mod nobody;
mod planning;
mod stored;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openclaw_core::caching::{Rule, Status};
use openclaw_core::config::Route;
use openclaw_core::message::{Fault, Method};

pub(super) use self::look::{Asking, Stored};
pub(super) use self::planning::{Planning, Refresh};

use self::filling::{Filling, Outcome};
use self::look::{Purpose, Wish};
use self::nobody::Nobody;
use super::context::{Downstream, Local};
use super::prepare::{Outbound, Plan, Prepared};
use super::tries::Tries;
use super::watch::Limits;
use super::wire::Wire;
use super::{Edits, Story, edits};
use crate::cache::{Found, Lead, Turn};
use crate::telemetry::Cache;
use crate::time::Deadline;
use crate::upstream::Upstream;

/// How long a request waits for another one that fetches the same.
const WAIT: Duration = Duration::from_secs(5);

/// What a request needs on its way to an endpoint.
pub(super) struct Through<'a> {
    pub local: &'a Local,
    pub downstream: &'a Downstream,
    pub upstream: &'a Upstream,
    pub route: &'a Route,
    pub outbound: &'a Outbound,
    pub edits: Edits<'a>,
    pub time: (&'a Deadline, Limits),
    pub is_head: bool,
}

impl<'a> Through<'a> {
    /// The tries, with nothing between.
    pub(super) fn tries(&self) -> Tries<'a> {
        let tries = Tries::new(
            self.local,
            self.upstream,
            self.outbound,
            self.edits,
            self.time,
        );
        tries.of_route(self.route)
    }

    /// Fetches, stores and answers. What goes wrong is told as of any exchange.
    pub(super) async fn cached<W: Wire>(
        &self,
        rule: &Rule,
        asking: &Asking,
        wire: &mut W,
        story: &mut Story,
    ) -> Option<Fault> {
        let Purpose::Store(wish) = &asking.purpose else {
            story.cache = Some(Cache::Bypass);
            return self.fetch((rule, asking), None, wire, story).await.err();
        };
        story.cache = Some(Cache::Miss);
        let lead = match self.turn(asking, wish).await {
            Ok(lead) => lead,
            Err(found) => {
                story.cache = Some(Cache::Hit);
                return self.answer(&found, wire, story).await;
            }
        };
        let (fault, outcome) = match self.fetch((rule, asking), lead, wire, story).await {
            Ok(None) => return None,
            Ok(Some(outcome)) => (None, outcome),
            Err(fault) if wish.if_error && wire.can_respond() => (Some(fault), Outcome::Failed),
            Err(fault) => return Some(fault),
        };
        let client = filling::view(&wish.fields);
        let now = Instant::now();
        let stored = match (outcome, &wish.stale) {
            (Outcome::Confirmed(object), _) => {
                story.cache = Some(Cache::Revalidated);
                look::stored_anew(object, &client, wish.why, now)
            }
            (Outcome::Failed, Some(stale)) => {
                story.cache = Some(Cache::Stale);
                look::stored(Arc::clone(stale), &client, now)
            }
            // Nothing is kept from the client without something else to send.
            (Outcome::Failed, None) => return fault,
        };
        self.answer(&stored, wire, story).await
    }

    /// The place of the one who fetches, or what somebody else has fetched meanwhile. Nobody waits for ever, and who has something
    /// to confirm does it alone.
    async fn turn(&self, asking: &Asking, wish: &Wish) -> Result<Option<Lead>, Stored> {
        let fill = match asking.store.turn(&asking.key, Instant::now()) {
            Turn::Lead(lead) => return Ok(Some(lead)),
            Turn::Pass => return Ok(None),
            Turn::Wait(_) if wish.stale.is_some() => return Ok(None),
            Turn::Wait(fill) => fill,
        };
        let mut over = Box::pin(fill.wait());
        let waited = self.time.0.within(WAIT, |cx| over.as_mut().poll(cx)).await;
        if waited.is_none() {
            return Ok(None);
        }
        let client = filling::view(&wish.fields);
        match asking.store.find(&asking.key, &self.route.name, &client) {
            Found::Object(object) => {
                let now = Instant::now();
                Err(look::stored_anew(object, &client, wish.why, now))
            }
            Found::OtherVariant | Found::Nothing => {
                Ok(match asking.store.turn(&asking.key, Instant::now()) {
                    Turn::Lead(lead) => Some(lead),
                    Turn::Wait(_) | Turn::Pass => None,
                })
            }
        }
    }

    async fn fetch<W: Wire>(
        &self,
        (rule, asking): (&Rule, &Asking),
        lead: Option<Lead>,
        wire: &mut W,
        story: &mut Story,
    ) -> Result<Option<Outcome>, Fault> {
        let date = self.local.date(Instant::now());
        let of_route = (&self.route.name, rule);
        let mut filling = Filling::new(wire, asking, of_route, lead, date);
        match self.tries().run(&mut filling, story).await {
            Some(fault) => Err(fault),
            None => Ok(filling.end()),
        }
    }

    async fn answer<W: Wire>(
        &self,
        stored: &Stored,
        wire: &mut W,
        story: &mut Story,
    ) -> Option<Fault> {
        let place = (self.local, self.downstream);
        let sent = stored::send(place, self.edits, stored, self.is_head, wire, self.time.0).await;
        story.passage.status = sent.status;
        story.passage.bytes_out = sent.bytes;
        sent.fault
    }
}

/// Answers from the store.
pub(super) async fn answer<W: Wire>(
    place: (&Local, &Downstream),
    (prepared, route): (&Prepared, &Route),
    stored: &Stored,
    wire: &mut W,
    deadline: &Deadline,
    story: &mut Story,
) -> Option<Fault> {
    let edits = edits(prepared, place.1, route);
    let is_head = prepared.method == Method::Head;
    story.cache = Some(match stored.status {
        Status::Hit { ttl } if ttl <= 0 => Cache::Stale,
        Status::Hit { .. } | Status::Forwarded { .. } => Cache::Hit,
    });
    let sent = stored::send(place, edits, stored, is_head, wire, deadline).await;
    story.passage.status = sent.status;
    story.passage.bytes_out = sent.bytes;
    sent.fault
}

/// Asks for something that is stale again, behind the answer that it was (RFC 5861 §3). If somebody does already, nothing.
pub(super) fn refresh(local: &Rc<Local>, downstream: &Rc<Downstream>, prepared: &mut Prepared) {
    let Plan::Stored(_, refresh) = &mut prepared.plan else {
        return;
    };
    let Some((refresh, route)) = refresh.take().zip(prepared.route) else {
        return;
    };
    let Refresh { asking, outbound } = *refresh;
    let serving = Rc::clone(&prepared.serving);
    let Turn::Lead(lead) = asking.store.turn(&asking.key, Instant::now()) else {
        return;
    };
    let (local, downstream) = (Rc::clone(local), Rc::clone(downstream));
    tokio::task::spawn_local(async move {
        let Some(route) = serving.snapshot.config.routes.get(route) else {
            return;
        };
        let upstream = serving.upstreams.get(outbound.upstream);
        let Some((rule, upstream)) = route.cache.as_ref().zip(upstream) else {
            return;
        };
        let deadline = Deadline::new(&local.wheel);
        deadline.cap(route.timeout);
        let mut limits = Limits::new(&downstream.listener, &upstream.config);
        limits.upstream = route.response_timeout.unwrap_or(limits.upstream);
        let through = Through {
            local: &local,
            downstream: &downstream,
            upstream,
            route,
            outbound: &outbound,
            edits: Edits {
                of_route: &route.headers.response,
                allowance: None,
                alt_svc: None,
                cookie: None,
                own: None,
                compress: route.compress.as_ref(),
            },
            time: (&deadline, limits),
            is_head: false,
        };
        let mut story = Story::default();
        let fetched = through
            .fetch((rule, &asking), Some(lead), &mut Nobody, &mut story)
            .await;
        if let Err(fault) = fetched {
            tracing::debug!(
                uri = &*asking.key,
                reason = fault.reason.code(),
                "a stale response could not be refreshed"
            );
        }
    });
}
