//! How the sources of upstreams are, for figures and lists.

use std::time::SystemTime;

use openclaw_core::config::Upstream;

use super::{Discovery, named};
use crate::telemetry::{MetricsText, metrics};

/// How the sources of one upstream are together, its names among them.
#[derive(Clone, Debug)]
pub(in crate::control) struct Freshness {
    /// The oldest of their last good answers; none: one of them has never answered.
    pub(in crate::control) at: Option<SystemTime>,
    pub(in crate::control) errors: u64,
}

impl Discovery {
    /// None: all of its endpoints are written down.
    pub(in crate::control) fn freshness(&self, upstream: &Upstream) -> Option<Freshness> {
        let names = upstream.endpoints.iter();
        let names = names.filter_map(|endpoint| named(&endpoint.address));
        let sources = names.chain(upstream.discover.clone());
        let followed = self.0.followed.borrow();
        let all: Vec<Freshness> = sources
            .filter_map(|source| {
                let follower = &followed.get(&source)?.follower;
                Some(Freshness {
                    at: follower.last().map(|last| last.at),
                    errors: follower.errors(),
                })
            })
            .collect();
        all.into_iter().reduce(|one, other| Freshness {
            at: one.at.zip(other.at).map(|(one, other)| one.min(other)),
            errors: one.errors + other.errors,
        })
    }

    /// The figures of the upstreams that have sources.
    pub(in crate::control) fn collect(&self, upstreams: &[Upstream], text: &mut MetricsText) {
        let known = upstreams.iter().filter_map(|upstream| {
            let freshness = self.freshness(upstream)?;
            Some((&*upstream.name, freshness))
        });
        let known: Vec<(&str, Freshness)> = known.collect();
        for (upstream, freshness) in &known {
            if let Some(at) = freshness.at {
                let since = at.duration_since(SystemTime::UNIX_EPOCH);
                let since = since.unwrap_or_default().as_secs();
                text.sample(&metrics::DISCOVERY_LAST_SUCCESS, &[upstream], since);
            }
        }
        for (upstream, freshness) in &known {
            let errors = freshness.errors;
            text.sample(&metrics::DISCOVERY_ERRORS_TOTAL, &[upstream], errors);
        }
    }
}
