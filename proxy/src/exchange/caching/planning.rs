//! The plan for a request on a route with a cache.

use std::sync::Arc;
use std::time::Instant;

use openclaw_core::caching::{self, Forwarded, Rule, slices};
use openclaw_core::coding;
use openclaw_core::config::Route;
use openclaw_core::message::{Field, Fields, Method, Request};
use openclaw_core::route::Seen;

use super::forgetting;
use super::look::{Asking, Look, Purpose, confirming, look};
use crate::cache::Store;
use crate::exchange::error::Error;
use crate::exchange::prepare::{Outbound, Plan};
use crate::exchange::serving::Serving;

/// A request that is made again behind its answer.
#[derive(Debug)]
pub(in crate::exchange) struct Refresh {
    pub asking: Box<Asking>,
    pub outbound: Outbound,
}

/// From the store, if the route has one and it has an answer; `plain` plans as if there were none. `trusted`: the peer is a proxy
/// that is believed.
pub(in crate::exchange) fn planned(
    serving: &Serving,
    route: &Route,
    (seen, trusted): (&Seen<'_>, bool),
    now: Instant,
    plain: impl Fn(&Seen<'_>) -> Plan,
) -> Plan {
    let store = serving.snapshot.cache.as_ref();
    let Some(store) = store else {
        return plain(seen);
    };
    if forgetting::changes(seen.request) {
        return forgetting::changing((serving, store), seen, plain(seen));
    }
    let Some(rule) = &route.cache else {
        return plain(seen);
    };
    let heard = if trusted {
        None
    } else {
        heard(seen.request, rule)
    };
    let fields = heard.as_deref().unwrap_or(seen.request.fields);
    let compress = route.compress.as_ref();
    let settled = compress.and_then(|compress| coding::settled(fields, compress));
    let Some(fields) = settled.as_ref().or(heard.as_ref()) else {
        return looked_up((rule, store), seen, now, plain);
    };
    // What the client gets is settled here, so that there is one stored response for all who get the same.
    let request = Request {
        fields,
        ..*seen.request
    };
    let seen = Seen {
        request: &request,
        ..*seen
    };
    looked_up((rule, store), &seen, now, plain)
}

/// The fields of a request for something that may be stored without those that only a trusted proxy may write; `None` if it has none
/// of them.
fn heard<'a>(request: &Request<'a>, rule: &Rule) -> Option<Fields<'a>> {
    let steers = |field: &Field<'_>| caching::steers(field, rule);
    let is_asked_for = matches!(Method::of(request.method), Method::Get | Method::Head);
    let has_some = is_asked_for && request.fields.iter().any(steers);
    let kept = request.fields.iter().filter(|field| !steers(field));
    has_some.then(|| kept.copied().collect())
}

fn looked_up(
    (rule, store): (&Rule, &Arc<Store>),
    seen: &Seen<'_>,
    now: Instant,
    plain: impl Fn(&Seen<'_>) -> Plan,
) -> Plan {
    // Conditions of what is stored take the place of the client's.
    let asking = |asking: &Asking| match (asking.stale(), &asking.lying) {
        (Some(_), _) | (None, Some(_)) => {
            let stored = asking.stale().map(|stale| stale.view());
            let fields = confirming(seen.request.fields, stored.as_deref().unwrap_or_default());
            let request = Request {
                fields: &fields,
                ..*seen.request
            };
            plain(&Seen {
                request: &request,
                ..*seen
            })
        }
        (None, None) => plain(seen),
    };
    match look(store, rule, seen.request, seen.scheme, now) {
        None => plain(seen),
        Some(Look::OnlyStored) => Plan::Refuse(Error::NotStored.fault()),
        Some(Look::Stored(stored, again)) => {
            let again = again.and_then(|again| match asking(&again) {
                Plan::Forward(outbound) => Some(Box::new(Refresh {
                    asking: again,
                    outbound,
                })),
                Plan::Stored(..) | Plan::Answer(_) | Plan::Options | Plan::Refuse(_) => None,
            });
            Plan::Stored(Box::new(stored), again)
        }
        Some(Look::Asking(mut of)) => match asking(&of) {
            Plan::Forward(outbound) => {
                of.in_slices = in_slices(rule, seen, &of, plain);
                Plan::Forward(Outbound {
                    caching: Some(of),
                    ..outbound
                })
            }
            other @ (Plan::Stored(..) | Plan::Answer(_) | Plan::Options | Plan::Refuse(_)) => other,
        },
    }
}

/// How something is asked for in slices: as its client asks, but for the range and its conditions. `None` where it is not.
fn in_slices(
    rule: &Rule,
    seen: &Seen<'_>,
    asking: &Asking,
    plain: impl Fn(&Seen<'_>) -> Plan,
) -> Option<Box<Outbound>> {
    rule.slice?;
    let Purpose::Store(wish) = &asking.purpose else {
        return None;
    };
    if wish.why != Forwarded::UriMiss || wish.asked.no_store {
        return None;
    }
    slices::begins(seen.request.fields)?;
    let fields = confirming(seen.request.fields, &[]);
    let request = Request {
        fields: &fields,
        ..*seen.request
    };
    let planned = plain(&Seen {
        request: &request,
        ..*seen
    });
    match planned {
        Plan::Forward(outbound) => Some(Box::new(outbound)),
        Plan::Stored(..) | Plan::Answer(_) | Plan::Options | Plan::Refuse(_) => None,
    }
}
