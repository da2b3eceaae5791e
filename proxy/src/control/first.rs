//! Everything before the first worker, and before anything that two processes must not do at a time.

use std::sync::Arc;

use openclaw_core::config::Loaded;

use super::build::Builder;
use super::discover::Discovery;
use super::endpoints::Beside;
use super::error::{ControlError, Refused};
use super::given::Given;
use super::keeping::Keeping;
use super::logs::Logs;
use super::prepare::{Prepared, prepare, snapshot, worker_count};
use super::sockets::{Binding, Bound};
use super::state::Options;
use super::upgrade::Heir;
use crate::snapshot::Snapshot;
use crate::tls::CertificateFacts;
use crate::worker::BoundSocket;

/// See the module.
pub(super) struct First {
    pub(super) builder: Builder,
    pub(super) beside: Beside,
    pub(super) bound: Bound,
    pub(super) keeping: Keeping,
    /// One list per worker.
    pub(super) sockets: Vec<Vec<BoundSocket>>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) certificates: Vec<(Arc<str>, CertificateFacts)>,
    pub(super) logs: Logs,
}

impl First {
    pub(super) async fn prepare(
        options: &Options,
        loaded: Loaded,
        heir: Option<&mut Heir>,
        mut given: Given,
    ) -> Result<Self, ControlError> {
        let mut builder = Builder::default();
        let mut keeping = Keeping::knowing(given.kept());
        let groups = given.take_groups(&loaded.config, builder.quic.ids);
        let groups = groups.map_err(|source| ControlError::Given { source })?;
        given.end_kept();
        for doubt in given.left_over() {
            tracing::warn!("{doubt}");
        }
        let next = groups.len() as u16;
        let mut bound = Bound::inherited(groups, next);
        let mut workers = worker_count(&loaded.config);
        if let Some(inherited) = heir.and_then(Heir::take_sockets) {
            if inherited.workers != workers {
                tracing::warn!(
                    "`server.workers` stays {} until a restart",
                    inherited.workers
                );
            }
            workers = inherited.workers;
            bound = inherited.bound;
            keeping = Keeping::inherited(&bound);
            builder.quic = inherited.quic;
        }
        let state_dir = loaded.config.server.state_dir.clone();
        builder.discovery = Discovery::open(&state_dir);
        let (beside, doubts) = Beside::default().after_reload(&state_dir, &loaded.config);
        let Prepared {
            mut config,
            built,
            outputs,
            warnings,
            places,
        } = prepare(options, loaded, &mut builder, &beside)
            .await
            .map_err(ControlError::Refused)?;
        for warning in warnings.iter().chain(&doubts) {
            tracing::warn!("{warning}");
        }
        let Binding { bound, sockets } = bound
            .extend(&mut config, workers, &builder.quic)
            .map_err(|troubles| ControlError::Refused(Refused::placed(troubles, &places)))?;
        builder.taken(&built.upstreams);
        Ok(Self {
            certificates: built.certificates.clone(),
            snapshot: snapshot(1, config, built),
            logs: Logs::start(outputs).map_err(|source| ControlError::Runtime { source })?,
            builder,
            beside,
            bound,
            keeping,
            sockets,
        })
    }
}
