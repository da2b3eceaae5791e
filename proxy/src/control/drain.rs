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

/// Upstream, label and address.
type Key = (Arc<str>, Arc<str>, SocketAddr);

fn key_of(upstream: &Arc<str>, endpoint: &ResolvedEndpoint) -> Key {
    let label = Arc::clone(&endpoint.label);
    (Arc::clone(upstream), label, endpoint.address)
}

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
        let key = key_of(upstream, &endpoint);
        let control = Rc::clone(self);
        let upstream = Arc::clone(upstream);
        let mut clock = JoinSet::new();
        clock.spawn_local(async move {
            sleep(within).await;
            control.end(&upstream, &endpoint);
        });
        self.drains.borrow_mut().0.insert(key, clock);
    }

    /// It serves again: nothing is ended.
    pub(super) fn end_nothing(&self, upstream: &Arc<str>, endpoint: &ResolvedEndpoint) {
        self.drains
            .borrow_mut()
            .0
            .remove(&key_of(upstream, endpoint));
    }

    fn end(&self, upstream: &Arc<str>, endpoint: &ResolvedEndpoint) {
        let snapshot = self.snapshot();
        let upstreams = snapshot.config.upstreams.iter().zip(&snapshot.upstreams);
        let serves = upstreams
            .filter(|(config, _)| config.name == *upstream)
            .flat_map(|(_, setup)| &setup.endpoints)
            .any(|one| {
                let is_it = one.address == endpoint.address && one.label == endpoint.label;
                is_it && !one.is_draining
            });
        // A reload may have brought it back.
        if !serves {
            self.cut(upstream, endpoint);
        }
        // Last, since it ends this very task.
        self.drains
            .borrow_mut()
            .0
            .remove(&key_of(upstream, endpoint));
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
