//! `openclaw reload`, and the two words after it: `confirm` and `rollback`.

use clap::Args;
use hyper::body::Bytes;
use serde_json::Value;

use super::Context;
use super::error::CliError;
use super::operator::spared;
use super::output::Outcome;
use crate::control::admin::client::{CallError, Reply};
use crate::control::admin::table::encode;
use crate::control::{confirm_within, load};

/// What the admin API answers with when the configuration is wrong, and when what it asks for is not to be had.
const REFUSED: [(u16, u8); 2] = [(422, 2), (409, 1)];

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Go back to the configuration before after this time, such as 60s, unless `openclaw confirm` comes first
    #[arg(long, value_name = "TIME", value_parser = within)]
    confirm: Option<String>,
    /// Even if the shield drops the address then from which you have logged in over SSH
    #[arg(long)]
    force: bool,
}

fn within(text: &str) -> Result<String, String> {
    confirm_within(text).map(|_| text.to_owned())
}

pub(super) fn reload(context: &Context, arguments: &Arguments) -> Result<Outcome, CliError> {
    let confirm = arguments.confirm.as_deref().map(encode);
    let spare = spared(arguments.force).map(|peer| encode(&peer.to_string()));
    let parameters = [("confirm", confirm), ("spare", spare)];
    let parameters = parameters
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", value?)));
    let parameters: Vec<String> = parameters.collect();
    let target = match parameters.as_slice() {
        [] => "/reload".to_owned(),
        parameters => format!("/reload?{}", parameters.join("&")),
    };
    let reply = match context.call("POST", &target, &Bytes::new()) {
        // With a file that is wrong this is what to see to first.
        Err(CliError::Call(CallError::NotRunning { path })) if context.socket.is_none() => {
            load(&context.origin(None)).map_err(CliError::Refused)?;
            return Err(CallError::NotRunning { path }.into());
        }
        asked => asked?,
    };
    let json = taken(&reply)?;
    let by = json.get("confirm_by").and_then(Value::as_str);
    let by = by.map_or(String::new(), |by| {
        format!("; without `openclaw confirm` the one before serves again at {by}")
    });
    Ok(outcome(json, "reloaded", &by))
}

pub(super) fn confirm(context: &Context) -> Result<Outcome, CliError> {
    let json = taken(&context.call("POST", "/confirm", &Bytes::new())?)?;
    Ok(outcome(json, "confirmed", ""))
}

pub(super) fn rollback(context: &Context) -> Result<Outcome, CliError> {
    let json = taken(&context.call("POST", "/rollback", &Bytes::new())?)?;
    let rest = ", the configuration before; the file is as it was, and `openclaw reload` takes it";
    Ok(outcome(json, "rolled back", rest))
}

/// What the proxy has taken, or its refusal: with what is wrong with the configuration, if it is that.
pub(super) fn taken(reply: &Reply) -> Result<Value, CliError> {
    let json = reply.json();
    let text = |key: &str| {
        let text = json.get(key).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let refusal = REFUSED.iter().find(|(status, _)| *status == reply.status);
    if let Some((_, code)) = refusal.filter(|_| json.get("problems").is_some()) {
        return Err(CliError::RefusedThere {
            code: *code,
            error: text("error"),
            text: text("text"),
            problems: json.get("problems").cloned().unwrap_or_default(),
        });
    }
    if !reply.is_success() {
        return Err(CliError::Answer {
            message: reply.error(),
        });
    }
    Ok(json)
}

fn outcome(json: Value, done: &str, rest: &str) -> Outcome {
    let generation = json.get("generation").and_then(Value::as_u64);
    let warnings = json.get("warnings").and_then(Value::as_array);
    let warnings = warnings
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(ToOwned::to_owned)
        .collect();
    let generation = generation.unwrap_or_default();
    let text = format!("{done}: generation {generation}{rest}\n");
    Outcome {
        warnings,
        ..Outcome::new(text, json)
    }
}
