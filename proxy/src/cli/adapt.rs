//! `openclaw adapt`: another program's configuration as one of ours.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use openclaw_core::adapt::{Adapted, nginx};
use serde_json::json;

use super::error::CliError;
use super::output::Outcome;
use crate::control::Disk;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, Subcommand)]
enum From {
    /// An nginx.conf with all that it includes; the configuration goes to stdout, what could not be converted to stderr
    Nginx { file: PathBuf },
}

pub(super) fn run(arguments: Arguments) -> Result<Outcome, CliError> {
    let From::Nginx { file } = arguments.from;
    let text = std::fs::read_to_string(&file).map_err(|source| CliError::ForeignFile {
        path: file.clone(),
        source,
    })?;
    let adapted = nginx(&file.display().to_string(), &text, &Disk);
    let Adapted { text, notes } = adapted.map_err(|error| CliError::Foreign {
        message: error.to_string(),
    })?;
    let warnings = notes.iter().map(ToString::to_string).collect();
    let json = json!({ "text": text, "notes": notes });
    Ok(Outcome {
        warnings,
        ..Outcome::new(text, json)
    })
}
