//! `openclaw stop`: drains the running proxy and waits for its end.

use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use hyper::body::Bytes;
use openclaw_core::config::units;
use serde_json::{Value, json};

use super::Context;
use super::error::CliError;
use super::output::Outcome;
use crate::control::admin::client::CallError;
use crate::control::admin::table::encode;

/// What the end may take beyond the grace.
const MARGIN: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// How long running requests may take, such as 30s; else `server.shutdown_grace`
    #[arg(long, value_name = "TIME", value_parser = grace)]
    grace: Option<String>,
}

fn grace(text: &str) -> Result<String, String> {
    match units::duration(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(complaint) => Err(complaint.to_string()),
    }
}

pub(super) fn stop(context: &Context, arguments: &Arguments) -> Result<Outcome, CliError> {
    let target = match &arguments.grace {
        Some(grace) => format!("/stop?grace={}", encode(grace)),
        None => "/stop".to_owned(),
    };
    let reply = context.call("POST", &target, &Bytes::new())?;
    if !reply.is_success() {
        return Err(CliError::Answer {
            message: reply.error(),
        });
    }
    let json = reply.json();
    let grace = json.get("grace_seconds").and_then(Value::as_f64);
    let grace = Duration::try_from_secs_f64(grace.unwrap_or_default()).unwrap_or_default();
    let started = Instant::now();
    while started.elapsed() < grace + MARGIN {
        match context.call("GET", "/config", &Bytes::new()) {
            // It answered before, so one that cannot be opened is not its.
            Err(CliError::Call(CallError::NotRunning { .. } | CallError::Connect { .. })) => {
                let json = json!({ "stopped": true });
                return Ok(Outcome::new("stopped\n".to_owned(), json));
            }
            // It may be cut off in the middle of an answer.
            Ok(_) | Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
    Err(CliError::StillRunning {
        seconds: started.elapsed().as_secs(),
    })
}
