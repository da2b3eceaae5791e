//! A snapshot as one worker serves it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use openclaw_core::route::{Router, target};
use regex::bytes::Regex;

use crate::filter::{self, Busy, Filter};
use crate::snapshot::Snapshot;
use crate::telemetry::{Recorder, Slots};
use crate::upstream::{Figures, Upstream};

/// A snapshot as this worker serves it: with its own pools and counters.
#[derive(Debug)]
pub struct Serving {
    pub snapshot: Arc<Snapshot>,
    /// A copy of its own: a shared regex takes a lock for its scratch space.
    pub router: Rc<Router>,
    pub slots: Slots,
    pub upstreams: Vec<Rc<Upstream>>,
    /// Beside the routes.
    pub filters: Rc<[Vec<Filter>]>,
    /// Beside the routes: the expression whose groups a target is made of; copies of this worker's own, as in the router.
    pub groups: Rc<[Option<Regex>]>,
    /// Beside the routes: how many copies of requests are under way. Goes on while the configuration stays.
    pub mirrors: Rc<[Rc<Cell<usize>>]>,
}

/// What the limit of a route has refused on this worker since the snapshot came.
#[derive(Debug)]
pub struct Refused {
    /// Index into the routes.
    pub route: usize,
    pub total: u64,
    /// Those who had most of it.
    pub busiest: Vec<Busy>,
}

impl Serving {
    pub(super) fn new(
        snapshot: Arc<Snapshot>,
        recorder: &Recorder,
        before: Option<&Self>,
        place: (usize, usize),
    ) -> Self {
        let slots = recorder.adopt(&snapshot);
        // Of the same configuration: only endpoints, weights of targets, and certificates are different.
        let same = before.filter(|before| before.snapshot.generation == snapshot.generation);
        let upstreams = upstreams(&snapshot, &slots, (before, same), place);
        let routes = snapshot.config.routes.iter();
        let mirrors = match same {
            Some(same) => Rc::clone(&same.mirrors),
            None => routes.clone().map(|_| Rc::default()).collect(),
        };
        let (router, filters, groups) = if let Some(same) = same {
            let (filters, groups) = (Rc::clone(&same.filters), Rc::clone(&same.groups));
            (Rc::clone(&same.router), filters, groups)
        } else {
            let with_limits = routes.clone().zip(&snapshot.limits);
            let filters = with_limits.map(|(route, limit)| filter::of_route(route, limit.as_ref()));
            let groups = routes.map(|route| target::groups(route).cloned());
            let router = Rc::new(snapshot.router.clone());
            (router, filters.collect(), groups.collect())
        };
        Self {
            snapshot,
            router,
            slots,
            upstreams,
            filters,
            groups,
            mirrors,
        }
    }

    /// What this worker knows of every endpoint.
    pub fn figures(&self) -> Vec<Figures> {
        let now = Instant::now();
        let upstreams = self.upstreams.iter();
        upstreams.flat_map(|one| one.figures(now)).collect()
    }

    /// What limits have refused, route by route.
    pub fn refused(&self) -> Vec<Refused> {
        let mut all = Vec::new();
        for (route, filters) in self.filters.iter().enumerate() {
            for filter in filters {
                let Filter::Limit(limit) = filter;
                let (total, busiest) = limit.refused();
                all.push(Refused {
                    route,
                    total,
                    busiest,
                });
            }
        }
        all
    }
}

/// The upstreams of a snapshot. Of `same`, which is of the same configuration, those go on that have not changed; of `before`, which
/// may be of another, connections and figures do.
fn upstreams(
    snapshot: &Snapshot,
    slots: &Slots,
    (before, same): (Option<&Serving>, Option<&Serving>),
    place: (usize, usize),
) -> Vec<Rc<Upstream>> {
    let configs = snapshot.config.upstreams.iter();
    let upstreams = configs.zip(&snapshot.upstreams).enumerate();
    upstreams
        .map(|(index, (config, setup))| {
            let slot = slots.upstreams.get(index).copied().unwrap_or_default();
            let endpoint_slots = slots
                .endpoints
                .get(index)
                .map(Vec::as_slice)
                .unwrap_or_default();
            let untouched = same.filter(|same| {
                let known = &same.snapshot;
                known.upstreams.get(index) == Some(setup)
                    && known.secured.get(index) == snapshot.secured.get(index)
            });
            if let Some(known) = untouched.and_then(|same| same.upstreams.get(index)) {
                known.revive(setup, endpoint_slots);
                return Rc::clone(known);
            }
            let former = before.and_then(|before| {
                let mut known = before.upstreams.iter();
                known.find(|known| known.config.name == config.name)
            });
            let former = former.map(|former| &**former);
            let tls = snapshot.secured.get(index).and_then(Option::as_ref);
            let met = (setup, tls);
            Upstream::new(config, met, slot, endpoint_slots, former, place)
        })
        .collect()
}
