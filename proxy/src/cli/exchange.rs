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
        serde_json::from_slice(&body).map_err(|source| CliError::ShieldAnswer { source })?;
    Ok(Outcome::new(text(&exchange), exchange))
}

/// The rows of an answer as they are written.
struct Rows<'a> {
    exchange: &'a Value,
    text: String,
}

impl Rows<'_> {
    fn word(&self, name: &str) -> Option<String> {
        match self.exchange.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(harmless(text).into_owned()),
            Some(other) => Some(other.to_string()),
        }
    }

    fn known(&self, name: &str) -> String {
        self.word(name).unwrap_or_else(|| "-".to_owned())
    }

    /// A part of a row: nothing where there is no such value.
    fn part(&self, before: &str, name: &str, behind: &str) -> String {
        let word = self.word(name);
        word.map_or_else(String::new, |word| format!("{before}{word}{behind}"))
    }

    fn add(&mut self, name: &str, value: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "  {name:<9} {value}");
    }

    fn add_words(&mut self, rows: &[(&str, &str)]) {
        for (title, name) in rows {
            if let Some(word) = self.word(name) {
                self.add(title, &word);
            }
        }
    }
}

fn text(exchange: &Value) -> String {
    let text = String::new();
    let mut rows = Rows { exchange, text };
    rows.text = format!(
        "{}: {}{}, {} s ago\n",
        rows.known("id"),
        rows.known("outcome"),
        rows.part(" (", "reason", ")"),
        rows.known("age_seconds")
    );
    rows.add_words(&[
        ("what", "meaning"),
        ("whose", "fault"),
        ("do", "advice"),
        ("detail", "detail"),
        ("time", "time"),
        ("listener", "listener"),
    ]);
    let (client, protocol) = (rows.known("client"), rows.known("protocol"));
    let client = format!("{client}, {protocol}{}", rows.part(", ", "tls", ""));
    rows.add("client", &client);
    if let Some(method) = rows.word("method") {
        let as_sent = exchange.get("path_is_as_sent") == Some(&Value::Bool(true));
        let note = if as_sent {
            " (as the endpoint got it)"
        } else {
            ""
        };
        let target = rows.part("", "host", "") + &rows.part("", "path", "");
        rows.add("request", &format!("{method} {target}{note}"));
    }
    rows.add_words(&[("agent", "user_agent"), ("referer", "referer")]);
    rows.add(
        "route",
        &rows.word("route").unwrap_or_else(|| "none".into()),
    );
    rows.add_words(&[("cache", "cache"), ("upstream", "upstream")]);
    for (index, tried) in (1..).zip(list(exchange, "tries")) {
        rows.add(&format!("try {index}"), &failed(tried));
    }
    rows.add_words(&[("endpoint", "endpoint")]);
    let sent = rows.part("last try after ", "sent_after_ms", " ms, ");
    let answered = rows.part("its answer ", "upstream_ms", " ms later, ");
    let all = rows.known("duration_ms");
    rows.add("took", &format!("{sent}{answered}{all} ms in all"));
    let (came, went) = (rows.known("bytes_in"), rows.known("bytes_out"));
    rows.add("bytes", &format!("{came} in, {went} out"));
    let earlier = list(exchange, "earlier").count();
    if earlier > 0 {
        let note = format!("{earlier} earlier with this id; -o json tells them, too");
        rows.add("note", &note);
    }
    rows.text
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
