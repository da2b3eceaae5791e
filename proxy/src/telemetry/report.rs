//! What workers hand to the control plane, and how the shards become one page.

use std::collections::BTreeMap;

use openclaw_core::reason::ALL as REASONS;

use super::coded::Coded;
use super::endpoint::EndpointCounts;
use super::metrics::{self, MetricsText};
use super::shard::{Counts, Flow, ListenerCounts, SeriesKey};
use super::{Cache, Cached, Hedged, Mirrored};

/// A copy of one worker's counters.
#[derive(Debug, Default)]
pub struct Report {
    pub(super) counts: Counts,
    pub(super) log_dropped: u64,
    pub(super) security_dropped: u64,
    pub(super) spans_dropped: u64,
}

type Pair<'a> = (&'a str, &'a str);

/// The sum over all workers, by name: slots may differ between them.
#[derive(Debug, Default)]
pub struct Summary<'a> {
    workers: usize,
    pub(super) listeners: BTreeMap<&'a str, ListenerCounts>,
    pub(super) requests: BTreeMap<(&'a str, &'a str, &'static str, u16), u64>,
    pub(super) flows: BTreeMap<Pair<'a>, Flow>,
    pub(super) cache: BTreeMap<&'a str, [Cached; Cache::ALL.len()]>,
    retries: BTreeMap<&'a str, u64>,
    /// Of upstreams that have ever hedged.
    hedged: BTreeMap<&'a str, [u64; 3]>,
    endpoints: BTreeMap<Pair<'a>, EndpointCounts>,
    pub(super) refusals: Vec<u64>,
    mirrored: BTreeMap<&'a str, [u64; 4]>,
    coded: Coded,
    log_dropped: u64,
    security_dropped: u64,
    spans_dropped: u64,
}

impl<'a> Summary<'a> {
    pub fn of(reports: &'a [Report]) -> Self {
        let mut summary = Self {
            refusals: vec![0; REASONS.len()],
            ..Self::default()
        };
        for report in reports {
            summary.add(report);
        }
        summary
    }

    /// Probes or a breaker say that nothing should be sent to this endpoint.
    pub fn call_unfit(&mut self, upstream: &'a str, endpoint: &'a str) {
        let counts = self.endpoints.entry((upstream, endpoint)).or_default();
        counts.is_unfit = true;
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> i64 {
        self.listeners.values().map(|counts| counts.open).sum()
    }

    /// Spans that the exporter never got.
    pub fn spans_dropped(&self) -> u64 {
        self.spans_dropped
    }

    /// What the caches of routes made of requests, beside [`Cache::ALL`].
    pub(crate) fn cache(&self) -> &BTreeMap<&'a str, [Cached; Cache::ALL.len()]> {
        &self.cache
    }

    /// Finished exchanges.
    pub fn requests(&self) -> u64 {
        self.requests.values().sum()
    }

    /// What upstreams were asked beyond the first try.
    fn add_repeated(&mut self, counts: &'a Counts) {
        for (name, retries) in counts.upstream_names.iter().zip(&counts.retries) {
            *self.retries.entry(name).or_default() += retries;
        }
        let hedged = counts.upstream_names.iter().zip(&counts.hedged);
        for (name, counts) in hedged.filter(|(_, counts)| counts.iter().any(|count| *count > 0)) {
            let sum = self.hedged.entry(name).or_default();
            for (sum, more) in sum.iter_mut().zip(counts) {
                *sum += more;
            }
        }
    }

    fn add(&mut self, report: &'a Report) {
        let counts = &report.counts;
        self.workers += 1;
        self.log_dropped += report.log_dropped;
        self.security_dropped += report.security_dropped;
        self.spans_dropped += report.spans_dropped;
        self.coded.add(&counts.coded);
        for (name, listener) in counts.listener_names.iter().zip(&counts.listeners) {
            let sum = self.listeners.entry(name).or_default();
            sum.open += listener.open;
            sum.accepted += listener.accepted;
            sum.relayed_in += listener.relayed_in;
            sum.relayed_out += listener.relayed_out;
        }
        let names = counts.route_names.iter().map(|name| &**name);
        for (route, row) in [""].into_iter().chain(names).zip(&counts.routes) {
            for series in &row.series {
                let SeriesKey {
                    listener,
                    method,
                    code,
                } = series.key;
                let listener = counts.listener_name(listener);
                *self
                    .requests
                    .entry((listener, route, method, code))
                    .or_default() += series.count;
            }
            if row.cache.iter().any(|cached| cached.requests > 0) {
                let sums = self.cache.entry(route).or_default();
                for (sum, more) in sums.iter_mut().zip(&row.cache) {
                    sum.requests += more.requests;
                    sum.bytes += more.bytes;
                }
            }
            for flow in &row.flows {
                let key = (counts.listener_name(flow.listener), route);
                let sum = self.flows.entry(key).or_default();
                sum.duration.add(&flow.duration);
                sum.bytes_in += flow.bytes_in;
                sum.bytes_out += flow.bytes_out;
            }
        }
        for (name, mirrored) in counts.route_names.iter().zip(&counts.mirrored) {
            let sum = self.mirrored.entry(name).or_default();
            for (sum, more) in sum.iter_mut().zip(mirrored) {
                *sum += more;
            }
        }
        self.add_repeated(counts);
        // The place of one that is gone is empty.
        let endpoints = counts.endpoint_names.iter().zip(&counts.endpoints);
        for ((upstream, label), endpoint) in endpoints.filter(|(_, one)| one.is_configured) {
            let key = (counts.upstream_name(*upstream), &**label);
            let sum = self.endpoints.entry(key).or_default();
            for (class, more) in sum.classes.iter_mut().zip(&endpoint.classes) {
                *class += more;
            }
            sum.connects += endpoint.connects;
            sum.connects_failed += endpoint.connects_failed;
            sum.is_configured |= endpoint.is_configured;
            sum.last_connect = sum.last_connect.max(endpoint.last_connect);
            sum.time.add(&endpoint.time);
        }
        for (sum, more) in self.refusals.iter_mut().zip(&counts.refusals) {
            *sum += more;
        }
    }

    /// Adds every family of the workers to the page.
    pub fn render(&self, text: &mut MetricsText) {
        text.sample(&metrics::WORKERS, &[], self.workers);
        for (listener, counts) in &self.listeners {
            text.sample(&metrics::CONNECTIONS, &[listener], counts.open);
        }
        for (listener, counts) in &self.listeners {
            text.sample(&metrics::CONNECTIONS_TOTAL, &[listener], counts.accepted);
        }
        for (listener, counts) in &self.listeners {
            let ways = [("in", counts.relayed_in), ("out", counts.relayed_out)];
            for (way, bytes) in ways.into_iter().filter(|(_, bytes)| *bytes > 0) {
                text.sample(&metrics::RELAYED_BYTES, &[listener, way], bytes);
            }
        }
        for ((listener, route, method, code), count) in &self.requests {
            let code = match code {
                0 => "other".to_owned(),
                code => code.to_string(),
            };
            let labels = [*listener, *route, *method, code.as_str()];
            text.sample(&metrics::REQUESTS_TOTAL, &labels, count);
        }
        for ((listener, route), flow) in &self.flows {
            let labels = [*listener, *route];
            text.histogram(&metrics::REQUEST_DURATION, &labels, &flow.duration);
        }
        for ((listener, route), flow) in &self.flows {
            text.sample(&metrics::RECEIVED_BYTES, &[listener, route], flow.bytes_in);
        }
        for ((listener, route), flow) in &self.flows {
            text.sample(&metrics::SENT_BYTES, &[listener, route], flow.bytes_out);
        }
        for (entry, count) in REASONS.iter().zip(&self.refusals) {
            text.sample(&metrics::REFUSALS_TOTAL, &[entry.code], count);
        }
        for (index, result) in Cache::ALL
            .iter()
            .enumerate()
            .filter(|_| !self.cache.is_empty())
        {
            let counts = self.cache.values().filter_map(|counts| counts.get(index));
            let requests: u64 = counts.map(|cached| cached.requests).sum();
            text.sample(&metrics::CACHE_REQUESTS, &[result.word()], requests);
        }
        for (route, counts) in &self.cache {
            for (result, cached) in Cache::ALL.iter().zip(counts) {
                let labels = [*route, result.word()];
                text.sample(&metrics::CACHE_ROUTE_REQUESTS, &labels, cached.requests);
            }
        }
        for (route, counts) in &self.cache {
            for (result, cached) in Cache::ALL.iter().zip(counts) {
                let labels = [*route, result.word()];
                text.sample(&metrics::CACHE_SENT_BYTES, &labels, cached.bytes);
            }
        }
        self.coded.render(text);
        self.render_upstreams(text);
        text.sample(&metrics::LOG_DROPPED, &[], self.log_dropped);
        text.sample(&metrics::SECURITY_DROPPED, &[], self.security_dropped);
    }

    fn render_upstreams(&self, text: &mut MetricsText) {
        let configured = self.endpoints.iter().filter(|(_, one)| one.is_configured);
        for ((upstream, endpoint), counts) in configured {
            let healthy = u8::from(counts.is_healthy());
            text.sample(&metrics::UPSTREAM_HEALTHY, &[upstream, endpoint], healthy);
        }
        for ((upstream, endpoint), counts) in &self.endpoints {
            let classes = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
            for (class, count) in classes.iter().zip(&counts.classes) {
                if *count > 0 {
                    let labels = [*upstream, *endpoint, *class];
                    text.sample(&metrics::UPSTREAM_REQUESTS_TOTAL, &labels, count);
                }
            }
        }
        for ((upstream, endpoint), counts) in &self.endpoints {
            let results = [("ok", counts.connects), ("failed", counts.connects_failed)];
            for (result, count) in results {
                let labels = [*upstream, *endpoint, result];
                text.sample(&metrics::UPSTREAM_CONNECTS_TOTAL, &labels, count);
            }
        }
        for (upstream, retries) in &self.retries {
            text.sample(&metrics::UPSTREAM_RETRIES_TOTAL, &[upstream], retries);
        }
        for (upstream, counts) in &self.hedged {
            for (result, count) in Hedged::ALL.iter().zip(counts) {
                text.sample(
                    &metrics::UPSTREAM_HEDGES_TOTAL,
                    &[upstream, result.word()],
                    count,
                );
            }
        }
        for ((upstream, endpoint), counts) in &self.endpoints {
            let labels = [*upstream, *endpoint];
            text.histogram(&metrics::UPSTREAM_RESPONSE_TIME, &labels, &counts.time);
        }
        let copied = self.mirrored.iter();
        for (route, counts) in copied.filter(|(_, counts)| counts.iter().any(|count| *count > 0)) {
            for (result, count) in Mirrored::NAMES.iter().zip(counts) {
                text.sample(&metrics::MIRRORED_TOTAL, &[route, result], count);
            }
        }
    }
}

impl Counts {
    fn listener_name(&self, slot: u32) -> &str {
        self.listener_names
            .get(slot as usize)
            .map_or("", |name| &**name)
    }

    fn upstream_name(&self, slot: u32) -> &str {
        self.upstream_names
            .get(slot as usize)
            .map_or("", |name| &**name)
    }
}
