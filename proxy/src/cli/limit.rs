//! `openclaw limit`: whom the limits of routes refuse, and letting them begin anew.

use std::fmt::Write;

use clap::{Args, Subcommand};
use serde::Deserialize;

use super::Context;
use super::error::CliError;
use super::output::{Outcome, table};
use crate::control::admin::table::encode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the limits, and who was refused most since the configuration was loaded
    List {
        /// Only this route's
        #[arg(long, value_name = "NAME")]
        route: Option<String>,
        /// How many keys of each route at most
        #[arg(long, value_name = "N", default_value_t = 10)]
        limit: usize,
    },
    /// Let everyone begin anew, or those of one route, or one of them
    Reset {
        /// The route's name
        #[arg(value_name = "ROUTE")]
        route: Option<String>,
        /// An address, the value of the header or cookie, or the id that `list` shows
        #[arg(long)]
        key: Option<String>,
    },
}

#[derive(Deserialize)]
struct Limits {
    limits: Vec<Limit>,
}

#[derive(Deserialize)]
struct Limit {
    route: String,
    allowance: u64,
    window_seconds: u64,
    key: String,
    refused: u64,
    busiest: Vec<Busy>,
}

#[derive(Deserialize)]
struct Busy {
    key: String,
    id: String,
    refused: u64,
    remaining: u64,
    reset_seconds: u64,
}

pub(super) fn run(context: &Context, arguments: Arguments) -> Result<Outcome, CliError> {
    match arguments.verb {
        Verb::List { route, limit } => {
            let route = route.map_or_else(String::new, |name| format!("&route={}", encode(&name)));
            let reply = context.answer("GET", &format!("/limits?limit={limit}{route}"))?;
            let limits: Limits = serde_json::from_slice(&reply)
                .map_err(|source| CliError::ForeignAnswer { source })?;
            let json = serde_json::from_slice(&reply).unwrap_or_default();
            Ok(Outcome::new(text(&limits.limits), json))
        }
        Verb::Reset { route, key } => {
            let what = if key.is_some() { "key" } else { "limit" };
            let parameters = [("route", route), ("key", key)];
            let query: Vec<String> = parameters
                .into_iter()
                .filter_map(|(name, value)| Some(format!("{name}={}", encode(&value?))))
                .collect();
            let reply = context.answer("POST", &format!("/limits/reset?{}", query.join("&")))?;
            let json: serde_json::Value = serde_json::from_slice(&reply).unwrap_or_default();
            let count = json.get("reset").and_then(serde_json::Value::as_u64);
            let text = match count.unwrap_or_default() {
                0 => format!("no such {what} is counted\n"),
                1 => format!("1 {what} reset\n"),
                count => format!("{count} {what}s reset\n"),
            };
            Ok(Outcome::new(text, json))
        }
    }
}

fn text(limits: &[Limit]) -> String {
    if limits.is_empty() {
        return "no route has a limit\n".to_owned();
    }
    let mut text = String::new();
    for limit in limits {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}: {} per {} s by {}, {} refused",
            limit.route, limit.allowance, limit.window_seconds, limit.key, limit.refused
        );
        if limit.busiest.is_empty() {
            continue;
        }
        let heads = ["  KEY", "REFUSED", "LEFT", "ALL BACK IN", "ID"];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        rows.extend(limit.busiest.iter().map(|busy| {
            vec![
                format!("  {}", busy.key),
                busy.refused.to_string(),
                busy.remaining.to_string(),
                format!("{} s", busy.reset_seconds),
                busy.id.clone(),
            ]
        }));
        text.push_str(&table(&rows));
    }
    text
}
