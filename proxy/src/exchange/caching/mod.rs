//! An exchange with a cache between: from the store, or from the origin and into the store on the way.

mod forgetting;
mod look;
mod lying;
mod pieces;
mod planning;
mod rest;
mod slicing;
mod stored;
mod storing;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openclaw_core::caching::{Forwarded, Rule, Status};
use openclaw_core::config::Route;
use openclaw_core::message::{Fault, Method};
use openclaw_core::trace::Ids;

pub(super) use self::forgetting::Unsettling;
pub(super) use self::look::{Asking, Stored};
pub(super) use self::lying::settle;
pub(super) use self::planning::{Refresh, planned};

use self::look::{Purpose, Wish};
use self::stored::Sending;
use self::storing::{Outcome, Storing};
use super::context::{Downstream, Local};
use super::error::Error;
use super::mirror::Shadow;
use super::prepare::{Outbound, Plan, Prepared};
use super::serving::Serving;
use super::tries::Tries;
use super::watch::Limits;
use super::wire::Wire;
use super::{Edits, Story, edits};
use crate::cache::{Lead, Object, Turn};
use crate::telemetry::Cache;
use crate::time::Deadline;
use crate::upstream::Upstream;

/// How long a request waits for the head of what another one fetches.
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
    /// Who it is in its trace.
    pub(super) ids: Option<&'a Ids>,
    /// What a fetch behind the answer is made with; none for such a fetch itself.
    pub behind: Option<Behind<'a>>,
}

/// What goes on when the client has gone.
#[derive(Clone, Copy)]
pub(super) struct Behind<'a> {
    pub local: &'a Rc<Local>,
    pub downstream: &'a Rc<Downstream>,
    pub serving: &'a Rc<Serving>,
    /// Among those of the snapshot.
    pub route: usize,
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
        tries.of_route(self.route).traced(self.ids)
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
        if let Some(sliced) = self.in_slices((rule, asking, wish), wire, story).await {
            return sliced;
        }
        let lead = match self.turn((rule, asking), wish).await {
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
        let client = look::view(&wish.fields);
        let now = Instant::now();
        let stored = match (outcome, &wish.stale) {
            (Outcome::Confirmed(object), _) => {
                story.cache = Some(Cache::Revalidated);
                look::read(object, (Method::Get, &client), now).map(|stored| Stored {
                    status: Status::Forwarded {
                        why: wish.why,
                        confirmed: true,
                        stored: None,
                    },
                    ..stored
                })
            }
            (Outcome::Failed, Some(stale)) => {
                story.cache = Some(Cache::Stale);
                look::read(Arc::clone(stale), (Method::Get, &client), now)
            }
            // Nothing is kept from the client without something else to send.
            (Outcome::Failed, None) => return fault,
        };
        let Some(stored) = stored else {
            return Some(Error::Truncated.fault());
        };
        self.answer(&stored, wire, story).await
    }

    /// The place of the one who fetches, or what somebody else fetches meanwhile. Nobody waits for ever: then everybody fetches.
    async fn turn(
        &self,
        (rule, asking): (&Rule, &Asking),
        wish: &Wish,
    ) -> Result<Option<Lead>, Stored> {
        let mut turn = Box::pin(async {
            loop {
                let now = Instant::now();
                let fill = match asking.store.turn(&asking.key, wish.asked, now) {
                    Turn::Lead(lead) => {
                        let come = asking.come_since(rule).await;
                        let come = come.and_then(|object| followed(rule, object, wish));
                        // What comes of its own wishes says nothing to those who would wait for it.
                        let lead = Some(lead).filter(|_| !wish.is_special());
                        return come.map_or(Ok(lead), Err);
                    }
                    Turn::Pass => return Ok(None),
                    // What its client has doubts about is asked for on its own.
                    Turn::Follow(_) if wish.why == Forwarded::Request => return Ok(None),
                    Turn::Follow(fill) => fill,
                };
                if let Some(object) = fill.object().await {
                    return followed(rule, object, wish).map_or(Ok(None), Err);
                }
            }
        });
        let turn = self.time.0.within(WAIT, |cx| turn.as_mut().poll(cx)).await;
        turn.unwrap_or(Ok(None))
    }

    async fn fetch<W: Wire>(
        &self,
        (rule, asking): (&Rule, &Asking),
        lead: Option<Lead>,
        wire: &mut W,
        story: &mut Story,
    ) -> Result<Option<Outcome>, Fault> {
        let date = self.local.date(Instant::now());
        let mut storing = Storing::new(wire, asking, rule, lead, date);
        match self.tries().run(&mut storing, story).await {
            Some(fault) => Err(fault),
            None => Ok(storing.end()),
        }
    }

    async fn answer<W: Wire>(
        &self,
        stored: &Stored,
        wire: &mut W,
        story: &mut Story,
    ) -> Option<Fault> {
        let sending = Sending {
            local: self.local,
            downstream: self.downstream,
            edits: self.edits,
            is_head: self.is_head,
            patience: self.time.1.upstream,
            deadline: self.time.0,
        };
        sending.send(stored, wire, story).await
    }
}

/// What another request gets, if it is for this one as well.
fn followed(rule: &Rule, object: Arc<Object>, wish: &Wish) -> Option<Stored> {
    let client = look::view(&wish.fields);
    let now = Instant::now();
    let is_ours =
        object.route == rule.owner && object.chosen.matches(&client) && object.is_for_others(now);
    let object = Some(object).filter(|_| is_ours)?;
    let stored = look::read(object, (Method::Get, &client), now)?;
    Some(Stored {
        status: Status::Collapsed { why: wish.why },
        ..stored
    })
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
    story.cache = Some(match stored.status {
        Status::Hit { ttl } if ttl <= 0 => Cache::Stale,
        Status::Hit { .. } | Status::Forwarded { .. } | Status::Collapsed { .. } => Cache::Hit,
    });
    let sending = Sending {
        local: place.0,
        downstream: place.1,
        edits: edits(prepared, place.1, route),
        is_head: prepared.method == Method::Head,
        patience: WAIT,
        deadline,
    };
    sending.send(stored, wire, story).await
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
    let now = Instant::now();
    let Purpose::Store(wish) = &asking.purpose else {
        return;
    };
    let Turn::Lead(lead) = asking.store.turn(&asking.key, wish.asked, now) else {
        return;
    };
    let whose = (Rc::clone(local), Rc::clone(downstream), serving);
    tokio::task::spawn_local(async move {
        let (_, _, serving) = &whose;
        let of_route = serving.snapshot.config.routes.get(route);
        let Some(rule) = of_route.and_then(|route| route.cache.as_ref()) else {
            return;
        };
        if asking.come_since(rule).await.is_none() {
            fetch_behind(whose, route, asking, outbound, lead).await;
        }
    });
}

/// Whose a fetch behind an answer is.
type Whose = (Rc<Local>, Rc<Downstream>, Rc<Serving>);

/// Fetches into the store what no client waits for, or one who reads it from there.
async fn fetch_behind(
    whose: Whose,
    route: usize,
    asking: Box<Asking>,
    outbound: Outbound,
    lead: Lead,
) {
    let fetch = async |through: &Through<'_>, rule: &Rule, story: &mut Story| {
        let mut nobody = Shadow::new(Vec::new());
        let asked = (rule, &*asking);
        let fetched = through.fetch(asked, Some(lead), &mut nobody, story).await;
        fetched.err()
    };
    if let Some(fault) = behind(whose, route, &outbound, fetch).await {
        tracing::debug!(
            uri = &*asking.key,
            reason = fault.reason.code(),
            "what is stored could not be fetched behind its answer"
        );
    }
}

/// Asks an endpoint of a route behind an answer.
async fn behind(
    (local, downstream, serving): Whose,
    route: usize,
    outbound: &Outbound,
    ask: impl AsyncFnOnce(&Through<'_>, &Rule, &mut Story) -> Option<Fault>,
) -> Option<Fault> {
    let route = serving.snapshot.config.routes.get(route)?;
    let upstream = serving.upstreams.get(outbound.upstream)?;
    let rule = route.cache.as_ref()?;
    let deadline = Deadline::new(&local.wheel);
    deadline.cap(route.timeout);
    let limits = Limits::new(&downstream.listener, &upstream.config, route);
    let through = Through {
        local: &local,
        downstream: &downstream,
        upstream,
        route,
        outbound,
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
        behind: None,
        ids: None,
    };
    ask(&through, rule, &mut Story::default()).await
}
