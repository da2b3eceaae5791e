//! `openclaw cert`: the certificates that listeners show.

use clap::{Args, Subcommand};
use hyper::body::Bytes;
use serde_json::Value;

use super::Context;
use super::error::CliError;
use super::output::{Outcome, cut, table};
use super::reload::taken;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show them with their names and how long they are valid
    List,
    /// Read the files again that others have renewed. openclaw asks for no certificates itself (no ACME)
    Renew,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Outcome, CliError> {
    match arguments.verb {
        Verb::List => list(context),
        Verb::Renew => renew(context),
    }
}

fn list(context: &Context) -> Result<Outcome, CliError> {
    let reply = context.answer("GET", "/certificates")?;
    let json: Value = serde_json::from_slice(&reply).unwrap_or_default();
    let all = json.get("certificates").and_then(Value::as_array);
    let all = all.map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        return Ok(Outcome::new(
            "no listener has a certificate\n".to_owned(),
            json,
        ));
    }
    let heads = ["LISTENER", "NAMES", "ISSUER", "NOT AFTER", "DAYS", "FILE"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(all.iter().map(row));
    Ok(Outcome::new(table(&rows), json))
}

fn renew(context: &Context) -> Result<Outcome, CliError> {
    let json = taken(&context.call("POST", "/certificates/renew", &Bytes::new())?)?;
    let changed = json.get("changed").and_then(Value::as_array);
    let changed = changed.map(Vec::as_slice).unwrap_or_default();
    let lines = changed.iter().map(|one| {
        let word = |name: &str| one.get(name).and_then(Value::as_str).unwrap_or("-");
        format!(
            "{} {}: valid until {}, before until {}\n",
            word("listener"),
            word("certificate"),
            word("not_after"),
            word("not_after_before")
        )
    });
    let mut text: String = lines.collect();
    if changed.is_empty() {
        text += "no file holds another certificate than before; openclaw does not renew them itself (ACME is not built in)\n";
    }
    Ok(Outcome::new(text, json))
}

fn row(certificate: &Value) -> Vec<String> {
    let text = |name: &str| {
        certificate
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let names = certificate.get("names").and_then(Value::as_array);
    let names: Vec<&str> = names
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let days = certificate.get("days_left").and_then(Value::as_i64);
    let days = match text("validity") {
        "expired" => "expired".to_owned(),
        "not_yet" => "not yet valid".to_owned(),
        _ => days.unwrap_or_default().to_string(),
    };
    // A file's name tells more at its end.
    let file = text("certificate");
    let file = match file.char_indices().rev().nth(23) {
        Some((start, _)) if start > 0 => format!(
            "…{}",
            file.split_at_checked(start).map_or(file, |(_, end)| end)
        ),
        _ => file.to_owned(),
    };
    vec![
        cut(text("listener"), 12),
        cut(&names.join(" "), 24),
        cut(text("issuer"), 16),
        text("not_after").chars().take(10).collect(),
        days,
        file,
    ]
}
