//! `openclaw route`: the routes as the running proxy tries them, and the weights of their upstreams while it runs.

use std::fmt::Write;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::Context;
use super::error::CliError;
use super::output::{Outcome, cut, table};
use crate::control::admin::table::encode;

/// Columns of the cells of a row, so that it fits 100; a program reads JSON.
const NAME: usize = 14;
const CELL: usize = 18;
const DOES: usize = 32;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the routes in the order in which they are tried
    List,
    /// Give upstreams of a route other weights: `route weight shop green=100 blue=0`
    Weight {
        /// The route's name
        route: String,
        /// Those that are not named keep theirs
        #[arg(required = true, value_name = "UPSTREAM=N")]
        weights: Vec<String>,
        /// Keep it over reloads and restarts; without, it lasts until the next reload
        #[arg(long)]
        persist: bool,
    },
    /// Send everything to one of a route's upstreams, and say how to go back
    Switch {
        /// The route's name
        route: String,
        /// The upstream's name
        upstream: String,
        /// Keep it over reloads and restarts; without, it lasts until the next reload
        #[arg(long)]
        persist: bool,
    },
}

pub(super) fn run(context: &Context, arguments: Arguments) -> Result<Outcome, CliError> {
    let (query, persist) = match arguments.verb {
        Verb::List => return list(context),
        Verb::Weight {
            route,
            weights,
            persist,
        } => {
            let weights = encode(&weights.join(","));
            (
                format!("route={}&weights={weights}", encode(&route)),
                persist,
            )
        }
        Verb::Switch {
            route,
            upstream,
            persist,
        } => {
            let upstream = encode(&upstream);
            (
                format!("route={}&switch={upstream}", encode(&route)),
                persist,
            )
        }
    };
    let keep = if persist { "&persist=1" } else { "" };
    let reply = context.answer("POST", &format!("/routes/change?{query}{keep}"))?;
    let json: Value = serde_json::from_slice(&reply).unwrap_or_default();
    let route = json
        .get("route")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let weights = |name: &str| {
        let all = json.get(name).and_then(Value::as_object);
        let all = all.into_iter().flatten();
        let all: Vec<String> = all
            .map(|(name, weight)| format!("{name}={weight}"))
            .collect();
        all.join(" ")
    };
    let (until, keep) = if persist {
        ("kept over reloads and restarts", " --persist")
    } else {
        ("until the next reload", "")
    };
    let (now, before) = (weights("now"), weights("before"));
    let text = format!(
        "{route}: {now} ({until}); it was {before}\nback: openclaw route weight {route} {before}{keep}\n"
    );
    Ok(Outcome::new(text, json))
}

fn list(context: &Context) -> Result<Outcome, CliError> {
    let reply = context.answer("GET", "/routes")?;
    let json: Value = serde_json::from_slice(&reply).unwrap_or_default();
    let routes = json.get("routes").and_then(Value::as_array);
    let routes = routes.map(Vec::as_slice).unwrap_or_default();
    if routes.is_empty() {
        return Ok(Outcome::new("there is no route\n".to_owned(), json));
    }
    let heads = ["#", "ROUTE", "HOST", "PATH", "CONDITIONS", "DOES"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(routes.iter().map(row));
    Ok(Outcome::new(table(&rows), json))
}

fn row(route: &Value) -> Vec<String> {
    let text = |name: &str| route.get(name).and_then(Value::as_str);
    let order = route.get("order").and_then(Value::as_u64);
    let path = route.get("path").and_then(Value::as_object);
    let path = path.and_then(|path| path.iter().next());
    let path = path.map_or_else(String::new, |(kind, path)| {
        let path = path.as_str().unwrap_or_default();
        match kind.as_str() {
            "prefix" => path.to_owned(),
            "exact" => format!("= {path}"),
            _ => format!("~ {path}"),
        }
    });
    let shown = |text: &str| cut(text, CELL);
    vec![
        order.unwrap_or_default().to_string(),
        cut(text("route").unwrap_or_default(), NAME),
        shown(text("host").unwrap_or("any")),
        shown(if path.is_empty() { "any" } else { &path }),
        cut(&conditions(route), NAME),
        cut(&does(route), DOES),
    ]
}

/// Host and path apart.
fn conditions(route: &Value) -> String {
    let list = |name: &str| {
        let all = route.get(name).and_then(Value::as_array);
        let all = all.into_iter().flatten().filter_map(Value::as_str);
        all.map(ToOwned::to_owned).collect::<Vec<String>>()
    };
    let named = |name: &str| {
        let all = route.get(name).and_then(Value::as_object);
        let all = all.into_iter().flatten();
        let one = |(key, value): (&String, &Value)| match (value.as_str(), value.as_bool()) {
            (Some(value), _) => format!("{name} {key}={value}"),
            (None, Some(true)) => format!("{name} {key}"),
            (None, _) => format!("no {name} {key}"),
        };
        all.map(one).collect::<Vec<String>>()
    };
    let mut all = list("method");
    all.extend(["header", "cookie", "query"].into_iter().flat_map(named));
    all.extend(list("client"));
    all.join(", ")
}

fn does(route: &Value) -> String {
    let number = |value: Option<&Value>| value.and_then(Value::as_u64).unwrap_or_default();
    let mut does = if let Some(targets) = route.get("to").and_then(Value::as_array) {
        let one = |target: &Value| {
            let name = target.get("upstream").and_then(Value::as_str);
            let name = name.unwrap_or_default();
            match targets.len() {
                1 => name.to_owned(),
                _ => format!("{name}={}", number(target.get("weight"))),
            }
        };
        let all: Vec<String> = targets.iter().map(one).collect();
        format!("to {}", all.join(" "))
    } else if let Some(redirect) = route.get("redirect") {
        let to = redirect.get("to").and_then(Value::as_str);
        format!(
            "{} to {}",
            number(redirect.get("status")),
            to.unwrap_or_default()
        )
    } else {
        format!("answers {}", number(route.get("respond")))
    };
    if let Some(limit) = route.get("limit").filter(|limit| !limit.is_null()) {
        let (allowance, window) = (limit.get("allowance"), limit.get("window_seconds"));
        // Writing to a String cannot fail.
        let _ = write!(does, ", {} per {} s", number(allowance), number(window));
    }
    let is = |name: &str| route.get(name).and_then(Value::as_bool) == Some(true);
    if is("changed") || is("persisted") {
        does += if is("persisted") {
            ", changed with --persist"
        } else {
            ", changed"
        };
    }
    does
}
