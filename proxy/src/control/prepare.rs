//! Everything between a configuration that reads well and one that can be handed to the workers, the sockets apart.

use std::sync::Arc;
use std::thread;

use openclaw_core::config::{Config, Loaded, Places, ShieldMode};

use super::build::{Builder, Built};
use super::endpoints::Beside;
use super::error::Refused;
use super::kept::silenced;
use super::logs::Outputs;
use super::state::Options;
use crate::shield::pointless_blocks;
use crate::snapshot::Snapshot;

/// Everything short of the sockets.
pub(super) struct Prepared {
    pub(super) config: Config,
    pub(super) built: Built,
    pub(super) outputs: Outputs,
    pub(super) warnings: Vec<String>,
    pub(super) places: Places,
}

pub(super) async fn prepare(
    options: &Options,
    loaded: Loaded,
    builder: &mut Builder,
    beside: &Beside,
) -> Result<Prepared, Refused> {
    let Loaded {
        mut config,
        warnings,
        places,
    } = loaded;
    if !options.shield {
        config.shield.mode = ShieldMode::Off;
    }
    beside.overlay.apply(&mut config);
    let refused = |troubles| Refused::placed(troubles, &places);
    let built = builder.build(&config, beside).await.map_err(refused)?;
    let outputs = Outputs::open(&config.log).map_err(|trouble| refused(vec![trouble]))?;
    let warnings = warnings.iter().map(ToString::to_string);
    let warnings = warnings
        .chain(built.warnings(&places))
        .chain(silenced(
            &beside.overlay.kept,
            &config.upstreams,
            &built.upstreams,
        ))
        .chain(pointless_blocks(&config))
        .collect();
    Ok(Prepared {
        config,
        built,
        outputs,
        warnings,
        places,
    })
}

pub(super) fn snapshot(generation: u64, config: Config, built: Built) -> Arc<Snapshot> {
    Arc::new(Snapshot {
        generation,
        config,
        router: built.router,
        listeners: built.listeners,
        upstreams: built.upstreams,
        secured: built.secured,
        pages: built.pages,
        limits: built.limits,
        cache: built.cache,
    })
}

pub(super) fn worker_count(config: &Config) -> usize {
    config
        .server
        .workers
        .or_else(|| thread::available_parallelism().ok())
        .map_or(1, Into::into)
}

/// How many workers there are is settled at the start.
const WORKERS: &str = "server.workers";

/// The keys of settings that a process begins with otherwise: one that takes over goes on with the workers of the one before.
pub(super) fn waiting_at_start(config: &Config, workers: usize) -> Vec<&'static str> {
    let is_other = worker_count(config) != workers;
    Vec::from_iter(is_other.then_some(WORKERS))
}

/// Settings that a reload does not reach: they stay in the new configuration as the process has them. Gives the keys of those that the
/// text wants otherwise.
pub(super) fn keep_until_restart(
    old: &Config,
    new: &mut Config,
    workers: usize,
) -> Vec<&'static str> {
    let mut waiting = Vec::new();
    if worker_count(new) != workers {
        waiting.push(WORKERS);
    }
    let (server, admin) = (&mut new.server, &mut new.admin);
    let mut keep = |key, is_changed: bool| {
        if is_changed {
            waiting.push(key);
        }
    };
    keep(
        "server.state_dir",
        stay(&mut server.state_dir, &old.server.state_dir),
    );
    keep(
        "server.limit_keys",
        stay(&mut server.limit_keys, &old.server.limit_keys),
    );
    keep("server.user", stay(&mut server.user, &old.server.user));
    keep("server.group", stay(&mut server.group, &old.server.group));
    keep("admin.socket", stay(&mut admin.socket, &old.admin.socket));
    keep(
        "admin.metrics",
        stay(&mut admin.metrics, &old.admin.metrics),
    );
    keep("admin.web", stay(&mut admin.web, &old.admin.web));
    waiting
}

/// Puts back what was before; whether that is something else.
fn stay<T: Clone + PartialEq>(new: &mut T, old: &T) -> bool {
    let is_changed = new != old;
    new.clone_from(old);
    is_changed
}
