//! `openclaw explain id`: what became of one request.

use std::fmt::Write;

use serde_json::Value;

use super::Context;
use super::error::CliError;
use super::output::{Outcome, harmless};
use crate::control::admin::table::encode;

pub(super) fn run(context: &Context, id: &str) -> Result<Outcome, CliError> {
    let target = format!("/exchanges/explain?id={}", encode(id));
    let body = context.answer("GET", &target)?;
    let exchange: Value =
        serde_json::from_slice(&body).map_err(|source| CliError::ForeignAnswer { source })?;
    Ok(Outcome::new(text(&exchange), exchange))
}

fn text(exchange: &Value) -> String {
    let word = |name: &str| word(exchange, name);
    let known = |name: &str| word(name).unwrap_or_else(|| "-".to_owned());
    let reason = word("reason").map_or_else(String::new, |code| format!(" ({code})"));
    let mut text = format!(
        "{}: {}{reason}, {} s ago\n",
        known("id"),
        known("outcome"),
        known("age_seconds")
    );
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {name:<9} {value}");
        }
    };
    row("what", word("meaning"));
    row("whose", word("fault"));
    row("do", word("advice"));
    row("detail", word("detail"));
    row("time", word("time"));
    row("listener", word("listener"));
    row("client", Some(client(exchange)));
    row("request", request(exchange));
    row("agent", word("user_agent"));
    row("referer", word("referer"));
    let route = word("route").unwrap_or_else(|| "none".to_owned());
    row("route", Some(route));
    row("cache", word("cache"));
    row("upstream", word("upstream"));
    for (index, tried) in (1..).zip(list(exchange, "tries")) {
        row(&format!("try {index}"), Some(failed(tried)));
    }
    row("endpoint", word("endpoint"));
    row("took", Some(times(exchange)));
    let bytes = format!("{} in, {} out", known("bytes_in"), known("bytes_out"));
    row("bytes", Some(bytes));
    let earlier = list(exchange, "earlier").count();
    if earlier > 0 {
        let note = format!("{earlier} earlier with this id; -o json tells them, too");
        row("note", Some(note));
    }
    text
}

fn word(exchange: &Value, name: &str) -> Option<String> {
    match exchange.get(name) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(harmless(text).into_owned()),
        Some(other) => Some(other.to_string()),
    }
}

fn client(exchange: &Value) -> String {
    let known = |name: &str| word(exchange, name).unwrap_or_else(|| "-".to_owned());
    let tls = word(exchange, "tls").map_or_else(String::new, |tls| format!(", {tls}"));
    format!("{}, {}{tls}", known("client"), known("protocol"))
}

fn request(exchange: &Value) -> Option<String> {
    let method = word(exchange, "method")?;
    let host = word(exchange, "host").unwrap_or_else(|| "-".to_owned());
    let path = word(exchange, "path").unwrap_or_default();
    let is_as_sent = exchange.get("path_is_as_sent") == Some(&Value::Bool(true));
    let note = if is_as_sent {
        " (as the endpoint got it)"
    } else {
        ""
    };
    Some(format!("{method} {host}{path}{note}"))
}

fn times(exchange: &Value) -> String {
    let sent = word(exchange, "sent_after_ms")
        .map_or_else(String::new, |sent| format!("last try after {sent} ms, "));
    let answered = word(exchange, "upstream_ms")
        .map_or_else(String::new, |time| format!("its answer {time} ms later, "));
    let all = word(exchange, "duration_ms").unwrap_or_else(|| "-".to_owned());
    format!("{sent}{answered}{all} ms in all")
}

fn list<'a>(exchange: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    let items = exchange.get(name).and_then(Value::as_array);
    items.into_iter().flatten()
}

fn failed(tried: &Value) -> String {
    let word = |name: &str| tried.get(name).and_then(Value::as_str).unwrap_or("-");
    let took = tried
        .get("took_ms")
        .and_then(Value::as_f64)
        .unwrap_or_default();
    format!(
        "{}: {} after {took} ms, {}",
        word("endpoint"),
        word("reason"),
        word("detail")
    )
}
