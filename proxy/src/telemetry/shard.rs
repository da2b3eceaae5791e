//! The counters of one worker: tables indexed by slot. A slot belongs to a name, not to a snapshot, so counters go on
//! over a reload, and an exchange that began under the old snapshot still counts in the right place.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use openclaw_core::reason::Reason;

use super::coded::Coded;
use super::endpoint::EndpointCounts;
use super::histogram::Histogram;
use super::{Cache, Cached, Hedged, Mirrored, Record, Slots};
use crate::snapshot::Snapshot;

/// Names ever seen of one kind. Reloads with ever new names end in one shared slot rather than in ever more memory.
const MAX_NAMES: usize = 16_384;
/// Status codes and methods told apart per listener and route; an origin may invent 900 codes.
const MAX_SERIES: usize = 256;
/// Stands for what exceeds a bound.
const OTHER: &str = "other";

/// Slots by name.
#[derive(Debug, Default)]
pub(super) struct Names {
    slots: HashMap<Arc<str>, u32>,
    list: Vec<Arc<str>>,
}

impl Names {
    fn slot(&mut self, name: &Arc<str>) -> u32 {
        if let Some(slot) = self.slots.get(name) {
            return *slot;
        }
        let name: Arc<str> = if self.list.len() < MAX_NAMES {
            Arc::clone(name)
        } else {
            OTHER.into()
        };
        if let Some(slot) = self.slots.get(&name) {
            return *slot;
        }
        let slot = self.list.len() as u32;
        self.slots.insert(Arc::clone(&name), slot);
        self.list.push(name);
        slot
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct ListenerCounts {
    /// Signed: shards are summed, and a close may be counted before its open is reported.
    pub(super) open: i64,
    pub(super) accepted: u64,
    /// Of connections whose bytes were forwarded.
    pub(super) relayed_in: u64,
    pub(super) relayed_out: u64,
}

/// One row per (listener, method, code) that has occurred on a route.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) key: SeriesKey,
    pub(super) count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeriesKey {
    pub(super) listener: u32,
    pub(super) method: &'static str,
    /// 0 stands for the codes that exceeded the bound.
    pub(super) code: u16,
}

/// What a route did on one listener.
#[derive(Clone, Debug, Default)]
pub(super) struct Flow {
    pub(super) listener: u32,
    pub(super) duration: Histogram,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct RouteCounts {
    pub(super) series: Vec<Series>,
    pub(super) flows: Vec<Flow>,
    /// What its cache made of requests, beside `Cache::ALL`.
    pub(super) cache: [Cached; Cache::ALL.len()],
}

impl RouteCounts {
    fn count(&mut self, mut key: SeriesKey) {
        // Few rows, and the common ones come early: a scan beats a hash here.
        if let Some(row) = self.series.iter_mut().find(|row| row.key == key) {
            row.count += 1;
            return;
        }
        if self.series.len() >= MAX_SERIES {
            key.code = 0;
            key.method = known_method(b"");
            if let Some(row) = self.series.iter_mut().find(|row| row.key == key) {
                row.count += 1;
                return;
            }
        }
        self.series.push(Series { key, count: 1 });
    }

    fn flow(&mut self, listener: u32) -> Option<&mut Flow> {
        let at = self.flows.iter().position(|flow| flow.listener == listener);
        let at = at.unwrap_or_else(|| {
            self.flows.push(Flow {
                listener,
                ..Flow::default()
            });
            self.flows.len() - 1
        });
        self.flows.get_mut(at)
    }
}

/// All counters of one worker.
#[derive(Debug, Default)]
pub(super) struct Shard {
    listener_names: Names,
    route_names: Names,
    upstream_names: Names,
    /// Endpoint slots by (upstream slot, label).
    endpoint_slots: HashMap<(u32, Arc<str>), u32>,
    /// Slots of endpoints that are gone: another may have them.
    free: Vec<u32>,
    pub(super) counts: Counts,
}

/// The figures without the way to find a slot: what a report carries.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) listener_names: Vec<Arc<str>>,
    pub(super) route_names: Vec<Arc<str>>,
    pub(super) upstream_names: Vec<Arc<str>>,
    /// Upstream slot and label.
    pub(super) endpoint_names: Vec<(u32, Arc<str>)>,
    pub(super) listeners: Vec<ListenerCounts>,
    /// At slot + 1; at 0 are the exchanges without a route.
    pub(super) routes: Vec<RouteCounts>,
    /// Retries, by upstream slot.
    pub(super) retries: Vec<u64>,
    /// By upstream slot, then as [`Hedged`] has them.
    pub(super) hedged: Vec<[u64; 3]>,
    pub(super) endpoints: Vec<EndpointCounts>,
    pub(super) refusals: Vec<u64>,
    /// By route slot, then as [`Mirrored`] has them.
    pub(super) mirrored: Vec<[u64; 4]>,
    pub(super) coded: Coded,
}

impl Shard {
    pub(super) fn adopt(&mut self, snapshot: &Snapshot) -> Slots {
        let config = &snapshot.config;
        let mut slots = Slots::default();
        for listener in &config.listeners {
            slots
                .listeners
                .push(self.listener_names.slot(&listener.name));
        }
        for route in &config.routes {
            slots.routes.push(self.route_names.slot(&route.name));
        }
        for (upstream, setup) in config.upstreams.iter().zip(&snapshot.upstreams) {
            let upstream = self.upstream_names.slot(&upstream.name);
            slots.upstreams.push(upstream);
            let endpoints = setup.endpoints.iter();
            slots.endpoints.push(
                endpoints
                    .map(|endpoint| self.endpoint_slot(upstream, &endpoint.label))
                    .collect(),
            );
        }
        self.grow();
        self.free_all_but(&slots);
        slots
    }

    /// Endpoints come and go all day where a registry names them: what is gone leaves its place. An exchange that ends there
    /// later is not counted for an endpoint any more.
    fn free_all_but(&mut self, slots: &Slots) {
        for endpoint in &mut self.counts.endpoints {
            endpoint.is_configured = false;
        }
        for slot in slots.endpoints.iter().flatten() {
            if let Some(endpoint) = self.counts.endpoints.get_mut(*slot as usize) {
                endpoint.is_configured = true;
            }
        }
        let (endpoints, free) = (&mut self.counts.endpoints, &mut self.free);
        self.endpoint_slots.retain(|_, slot| {
            let endpoint = endpoints.get_mut(*slot as usize);
            let gone = endpoint.filter(|endpoint| !endpoint.is_configured);
            let Some(gone) = gone else { return true };
            *gone = EndpointCounts::default();
            free.push(*slot);
            false
        });
    }

    fn endpoint_slot(&mut self, upstream: u32, label: &Arc<str>) -> u32 {
        let names = &mut self.counts.endpoint_names;
        let free = &mut self.free;
        let is_known = self
            .endpoint_slots
            .contains_key(&(upstream, Arc::clone(label)));
        let label = if is_known || !free.is_empty() || names.len() < MAX_NAMES {
            Arc::clone(label)
        } else {
            OTHER.into()
        };
        *self
            .endpoint_slots
            .entry((upstream, label))
            .or_insert_with_key(|key| {
                let left = free.pop();
                if let Some((slot, name)) =
                    left.and_then(|slot| Some((slot, names.get_mut(slot as usize)?)))
                {
                    *name = key.clone();
                    return slot;
                }
                names.push(key.clone());
                names.len() as u32 - 1
            })
    }

    /// Makes room for every slot given out, so that counting never allocates for a name.
    fn grow(&mut self) {
        let counts = &mut self.counts;
        counts.listener_names.clone_from(&self.listener_names.list);
        counts.route_names.clone_from(&self.route_names.list);
        counts.upstream_names.clone_from(&self.upstream_names.list);
        let listeners = counts.listener_names.len();
        counts.listeners.resize_with(listeners, Default::default);
        let routes = counts.route_names.len() + 1;
        counts.routes.resize_with(routes, Default::default);
        counts.mirrored.resize(counts.route_names.len(), [0; 4]);
        counts.retries.resize(counts.upstream_names.len(), 0);
        counts.hedged.resize(counts.upstream_names.len(), [0; 3]);
        let endpoints = counts.endpoint_names.len();
        counts.endpoints.resize_with(endpoints, Default::default);
        counts.refusals.resize(Reason::COUNT, 0);
    }

    pub(super) fn exchange(&mut self, record: &Record<'_>) {
        let counts = &mut self.counts;
        let route = record.route.map_or(0, |slot| slot as usize + 1);
        if let Some(route) = counts.routes.get_mut(route) {
            route.count(SeriesKey {
                listener: record.listener,
                method: known_method(record.method),
                code: record.status,
            });
            if let Some(flow) = route.flow(record.listener) {
                flow.duration.observe(record.duration());
                flow.bytes_in += record.bytes_in;
                flow.bytes_out += record.bytes_out;
            }
            if let Some(cache) = record.cache
                && let Some(cached) = route.cache.get_mut(cache as usize)
            {
                cached.requests += 1;
                cached.bytes += record.bytes_out;
            }
        }
        if let Some(reason) = record.reason {
            self.refusal(reason);
        }
        self.endpoint(record);
    }

    /// A connection is no request: what went through it is counted, and what it came to.
    pub(super) fn connection(&mut self, record: &Record<'_>) {
        let counts = &mut self.counts;
        if let Some(listener) = counts.listeners.get_mut(record.listener as usize) {
            listener.relayed_in += record.bytes_in;
            listener.relayed_out += record.bytes_out;
        }
        let upstream = record.upstream.map(|slot| slot as usize);
        if let Some(retries) = upstream.and_then(|slot| counts.retries.get_mut(slot)) {
            *retries += u64::from(record.retries);
        }
        if let Some(reason) = record.reason {
            self.refusal(reason);
        }
    }

    fn endpoint(&mut self, record: &Record<'_>) {
        let counts = &mut self.counts;
        let upstream = record.upstream.map(|slot| slot as usize);
        if let Some(retries) = upstream.and_then(|slot| counts.retries.get_mut(slot)) {
            *retries += u64::from(record.retries);
        }
        let endpoint = record.endpoint.map(|slot| slot as usize);
        let Some(endpoint) = endpoint.and_then(|slot| counts.endpoints.get_mut(slot)) else {
            return;
        };
        if let Some(time) = record.upstream_time {
            endpoint.time.observe(time);
        }
        // A status that we wrote ourselves is not the endpoint's.
        let answered = record.upstream_time.is_some() && !is_upstream_failure(record);
        endpoint.answered(if answered { record.status } else { 0 });
    }

    /// A request that was sent to an endpoint, and its answer, or 0.
    pub(super) fn answered(&mut self, endpoint: u32, status: u16) {
        if let Some(endpoint) = self.counts.endpoints.get_mut(endpoint as usize) {
            endpoint.answered(status);
        }
    }

    pub(super) fn mirrored(&mut self, route: u32, result: Mirrored) {
        let route = self.counts.mirrored.get_mut(route as usize);
        if let Some(count) = route.and_then(|route| route.get_mut(result as usize)) {
            *count += 1;
        }
    }

    pub(super) fn hedged(&mut self, upstream: u32, result: Hedged) {
        let upstream = self.counts.hedged.get_mut(upstream as usize);
        if let Some(count) = upstream.and_then(|upstream| upstream.get_mut(result as usize)) {
            *count += 1;
        }
    }

    pub(super) fn refusal(&mut self, reason: Reason) {
        if let Some(count) = self.counts.refusals.get_mut(reason as usize) {
            *count += 1;
        }
    }

    pub(super) fn listener(&mut self, slot: u32) -> Option<&mut ListenerCounts> {
        self.counts.listeners.get_mut(slot as usize)
    }

    pub(super) fn connect(&mut self, endpoint: u32, success: bool) {
        let Some(endpoint) = self.counts.endpoints.get_mut(endpoint as usize) else {
            return;
        };
        endpoint.last_connect = Some((Instant::now(), success));
        if success {
            endpoint.connects += 1;
        } else {
            endpoint.connects_failed += 1;
        }
    }
}

/// Whether the response to the client was made here because the endpoint gave none that could be used.
fn is_upstream_failure(record: &Record<'_>) -> bool {
    matches!(record.status, 502..=504)
        && record
            .reason
            .is_some_and(|reason| reason.code().starts_with("upstream."))
}

/// The label of a method; a client cannot make series by inventing names.
fn known_method(method: &[u8]) -> &'static str {
    match method {
        b"GET" => "GET",
        b"POST" => "POST",
        b"HEAD" => "HEAD",
        b"PUT" => "PUT",
        b"DELETE" => "DELETE",
        b"PATCH" => "PATCH",
        b"OPTIONS" => "OPTIONS",
        b"CONNECT" => "CONNECT",
        b"TRACE" => "TRACE",
        _ => "OTHER",
    }
}
