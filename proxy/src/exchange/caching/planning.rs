//! The plan for a request on a route with a cache.

use std::sync::Arc;
use std::time::Instant;

use openclaw_core::caching::Rule;
use openclaw_core::coding;
use openclaw_core::config::Route;
use openclaw_core::message::Request;
use openclaw_core::trace::RequestId;

use super::look::{Asking, Look, confirming, look};
use crate::cache::Store;
use crate::exchange::context::{Downstream, Local};
use crate::exchange::error::Error;
use crate::exchange::prepare::{Outbound, Plan, plan};
use crate::exchange::seen::Seen;
use crate::exchange::serving::Serving;

/// A request that is made again behind its answer.
#[derive(Debug)]
pub(in crate::exchange) struct Refresh {
    pub asking: Box<Asking>,
    pub outbound: Outbound,
}

/// What a plan is made with.
pub(in crate::exchange) struct Planning<'a> {
    local: &'a Local,
    downstream: &'a Downstream,
    route: (Option<usize>, &'a Route),
    serving: &'a Serving,
    id: &'a RequestId,
}

impl<'a> Planning<'a> {
    pub(in crate::exchange) fn new(
        (local, downstream): (&'a Local, &'a Downstream),
        route: (Option<usize>, &'a Route),
        serving: &'a Serving,
        id: &'a RequestId,
    ) -> Self {
        Self {
            local,
            downstream,
            route,
            serving,
            id,
        }
    }

    /// From the store, if the route has one and it has an answer.
    pub(in crate::exchange) fn cached(&self, seen: &Seen<'_>, now: Instant) -> Plan {
        let (_, route) = self.route;
        let store = self.serving.snapshot.cache.as_ref();
        let Some((rule, store)) = route.cache.as_ref().zip(store) else {
            return self.plain(seen);
        };
        let compress = route.compress.as_ref();
        let wish = compress.and_then(|compress| coding::settled(seen.request.fields, compress));
        let Some(fields) = wish else {
            return self.looked_up(seen, (rule, store), now);
        };
        // What clients get is settled here, so that there is one stored response for all who get the same.
        let request = Request {
            fields: &fields,
            ..*seen.request
        };
        let seen = Seen {
            request: &request,
            ..*seen
        };
        self.looked_up(&seen, (rule, store), now)
    }

    fn looked_up(
        &self,
        seen: &Seen<'_>,
        (rule, store): (&Rule, &Arc<Store>),
        now: Instant,
    ) -> Plan {
        let (_, route) = self.route;
        match look(store, route, rule, seen.request, seen.scheme, now) {
            None => self.plain(seen),
            Some(Look::OnlyStored) => Plan::Refuse(Error::NotStored.fault()),
            Some(Look::Stored(stored, again)) => {
                let again = again.and_then(|asking| match self.asking(seen, &asking) {
                    Plan::Forward(outbound) => Some(Box::new(Refresh { asking, outbound })),
                    Plan::Stored(..) | Plan::Answer(_) | Plan::Options | Plan::Refuse(_) => None,
                });
                Plan::Stored(Box::new(stored), again)
            }
            Some(Look::Asking(asking)) => match self.asking(seen, &asking) {
                Plan::Forward(outbound) => Plan::Forward(Outbound {
                    caching: Some(asking),
                    ..outbound
                }),
                other @ (Plan::Stored(..) | Plan::Answer(_) | Plan::Options | Plan::Refuse(_)) => {
                    other
                }
            },
        }
    }

    /// Where something is stored, its conditions take the place of the client's.
    fn asking(&self, seen: &Seen<'_>, asking: &Asking) -> Plan {
        let Some(stale) = asking.stale() else {
            return self.plain(seen);
        };
        let stored = stale.view();
        let fields = confirming(seen.request.fields, &stored);
        let request = Request {
            fields: &fields,
            ..*seen.request
        };
        self.plain(&Seen {
            request: &request,
            ..*seen
        })
    }

    fn plain(&self, seen: &Seen<'_>) -> Plan {
        plan(
            self.local,
            self.downstream,
            seen,
            self.route,
            self.serving,
            self.id,
        )
    }
}
