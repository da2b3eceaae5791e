//! `openclaw shield off` and `on`: the kill switch. It works on the pins first and alone, whatever is the matter with configuration,
//! proxy or state directory, and only then tells the proxy, which does not get long to answer.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use hyper::body::Bytes;
use serde_json::json;

use super::Context;
use super::error::CliError;
use super::listing;
use super::operator::spared;
use super::output::Outcome;
use crate::control::{admin::client::CallError, load};
use crate::shield::{Answer, Kind, Request, kernel};
use crate::telemetry::chain;

/// How long the proxy has to say that it knows; it finds out by itself within a second.
const TOLD_WITHIN: Duration = Duration::from_secs(2);
/// Where the pins are unless a configuration says so.
const PIN_DIR: &str = "/sys/fs/bpf/openclaw";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only what is pinned there, whatever the configuration says; a proxy follows within a second
    #[arg(long, value_name = "DIR")]
    pin_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct OnArguments {
    #[command(flatten)]
    place: Arguments,
    /// Even if it drops the address from which you have logged in over SSH
    #[arg(long)]
    force: bool,
}

/// The lists apply again, unless they would cut the operator off.
pub(super) fn on(context: &Context, arguments: OnArguments) -> Result<Outcome, CliError> {
    let OnArguments { place, force } = arguments;
    if let Some(peer) = spared(force)
        && is_kept_out(context, peer)
    {
        return Err(CliError::Shield {
            message: format!(
                "the shield stays off: you are logged in from {peer}, which would be cut off; `openclaw explain ip {peer}` says why, --force switches it on \
                 all the same"
            ),
        });
    }
    throw(context, place, true)
}

/// Whoever cannot tell what the lists say does not hold the switch up.
fn is_kept_out(context: &Context, peer: IpAddr) -> bool {
    let address = peer.to_string();
    let kind = Kind::Block;
    let answer = context.ask(Request::Test { kind, address });
    matches!(answer, Ok(Answer::Tested(tested)) if tested.kept_out)
}

pub(super) fn throw(
    context: &Context,
    arguments: Arguments,
    is_on: bool,
) -> Result<Outcome, CliError> {
    if let Some(pin_dir) = arguments.pin_dir {
        return match kernel::throw(&pin_dir, is_on) {
            Ok(_) => Ok(thrown(&pin_dir, is_on, Vec::new())),
            Err(error) => Err(failed(&error)),
        };
    }
    let mut warnings = Vec::new();
    let pin_dir = if let Ok(loaded) = load(&context.origin(None)) {
        loaded.config.shield.pin_dir
    } else {
        warnings.push(format!(
            "warning: the configuration cannot be read; the pins are looked for in {PIN_DIR} (--pin-dir names another place)"
        ));
        PIN_DIR.into()
    };
    let result = kernel::throw(&pin_dir, is_on);
    match (result, tell(context, is_on)) {
        // Without the kernel program the proxy is all there is. With it, and its pins out of reach, it throws the switch itself.
        (Ok(_) | Err(_), Ok(answer)) => Ok(with(listing::outcome(answer), warnings)),
        (Ok(_), Err(CliError::Call(CallError::NotRunning { .. }))) => {
            Ok(thrown(&pin_dir, is_on, warnings))
        }
        (Ok(_), Err(error)) => {
            warnings.push(format!(
                "warning: the proxy was not told: {}; it follows within a second if it runs",
                chain(&error)
            ));
            Ok(thrown(&pin_dir, is_on, warnings))
        }
        (Err(error), Err(_)) => Err(failed(&error)),
    }
}

fn tell(context: &Context, is_on: bool) -> Result<Answer, CliError> {
    let request = if is_on { Request::On } else { Request::Off };
    let body = serde_json::to_vec(&request).map_err(|source| CliError::ForeignAnswer { source })?;
    let reply = context.call_within("POST", "/shield", &Bytes::from(body), TOLD_WITHIN)?;
    if !reply.is_success() {
        return Err(CliError::Answer {
            message: reply.error(),
        });
    }
    serde_json::from_slice(&reply.body).map_err(|source| CliError::ForeignAnswer { source })
}

fn failed(error: &kernel::KernelError) -> CliError {
    CliError::Shield {
        message: chain(error),
    }
}

fn thrown(pin_dir: &std::path::Path, is_on: bool, warnings: Vec<String>) -> Outcome {
    let attachments = kernel::Pins::new(pin_dir).attachments().unwrap_or_default();
    let names: Vec<String> = attachments.into_iter().map(|one| one.interface).collect();
    let state = if is_on {
        "ON: the lists apply"
    } else {
        "OFF by the kill switch: everything passes"
    };
    let place = match names.as_slice() {
        [] => "no interface is attached".to_owned(),
        names => names.join(", "),
    };
    let text = format!("shield: {state}; {place} ({})\n", pin_dir.display());
    let json =
        json!({ "answer": "switched", "on": is_on, "pin_dir": pin_dir, "interfaces": names });
    with(Outcome::new(text, json), warnings)
}

fn with(outcome: Outcome, warnings: Vec<String>) -> Outcome {
    Outcome {
        warnings: warnings.into_iter().chain(outcome.warnings).collect(),
        ..outcome
    }
}
