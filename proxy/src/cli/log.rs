//! `openclaw log`: what the running proxy says and writes.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::Context;
use super::error::CliError;
use super::output::Outcome;
use crate::control::admin::table::encode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Say how much the proxy says on stderr, or change it until the next reload
    Level {
        /// error, warn, info, debug or trace
        #[arg(value_name = "LEVEL")]
        level: Option<String>,
    },
    /// Open the files of the logs anew, after they were renamed; SIGUSR1 does the same
    Reopen,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Outcome, CliError> {
    match &arguments.verb {
        Verb::Level { level } => {
            let body = match level {
                Some(level) => {
                    context.answer("POST", &format!("/log/level?level={}", encode(level)))?
                }
                None => context.answer("GET", "/log/level")?,
            };
            let json: Value = serde_json::from_slice(&body)
                .map_err(|source| CliError::ForeignAnswer { source })?;
            let level = json.get("level").and_then(Value::as_str);
            let text = format!("{}\n", level.unwrap_or("-"));
            Ok(Outcome::new(text, json))
        }
        Verb::Reopen => {
            let body = context.answer("POST", "/log/reopen")?;
            let json = serde_json::from_slice(&body)
                .map_err(|source| CliError::ForeignAnswer { source })?;
            Ok(Outcome::new("the logs are opened anew\n".into(), json))
        }
    }
}
