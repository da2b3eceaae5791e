//! Sums over all workers as plain figures, for those who show them in another way than as metrics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Cache;
use super::report::Summary;

/// What came to a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListenerFigures {
    pub open: i64,
    pub accepted: u64,
    pub requests: u64,
    /// Answers with 5xx.
    pub errors: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// What a route did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteFigures {
    pub requests: u64,
    /// 1xx to 5xx at 1..=5, anything else at 0.
    pub classes: [u64; 6],
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// As [`super::histogram::BOUNDS`] has them, and one for what is above all.
    pub buckets: Vec<u64>,
    pub cache_asked: u64,
    pub cache_hits: u64,
}

impl<'a> Summary<'a> {
    /// By name.
    pub fn listeners(&self) -> BTreeMap<&'a str, ListenerFigures> {
        let mut all: BTreeMap<&str, ListenerFigures> = BTreeMap::new();
        for (name, counts) in &self.listeners {
            let figures = all.entry(name).or_default();
            figures.open += counts.open;
            figures.accepted += counts.accepted;
            figures.bytes_in += counts.relayed_in;
            figures.bytes_out += counts.relayed_out;
        }
        for ((listener, _, _, code), count) in &self.requests {
            let figures = all.entry(listener).or_default();
            figures.requests += count;
            if *code >= 500 {
                figures.errors += count;
            }
        }
        for ((listener, _), flow) in &self.flows {
            let figures = all.entry(listener).or_default();
            figures.bytes_in += flow.bytes_in;
            figures.bytes_out += flow.bytes_out;
        }
        all
    }

    /// By name; what no route took has the empty one.
    pub fn routes(&self) -> BTreeMap<&'a str, RouteFigures> {
        let mut all: BTreeMap<&str, RouteFigures> = BTreeMap::new();
        for ((_, route, _, code), count) in &self.requests {
            let figures = all.entry(route).or_default();
            figures.requests += count;
            let class = usize::from(code / 100);
            let class = if class > 5 { 0 } else { class };
            if let Some(sum) = figures.classes.get_mut(class) {
                *sum += count;
            }
        }
        for ((_, route), flow) in &self.flows {
            let figures = all.entry(route).or_default();
            figures.bytes_in += flow.bytes_in;
            figures.bytes_out += flow.bytes_out;
            let buckets = flow.duration.buckets();
            if figures.buckets.is_empty() {
                figures.buckets = buckets.collect();
            } else {
                let sums = figures.buckets.iter_mut();
                sums.zip(buckets).for_each(|(sum, more)| *sum += more);
            }
        }
        for (route, counts) in &self.cache {
            let figures = all.entry(route).or_default();
            for (result, cached) in Cache::ALL.iter().zip(counts) {
                if result.is_from_store() {
                    figures.cache_hits += cached.requests;
                }
                if *result != Cache::Bypass {
                    figures.cache_asked += cached.requests;
                }
            }
        }
        all
    }

    /// Beside the table of reasons.
    pub fn refusals(&self) -> &[u64] {
        &self.refusals
    }
}
