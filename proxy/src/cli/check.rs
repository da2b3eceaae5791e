//! `openclaw check`: whether a configuration could be served, certificates and names included.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use tokio::runtime;

use super::Context;
use super::error::CliError;
use super::output::{Outcome, counted};
use crate::control::{self, Checked, Origin};

#[derive(Debug, Args)]
#[command(
    after_help = "A certificate or key that cannot be used is an error. An endpoint name without an address is a warning, as it is for \
    `run` and `reload`: the rest is served, and the name is asked for again."
)]
pub(super) struct Arguments {
    /// The file; else the one that `run` would take
    file: Option<PathBuf>,
    /// Neither read certificates nor ask for the addresses of names
    #[arg(long)]
    text_only: bool,
}

pub(super) fn check(context: &Context, arguments: &Arguments) -> Result<Outcome, CliError> {
    let origin = context.origin(arguments.file.as_deref());
    if arguments.text_only {
        let checked = control::check_text(&origin).map_err(CliError::Refused)?;
        return Ok(told(&origin, checked));
    }
    whole(&origin)
}

/// With certificates and names.
pub(super) fn whole(origin: &Origin) -> Result<Outcome, CliError> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| CliError::Runtime { source })?;
    let checked = runtime.block_on(control::check(origin));
    runtime.shutdown_background();
    Ok(told(origin, checked.map_err(CliError::Refused)?))
}

fn told(origin: &Origin, checked: Checked) -> Outcome {
    let Checked { config, warnings } = checked;
    let counts = [
        (config.listeners.len(), "listener"),
        (config.routes.len(), "route"),
        (config.upstreams.len(), "upstream"),
    ];
    let counted = counts.map(|(count, what)| counted(count as u64, what));
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
    Outcome {
        warnings,
        ..Outcome::new(text, json)
    }
}
