//! Changes of upstreams and routes while the proxy runs: a new snapshot from what the old one was made of, without the file being
//! read or anything else being built again.

use std::sync::Arc;

use openclaw_core::config::{Action, Config};

use super::build::Builder;
use super::discover::Ask;
use super::state::Control;
use crate::snapshot::Snapshot;
use crate::telemetry::chain;

impl Control {
    /// Serves from what sources of endpoints say now.
    pub(super) async fn serve_found(&self) {
        // Who has gone serves what it has.
        let Ok(mut builder) = self.hold_at_last().await else {
            return;
        };
        self.serve_changes(&mut builder, Ask::Unknown).await;
    }

    /// Serves from what the configuration, the operator and registries say now. All workers do when this returns; false: nothing
    /// is different.
    pub(super) async fn serve_changes(&self, builder: &mut Builder, ask: Ask) -> bool {
        let old = self.snapshot();
        let beside = self.beside.borrow().clone();
        let mut config = old.config.clone();
        beside.overlay.apply(&mut config);
        let resolved = builder.upstreams(&config.upstreams, &beside, ask).await;
        builder.taken(&resolved.upstreams);
        for trouble in &resolved.troubles {
            tracing::error!("{}", chain(trouble));
        }
        if resolved.upstreams == old.upstreams && has_same_targets(&config, &old.config) {
            return false;
        }
        let snapshot = Arc::new(Snapshot {
            generation: old.generation,
            config,
            router: old.router.clone(),
            listeners: old.listeners.clone(),
            upstreams: resolved.upstreams,
            secured: old.secured.clone(),
            pages: old.pages.clone(),
            limits: old.limits.clone(),
            cache: old.cache.clone(),
        });
        self.serve(snapshot).await;
        true
    }

    /// Serves from a snapshot that listens where the one before did.
    pub(super) async fn serve(&self, snapshot: Arc<Snapshot>) {
        *self.snapshot.borrow_mut() = Arc::clone(&snapshot);
        let no_sockets = (0..self.worker_count).map(|_| Vec::new()).collect();
        for warning in self.hand_over(&snapshot, no_sockets).await {
            tracing::warn!("{warning}");
        }
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
