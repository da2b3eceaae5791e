//! The endpoints that registries have found.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Endpoint;

/// By upstream, then by registry: the last good set of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovered(BTreeMap<Arc<str>, BTreeMap<Arc<str>, Vec<Endpoint>>>);

impl Discovered {
    /// Takes what a registry has for an upstream now, in place of what it had; true when that is something else.
    pub fn set(&mut self, upstream: &Arc<str>, registry: &Arc<str>, found: Vec<Endpoint>) -> bool {
        let of = self.0.entry(Arc::clone(upstream)).or_default();
        if of.get(registry).is_some_and(|known| *known == found) {
            return false;
        }
        of.insert(Arc::clone(registry), found);
        true
    }

    /// Forgets what nobody asks for any more; true when that was something.
    pub fn retain(&mut self, mut wanted: impl FnMut(&str, &str) -> bool) -> bool {
        let mut changed = false;
        self.0.retain(|upstream, of| {
            of.retain(|registry, _| {
                let keep = wanted(upstream, registry);
                changed |= !keep;
                keep
            });
            !of.is_empty()
        });
        changed
    }

    /// What registries have for an upstream, each with its name.
    pub fn of(&self, upstream: &str) -> impl Iterator<Item = (&Arc<str>, &Endpoint)> {
        let of = self.0.get(upstream).into_iter().flatten();
        of.flat_map(|(registry, found)| found.iter().map(move |endpoint| (registry, endpoint)))
    }
}
