//! `openclaw reload`.

use hyper::body::Bytes;
use serde_json::Value;

use super::Context;
use super::error::CliError;
use super::output::Outcome;
use crate::control::admin::client::CallError;
use crate::control::load;

/// What the admin API answers with when the configuration is wrong, and when what it asks for is not to be had.
const REFUSED: [(u16, u8); 2] = [(422, 2), (409, 1)];

pub(super) fn reload(context: &Context) -> Result<Outcome, CliError> {
    let reply = match context.call("POST", "/reload", &Bytes::new()) {
        // With a file that is wrong this is what to see to first.
        Err(CliError::Call(CallError::NotRunning { path })) if context.socket.is_none() => {
            load(&context.origin(None)).map_err(CliError::Refused)?;
            return Err(CallError::NotRunning { path }.into());
        }
        asked => asked?,
    };
    let json = reply.json();
    let text = |key: &str| {
        let text = json.get(key).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let refusal = REFUSED.iter().find(|(status, _)| *status == reply.status);
    if let Some((_, code)) = refusal {
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
    let generation = json.get("generation").and_then(Value::as_u64);
    let warnings = json.get("warnings").and_then(Value::as_array);
    let warnings = warnings
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(ToOwned::to_owned)
        .collect();
    let text = format!("reloaded: generation {}\n", generation.unwrap_or_default());
    Ok(Outcome {
        warnings,
        ..Outcome::new(text, json)
    })
}
