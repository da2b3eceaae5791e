//! Starting the workers, and what listens to them.

use std::sync::Arc;

use super::error::ControlError;
use super::logs::Logs;
use crate::shield::Shield;
use crate::shield::autoban::{Autoban, Queue};
use crate::snapshot::Snapshot;
use crate::telemetry::SpanQueue;
use crate::worker::{self, BoundSocket, Closer, WorkerHandle, WorkerSeed};

/// Starts the workers, and the thread that hears of refusals from them.
pub(super) fn spawn(
    snapshot: &Arc<Snapshot>,
    sockets: Vec<Vec<BoundSocket>>,
    (logs, spans): (&Logs, &SpanQueue),
    shield: &Shield,
) -> Result<(Vec<WorkerHandle>, Autoban), ControlError> {
    let queue = Queue::default();
    let count = sockets.len();
    let mut workers = Vec::with_capacity(count);
    for (index, sockets) in sockets.into_iter().enumerate() {
        let (access_log, security_log) = logs.handles();
        let seed = WorkerSeed {
            index,
            workers: count,
            snapshot: Arc::clone(snapshot),
            sockets,
            access_log: Some(access_log),
            security_log: Some(security_log),
            spans: Some(spans.clone()),
            peers: shield.peers(),
            informer: queue.informer(),
        };
        let worker =
            worker::spawn(seed).map_err(|source| ControlError::Worker { index, source })?;
        workers.push(worker);
    }
    let closers: Vec<Closer> = workers.iter().map(WorkerHandle::closer).collect();
    let close = Box::new(move |range| closers.iter().for_each(|one| one.close(Some(range))));
    let autoban = queue
        .attend(shield.clone(), &snapshot.config, close)
        .map_err(|source| ControlError::Runtime { source })?;
    Ok((workers, autoban))
}
