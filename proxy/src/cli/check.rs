//! `openclaw check`: whether a configuration could be served, certificates and names included.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use tokio::runtime;

use super::Context;
use super::error::CliError;
use super::output::Outcome;
use crate::control::{self, Origin};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The file; else the one that `run` would take
    file: Option<PathBuf>,
}

pub(super) fn check(context: &Context, arguments: &Arguments) -> Result<Outcome, CliError> {
    outcome(&context.origin(arguments.file.as_deref()))
}

pub(super) fn outcome(origin: &Origin) -> Result<Outcome, CliError> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| CliError::Runtime { source })?;
    let checked = runtime.block_on(control::check(origin));
    runtime.shutdown_background();
    let (config, warnings) = checked.map_err(CliError::Refused)?;
    let counts = [
        (config.listeners.len(), "listener"),
        (config.routes.len(), "route"),
        (config.upstreams.len(), "upstream"),
    ];
    let counted = counts.map(|(count, what)| {
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {what}{plural}")
    });
    let name = origin.name();
    let text = format!("{name}: ok ({})\n", counted.join(", "));
    let json = json!({
        "ok": true,
        "config": name,
        "listeners": config.listeners.len(),
        "routes": config.routes.len(),
        "upstreams": config.upstreams.len(),
        "warnings": warnings,
        "problems": [],
    });
    Ok(Outcome {
        warnings,
        ..Outcome::new(text, json)
    })
}
