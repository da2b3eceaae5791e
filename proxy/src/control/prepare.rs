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

/// Settings that a reload does not reach.
pub(super) fn kept_until_restart(old: &Config, new: &Config, workers: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut kept = |key: &str, changed: bool| {
        if changed {
            warnings.push(format!("{key} changes with the next restart"));
        }
    };
    kept("server.workers", worker_count(new) != workers);
    kept(
        "server.state_dir",
        old.server.state_dir != new.server.state_dir,
    );
    kept(
        "server.limit_keys",
        old.server.limit_keys != new.server.limit_keys,
    );
    kept("server.user", old.server.user != new.server.user);
    kept("server.group", old.server.group != new.server.group);
    kept("admin.socket", old.admin.socket != new.admin.socket);
    kept("admin.metrics", old.admin.metrics != new.admin.metrics);
    kept("admin.web", old.admin.web != new.admin.web);
    warnings
}
