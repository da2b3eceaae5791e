//! The endpoints that registries have found.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Endpoint;

/// By upstream, then by registry: the last good set of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovered(BTreeMap<Arc<str>, BTreeMap<Arc<str>, Vec<Endpoint>>>);

impl Discovered {
    /// Takes what a registry has for an upstream now, in place of what it had.
    pub fn set(&mut self, upstream: &Arc<str>, registry: &Arc<str>, found: Vec<Endpoint>) {
        let of = self.0.entry(Arc::clone(upstream)).or_default();
        of.insert(Arc::clone(registry), found);
    }

    /// What registries have for an upstream, each with its name.
    pub fn of(&self, upstream: &str) -> impl Iterator<Item = (&Arc<str>, &Endpoint)> {
        let of = self.0.get(upstream).into_iter().flatten();
        of.flat_map(|(registry, found)| found.iter().map(move |endpoint| (registry, endpoint)))
    }
}
