//! Changes of upstreams and routes while the proxy runs: a new snapshot from what the old one was made of, without the file being
//! read or anything else being built again.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use openclaw_core::config::{Action, Config, Endpoint};
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::build::Builder;
use super::names::Ask;
use super::state::Control;
use crate::snapshot::Snapshot;
use crate::telemetry::chain;

/// How long what registries find is gathered before it serves, so that many of them cost one snapshot.
const GATHER: Duration = Duration::from_millis(50);

impl Control {
    /// Takes what a registry has for an upstream now, in place of what it had. It serves soon, together with whatever others
    /// find meanwhile.
    pub fn discover(&self, upstream: &Arc<str>, registry: &Arc<str>, found: Vec<Endpoint>) {
        let mut beside = self.beside.borrow_mut();
        if beside.discovered.set(upstream, registry, found) {
            self.discovered.notify_one();
        }
    }

    /// Asks anew for the names of endpoints, and serves from what came of it.
    pub(super) async fn resolve_again(&self) {
        let mut builder = self.builder.lock().await;
        if self.serve_changes(&mut builder, Ask::All).await {
            tracing::info!("names of endpoints that had no address have been resolved");
        }
    }

    /// Serves from what the configuration, the operator and registries say now. All workers do when this returns; false: nothing
    /// is different.
    pub(super) async fn serve_changes(&self, builder: &mut Builder, ask: Ask) -> bool {
        let old = self.snapshot();
        let beside = self.beside.borrow().clone();
        let mut config = old.config.clone();
        beside.overlay.apply(&mut config);
        let resolved = builder.upstreams(&config.upstreams, &beside, ask).await;
        builder.taken();
        for trouble in &resolved.troubles {
            tracing::error!("{}", chain(trouble));
        }
        self.unresolved.set(!resolved.unresolved.is_empty());
        if resolved.upstreams == old.upstreams && has_same_targets(&config, &old.config) {
            return false;
        }
        let snapshot = Arc::new(Snapshot {
            generation: old.generation,
            config,
            router: old.router.clone(),
            listeners: old.listeners.clone(),
            upstreams: resolved.upstreams,
            limits: old.limits.clone(),
        });
        *self.snapshot.borrow_mut() = Arc::clone(&snapshot);
        let no_sockets = (0..self.worker_count).map(|_| Vec::new()).collect();
        for warning in self.hand_over(&snapshot, no_sockets).await {
            tracing::warn!("{warning}");
        }
        true
    }
}

fn has_same_targets(one: &Config, other: &Config) -> bool {
    let routes = one.routes.iter().zip(&other.routes);
    let mut pairs = routes.map(|(one, other)| (&one.action, &other.action));
    pairs.all(|pair| match pair {
        (Action::Forward(one), Action::Forward(other)) => one == other,
        _ => true,
    })
}

/// Serves what registries find, for as long as the proxy runs.
pub(super) fn attend(control: &Rc<Control>) {
    let control = Rc::clone(control);
    spawn_local(async move {
        loop {
            control.discovered.notified().await;
            sleep(GATHER).await;
            let mut builder = control.builder.lock().await;
            control.serve_changes(&mut builder, Ask::Unknown).await;
        }
    });
}
