//! `openclaw status`.

use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::Context;
use super::error::CliError;
use super::output::{Outcome, counted, table};
use crate::privilege::Privileges;

pub(super) fn status(context: &Context) -> Result<Outcome, CliError> {
    let reply = context.call("GET", "/status", &Bytes::new())?;
    if !reply.is_success() {
        return Err(CliError::Answer {
            message: reply.error(),
        });
    }
    let json = reply.json();
    Ok(Outcome::new(text(&json), json))
}

fn text(status: &Value) -> String {
    let word = |pointer: &str| match status.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => "-".to_owned(),
        Some(other) => other.to_string(),
    };
    let number = |pointer: &str| {
        let number = status.pointer(pointer).and_then(Value::as_u64);
        number.unwrap_or_default()
    };
    let row = |name: &str, text: String| vec![name.to_owned(), text];
    let draining = status.pointer("/draining") == Some(&Value::Bool(true));
    let mut rows = vec![
        row(
            "openclaw",
            format!(
                "{}, process {}, up {} s{}",
                word("/version"),
                word("/pid"),
                word("/uptime_seconds"),
                if draining { ", draining" } else { "" }
            ),
        ),
        row(
            "config",
            format!(
                "{}, generation {}",
                word("/config/from"),
                word("/config/generation")
            ),
        ),
    ];
    rows.extend(history(status).map(|text| row("reload", text)));
    rows.extend(waiting(status).map(|text| row("restart", text)));
    rows.extend(refused(status).map(|text| row("reload", text)));
    rows.extend(listeners(status).map(|text| row("listener", text)));
    rows.push(row(
        "workers",
        format!(
            "{} of {} answer",
            word("/workers/running"),
            word("/workers/configured")
        ),
    ));
    rows.push(row(
        "traffic",
        format!(
            "{}, {} so far",
            counted(number("/connections"), "connection"),
            counted(number("/requests"), "request")
        ),
    ));
    rows.push(row("shield", word("/shield")));
    if let Some(held) = status.get("privileges") {
        let held = Privileges::deserialize(held).unwrap_or_default();
        rows.push(row("privileges", held.to_string()));
    }
    rows.push(row("metrics", word("/metrics")));
    if status.get("web").is_some_and(Value::is_string) {
        rows.push(row("page", word("/web")));
    }
    table(&rows)
}

/// That the last reload was not taken.
fn refused(status: &Value) -> Option<String> {
    let last = status.pointer("/config/last_reload")?;
    let problems = last.get("problems")?.as_array()?;
    let at = last.get("at").and_then(Value::as_str).unwrap_or("-");
    let problems = counted(problems.len() as u64, "problem");
    Some(format!(
        "REFUSED at {at}: {problems}, the old configuration serves on"
    ))
}

/// What waits for a confirmation, or was gone back from.
fn history(status: &Value) -> Option<String> {
    let history = status.pointer("/config/history")?;
    if let Some(left) = history.pointer("/unconfirmed/seconds_left") {
        let by = history.pointer("/unconfirmed/by").and_then(Value::as_str);
        let by = by.unwrap_or_default();
        return Some(format!(
            "UNCONFIRMED: the configuration before serves again in {left} s, at {by}"
        ));
    }
    let is_back = history.get("is_rolled_back") == Some(&Value::Bool(true));
    is_back.then(|| "ROLLED BACK: this is not what the file says".to_owned())
}

/// What a restart would change.
fn waiting(status: &Value) -> Option<String> {
    let keys = status.pointer("/config/waits_for_restart")?.as_array()?;
    let keys: Vec<&str> = keys.iter().filter_map(Value::as_str).collect();
    let is_any = !keys.is_empty();
    is_any.then(|| format!("changes {}, which a reload does not", keys.join(", ")))
}

fn listeners(status: &Value) -> impl Iterator<Item = String> {
    let listeners = status.pointer("/listeners").and_then(Value::as_array);
    listeners.into_iter().flatten().map(|listener| {
        let words = |key: &str| {
            let items = listener.get(key).and_then(Value::as_array);
            let items = items.into_iter().flatten().filter_map(Value::as_str);
            items.collect::<Vec<_>>().join(" ")
        };
        let name = listener.get("name").and_then(Value::as_str).unwrap_or("-");
        let tls = if listener.get("tls") == Some(&Value::Bool(true)) {
            " tls"
        } else {
            ""
        };
        format!("{name} {} {}{tls}", words("addresses"), words("protocols"))
    })
}
