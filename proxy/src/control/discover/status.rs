//! How the sources of upstreams are, for lists and figures.

use std::time::SystemTime;

use openclaw_core::config::Upstream;
use serde::Serialize;

use super::Discovery;
use super::source::{name_of, named};
use crate::telemetry::{MetricsText, metrics};

/// One source of an upstream's endpoints.
#[derive(Clone, Debug, Serialize)]
pub(in crate::control) struct SourceStatus {
    /// What it is called in logs, such as `srv _http._tcp.app.internal`.
    pub(in crate::control) source: String,
    /// How many the last good answer had, names counting as one.
    pub(in crate::control) endpoints: usize,
    /// How old that answer is; none: there was none yet.
    pub(in crate::control) age_seconds: Option<u64>,
    /// Why there is no newer one; none: it is up to date.
    pub(in crate::control) error: Option<String>,
    #[serde(skip)]
    at: Option<SystemTime>,
    #[serde(skip)]
    errors: u64,
}

impl Discovery {
    /// The sources of an upstream: names that are written among its endpoints, and where it discovers more.
    pub(in crate::control) fn sources(&self, upstream: &Upstream) -> Vec<SourceStatus> {
        let names = upstream.endpoints.iter();
        let names = names.filter_map(|endpoint| named(&endpoint.address));
        let names = names.map(|name| (name, true));
        let discover = upstream.discover.iter();
        let registry = discover.map(|one| (one.registry.clone(), one.keep_on_denial));
        let followed = self.0.followed.borrow();
        let known = names.chain(registry).filter_map(|(source, keeps)| {
            let follower = &followed.get(&source)?.follower;
            let last = follower.last();
            let at = last.as_ref().map(|last| last.at);
            let last = last.filter(|_| keeps || !follower.is_denied());
            Some(SourceStatus {
                source: name_of(&source),
                endpoints: last.map_or(0, |last| last.endpoints.len()),
                age_seconds: at.map(|at| at.elapsed().unwrap_or_default().as_secs()),
                error: follower.failing().map(|failing| failing.why),
                at,
                errors: follower.errors(),
            })
        });
        known.collect()
    }

    /// The figures of the upstreams that have sources.
    pub(in crate::control) fn collect(&self, upstreams: &[Upstream], text: &mut MetricsText) {
        let known = upstreams
            .iter()
            .map(|upstream| (&*upstream.name, self.sources(upstream)));
        let known: Vec<(&str, Vec<SourceStatus>)> =
            known.filter(|(_, sources)| !sources.is_empty()).collect();
        for (upstream, sources) in &known {
            let oldest = sources.iter().map(|source| source.at);
            // One that never answered leaves the figure out.
            let oldest = oldest.reduce(|one, other| one.zip(other).map(|(a, b)| a.min(b)));
            if let Some(at) = oldest.flatten() {
                let since = at.duration_since(SystemTime::UNIX_EPOCH);
                let since = since.unwrap_or_default().as_secs();
                text.sample(&metrics::DISCOVERY_LAST_SUCCESS, &[upstream], since);
            }
        }
        for (upstream, sources) in &known {
            let errors: u64 = sources.iter().map(|source| source.errors).sum();
            text.sample(&metrics::DISCOVERY_ERRORS_TOTAL, &[upstream], errors);
        }
    }
}
