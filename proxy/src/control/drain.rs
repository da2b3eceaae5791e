//! The bound of a drain: what an endpoint still has to do with when its time is over is ended.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::state::Control;
use crate::snapshot::ResolvedEndpoint;
use crate::worker::Command;

/// Upstream and address.
type Key = (Arc<str>, SocketAddr);

/// Endpoints whose time runs. Each has one clock, that of the last order.
#[derive(Debug, Default)]
pub(super) struct Drains(HashMap<Key, JoinSet<()>>);

impl Control {
    /// Ends what runs at the endpoint after `within`, unless it serves again by then.
    pub(super) fn end_within(
        self: &Rc<Self>,
        upstream: &Arc<str>,
        endpoint: ResolvedEndpoint,
        within: Duration,
    ) {
        let key = (Arc::clone(upstream), endpoint.address);
        let control = Rc::clone(self);
        let of = key.clone();
        let mut clock = JoinSet::new();
        clock.spawn_local(async move {
            sleep(within).await;
            control.end(&of, &endpoint);
        });
        self.drains.borrow_mut().0.insert(key, clock);
    }

    /// It serves again: nothing is ended.
    pub(super) fn end_nothing(&self, upstream: &Arc<str>, endpoint: &ResolvedEndpoint) {
        let key = (Arc::clone(upstream), endpoint.address);
        self.drains.borrow_mut().0.remove(&key);
    }

    fn end(&self, (upstream, address): &Key, endpoint: &ResolvedEndpoint) {
        let snapshot = self.snapshot();
        let upstreams = snapshot.config.upstreams.iter().zip(&snapshot.upstreams);
        let serves = upstreams
            .filter(|(config, _)| config.name == *upstream)
            .flat_map(|(_, setup)| &setup.endpoints)
            .any(|one| one.address == *address && one.label == endpoint.label && !one.is_draining);
        // A reload may have brought it back.
        if !serves {
            self.cut(upstream, endpoint);
        }
        // Last, since it ends this very task.
        self.drains
            .borrow_mut()
            .0
            .remove(&(Arc::clone(upstream), *address));
    }

    fn cut(&self, upstream: &str, endpoint: &ResolvedEndpoint) {
        endpoint.standing.set_cut(true);
        self.tell_workers(|| Command::Wake);
        let endpoint = &*endpoint.label;
        tracing::info!(
            upstream,
            endpoint,
            "the time to drain is over: what still ran is ended"
        );
    }
}
