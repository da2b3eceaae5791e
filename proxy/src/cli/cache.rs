//! `openclaw cache`: what is stored, what it saves, and taking it out.

use std::fmt::Write;

use clap::{ArgGroup, Args, Subcommand};
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
    /// Show how full the cache is, and what each route has answered from it: requests, and bytes that no endpoint had to send
    Stats,
    /// Take stored responses out
    ///
    /// Of a URI all of its variants go.
    Purge(Purge),
}

#[derive(Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("what").args(["url", "prefix", "tag", "all"]).required(true))]
struct Purge {
    /// One URL, with scheme and host, such as `https://www.example.com/a?b`
    #[arg(value_name = "URL")]
    url: Option<String>,
    /// Every URL that begins so, such as `https://www.example.com/static/`
    #[arg(long, value_name = "URL")]
    prefix: Option<String>,
    /// Every response whose Surrogate-Key or Cache-Tag names it
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Everything
    #[arg(long)]
    all: bool,
    /// Leave it there, but ask its endpoint before it is used again
    #[arg(long)]
    soft: bool,
}

#[derive(Deserialize)]
struct Stats {
    uris: u64,
    bytes: u64,
    capacity: u64,
    evicted: u64,
    disk: Option<Disk>,
    routes: Vec<Route>,
}

#[derive(Deserialize)]
struct Disk {
    objects: u64,
    bytes: u64,
    capacity: u64,
    evicted: u64,
    failed: u64,
}

#[derive(Deserialize)]
struct Route {
    #[serde(rename = "route")]
    name: String,
    hit: u64,
    stale: u64,
    revalidated: u64,
    miss: u64,
    bypass: u64,
    hit_ratio: Option<f64>,
    bytes_saved: u64,
    bytes_sent: u64,
}

pub(super) fn run(context: &Context, arguments: Arguments) -> Result<Outcome, CliError> {
    match arguments.verb {
        Verb::Stats => {
            let reply = context.answer("GET", "/cache")?;
            let stats: Stats = serde_json::from_slice(&reply)
                .map_err(|source| CliError::ForeignAnswer { source })?;
            let json = serde_json::from_slice(&reply).unwrap_or_default();
            Ok(Outcome::new(text(&stats), json))
        }
        Verb::Purge(purge) => {
            let what = [
                ("url", purge.url),
                ("prefix", purge.prefix),
                ("tag", purge.tag),
                ("all", purge.all.then(|| "1".to_owned())),
                ("soft", purge.soft.then(|| "1".to_owned())),
            ];
            let query: Vec<String> = what
                .into_iter()
                .filter_map(|(name, value)| Some(format!("{name}={}", encode(&value?))))
                .collect();
            let reply = context.answer("POST", &format!("/cache/purge?{}", query.join("&")))?;
            let json: serde_json::Value = serde_json::from_slice(&reply).unwrap_or_default();
            let count = json.get("purged").and_then(serde_json::Value::as_u64);
            let text = match count.unwrap_or_default() {
                0 => "nothing of that is stored\n".to_owned(),
                1 => "1 response purged\n".to_owned(),
                count => format!("{count} responses purged\n"),
            };
            Ok(Outcome::new(text, json))
        }
    }
}

/// Bytes as people read them.
fn amount(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        1_048_576..1_073_741_824 => format!("{} MiB", bytes >> 20),
        _ => format!("{}.{} GiB", bytes >> 30, ((bytes % (1 << 30)) * 10) >> 30),
    }
}

fn text(stats: &Stats) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{} {} in {} of {} KiB, {} gone to make room",
        stats.uris,
        if stats.uris == 1 { "URI" } else { "URIs" },
        stats.bytes.div_ceil(1024),
        stats.capacity / 1024,
        stats.evicted
    );
    if let Some(disk) = &stats.disk {
        let _ = writeln!(
            text,
            "on disk: {} {} in {} of {} KiB, {} gone to make room, {} failed",
            disk.objects,
            if disk.objects == 1 {
                "response"
            } else {
                "responses"
            },
            disk.bytes.div_ceil(1024),
            disk.capacity / 1024,
            disk.evicted,
            disk.failed
        );
    }
    let heads = [
        "ROUTE",
        "FROM CACHE",
        "SAVED",
        "OF",
        "HIT",
        "STALE",
        "REVALIDATED",
        "MISS",
        "BYPASS",
    ];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(stats.routes.iter().map(|route| {
        let ratio = route
            .hit_ratio
            .map_or_else(|| "-".to_owned(), |ratio| format!("{:.1} %", ratio * 100.0));
        let counts = [
            route.hit,
            route.stale,
            route.revalidated,
            route.miss,
            route.bypass,
        ];
        let bytes = [route.bytes_saved, route.bytes_sent].map(amount);
        let mut row = vec![route.name.clone(), ratio];
        row.extend(bytes);
        row.extend(counts.map(|count| count.to_string()));
        row
    }));
    text.push_str(&table(&rows));
    text
}
