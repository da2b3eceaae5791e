//! `openclaw upstream`: the endpoints of upstreams as the running proxy has them, and changes of them while it runs.

use std::fmt::Write;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::Value;

use super::Context;
use super::error::CliError;
use super::output::{Outcome, cut, table};
use crate::control::admin::table::encode;

/// Rows of one upstream; a program reads JSON.
const SHOWN: usize = 50;
/// So that a row fits 100 columns.
const ENDPOINT: usize = 28;
const WIDTH: usize = 100;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the endpoints: whose they are, whether they are fit, what they have to do
    List {
        /// Only this upstream's
        #[arg(value_name = "UPSTREAM")]
        upstream: Option<String>,
    },
    /// Add an endpoint
    Add {
        #[command(flatten)]
        which: Which,
        /// Its share, relative to the others
        #[arg(long, value_name = "N", default_value_t = 1)]
        weight: u16,
        /// Where it stands, if `server.zone` says where the proxy does
        #[arg(long, value_name = "NAME")]
        zone: Option<String>,
    },
    /// Take an endpoint away; what runs there goes on until it ends, unless `drain` has set a time before
    Del {
        #[command(flatten)]
        which: Which,
    },
    /// Give an endpoint nothing new, and let what runs there end
    Drain {
        #[command(flatten)]
        which: Which,
        #[arg(
            long,
            value_name = "DURATION",
            help = "After this time what still runs is ended; else shutdown_grace"
        )]
        timeout: Option<String>,
    },
    /// Give a drained endpoint its share again
    Enable {
        #[command(flatten)]
        which: Which,
    },
    /// Give an endpoint another weight
    Weight {
        #[command(flatten)]
        which: Which,
        /// Its share, relative to the others; 0 takes it out
        #[arg(value_name = "N")]
        weight: u16,
    },
    /// Forget what was changed while the proxy ran, kept or not: endpoints are as the configuration and registries have them
    Reset {
        /// The upstream's name
        upstream: String,
        /// Only this one, as the list has it
        #[arg(value_name = "ADDRESS")]
        endpoint: Option<String>,
    },
}

#[derive(Debug, Args)]
struct Which {
    /// The upstream's name
    upstream: String,
    /// As the list has it: 127.0.0.1:9001, app.internal:8080, or one address of a name
    #[arg(value_name = "ADDRESS")]
    endpoint: String,
    /// Keep it over reloads and restarts; without, it lasts until the next reload
    #[arg(long)]
    persist: bool,
}

#[derive(Deserialize)]
struct Listed {
    upstreams: Vec<Upstream>,
}

#[derive(Deserialize)]
struct Upstream {
    #[serde(rename = "upstream")]
    name: String,
    balance: String,
    #[serde(default)]
    all_down: bool,
    endpoints: Vec<Endpoint>,
    deleted: Vec<Deleted>,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(rename = "endpoint")]
    label: String,
    address: Option<String>,
    source: String,
    #[serde(default)]
    persisted: bool,
    weight: u32,
    state: String,
    #[serde(default)]
    probe_error: Option<String>,
    #[serde(default)]
    last_error: Option<String>,
    #[serde(default)]
    active: u64,
    #[serde(default)]
    idle: u64,
    #[serde(default)]
    requests: u64,
    #[serde(default)]
    failures: u64,
    #[serde(default)]
    latency_ms: Option<f64>,
    #[serde(default)]
    since: Option<String>,
}

#[derive(Deserialize)]
struct Deleted {
    endpoint: String,
    persisted: bool,
}

pub(super) fn run(context: &Context, arguments: Arguments) -> Result<Outcome, CliError> {
    let (word, which, more) = match arguments.verb {
        Verb::List { upstream } => return list(context, upstream.as_deref()),
        Verb::Reset { upstream, endpoint } => {
            return reset(context, &upstream, endpoint.as_deref());
        }
        Verb::Add {
            which,
            weight,
            zone,
        } => {
            let mut more = vec![("weight", weight.to_string())];
            more.extend(zone.map(|zone| ("zone", zone)));
            ("add", which, more)
        }
        Verb::Del { which } => ("del", which, Vec::new()),
        Verb::Drain { which, timeout } => {
            let more = timeout.map(|timeout| ("within", timeout));
            ("drain", which, more.into_iter().collect())
        }
        Verb::Enable { which } => ("enable", which, Vec::new()),
        Verb::Weight { which, weight } => ("weight", which, vec![("weight", weight.to_string())]),
    };
    let mut target = format!(
        "/upstreams/change?verb={word}&upstream={}&endpoint={}",
        encode(&which.upstream),
        encode(&which.endpoint)
    );
    if which.persist {
        target.push_str("&persist=1");
    }
    for (name, value) in more {
        // Writing to a String cannot fail.
        let _ = write!(target, "&{name}={}", encode(&value));
    }
    let reply = context.answer("POST", &target)?;
    let json: Value = serde_json::from_slice(&reply).unwrap_or_default();
    let text = done(&json, which.persist) + &set_aside(&json);
    let warning = json.get("warning").and_then(Value::as_str);
    let warnings = warning.map(|warning| format!("warning: {warning}"));
    let warnings = warnings.into_iter().collect();
    Ok(Outcome {
        warnings,
        ..Outcome::new(text, json)
    })
}

fn reset(context: &Context, upstream: &str, endpoint: Option<&str>) -> Result<Outcome, CliError> {
    let mut target = format!("/upstreams/reset?upstream={}", encode(upstream));
    if let Some(endpoint) = endpoint {
        // Writing to a String cannot fail.
        let _ = write!(target, "&endpoint={}", encode(endpoint));
    }
    let reply = context.answer("POST", &target)?;
    let json: Value = serde_json::from_slice(&reply).unwrap_or_default();
    let forgotten = json.get("forgotten").and_then(Value::as_u64);
    let what = match forgotten.unwrap_or_default() {
        0 => "nothing was changed".to_owned(),
        1 => "what was changed of 1 endpoint is forgotten".to_owned(),
        many => format!("what was changed of {many} endpoints is forgotten"),
    };
    let text = format!("{upstream}: {what}\n") + &set_aside(&json);
    Ok(Outcome::new(text, json))
}

/// Where a file of kept changes went that could not be used.
fn set_aside(json: &Value) -> String {
    let place = json.get("set_aside").and_then(Value::as_str);
    place.map_or_else(String::new, |place| {
        format!(
            "the changes that were kept before could not be read; they are set aside in {place}\n"
        )
    })
}

/// What was done, in a sentence.
fn done(json: &Value, persist: bool) -> String {
    let word = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| json.get(name).and_then(Value::as_u64).unwrap_or_default();
    let (upstream, endpoint) = (word("upstream"), word("endpoint"));
    let addresses = json.get("addresses").and_then(Value::as_array);
    let is_nowhere = addresses.is_some_and(Vec::is_empty);
    let what = match word("verb") {
        "add" if is_nowhere => "added; its name has no address yet".to_owned(),
        "add" => format!("added with weight {}", number("weight")),
        "del" => "deleted".to_owned(),
        "drain" => {
            let seconds = json.get("within_seconds").and_then(Value::as_f64);
            let seconds = seconds.unwrap_or_default();
            match number("active") {
                0 => "drained: nothing runs there".to_owned(),
                1 => format!("drains: 1 exchange has {seconds} s to end"),
                many => format!("drains: {many} exchanges have {seconds} s to end"),
            }
        }
        "weight" => format!("has weight {}", number("weight")),
        _ => "serves again".to_owned(),
    };
    let until = if persist {
        "kept over reloads and restarts"
    } else {
        "until the next reload"
    };
    format!("{upstream}: {endpoint} {what} ({until})\n")
}

fn list(context: &Context, upstream: Option<&str>) -> Result<Outcome, CliError> {
    let query = upstream.map_or_else(String::new, |name| format!("?upstream={}", encode(name)));
    let reply = context.answer("GET", &format!("/upstreams{query}"))?;
    let listed: Listed =
        serde_json::from_slice(&reply).map_err(|source| CliError::ForeignAnswer { source })?;
    let json = serde_json::from_slice(&reply).unwrap_or_default();
    Ok(Outcome::new(text(&listed.upstreams), json))
}

fn text(upstreams: &[Upstream]) -> String {
    if upstreams.is_empty() {
        return "there is no upstream\n".to_owned();
    }
    let mut text = String::new();
    for upstream in upstreams {
        let all = upstream.endpoints.len();
        let fit = upstream.endpoints.iter().filter(|one| one.serves()).count();
        let told = if upstream.all_down {
            "probes call all of them down, so all are asked".to_owned()
        } else {
            format!("{fit} of {all} serve")
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}: {}, {told}", upstream.name, upstream.balance);
        let heads = [
            "  ENDPOINT",
            "SOURCE",
            "WEIGHT",
            "STATE",
            "ACTIVE",
            "IDLE",
            "REQUESTS",
            "FAILED",
            "MS",
        ];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        let shown = upstream.endpoints.iter().take(SHOWN);
        rows.extend(shown.clone().map(Endpoint::row));
        text.push_str(&table(&rows));
        for line in shown.filter_map(Endpoint::note) {
            let _ = writeln!(text, "  {}", cut(&line, WIDTH - 2));
        }
        if all > SHOWN {
            let _ = writeln!(text, "  and {} more; -o json has them all", all - SHOWN);
        }
        for deleted in upstream.deleted.iter().take(SHOWN) {
            let kept = if deleted.persisted { ", kept" } else { "" };
            let _ = writeln!(text, "  {} is deleted{kept}", deleted.endpoint);
        }
    }
    text
}

impl Endpoint {
    fn serves(&self) -> bool {
        self.weight > 0 && self.state == "up"
    }

    fn name(&self) -> &str {
        self.address.as_deref().unwrap_or(&self.label)
    }

    fn row(&self) -> Vec<String> {
        let kept = if self.persisted { "*" } else { "" };
        vec![
            format!("  {}", cut(self.name(), ENDPOINT)),
            format!("{}{kept}", cut(&self.source, 10)),
            self.weight.to_string(),
            self.state.clone(),
            self.active.to_string(),
            self.idle.to_string(),
            self.requests.to_string(),
            self.failures.to_string(),
            self.latency_ms
                .map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}")),
        ]
    }

    /// What does not fit a row.
    fn note(&self) -> Option<String> {
        let mut notes = Vec::new();
        if self.address.as_deref().is_some_and(|it| it != self.label) {
            notes.push(format!("is {}", self.label));
        }
        if self.persisted {
            notes.push("* changed with --persist".to_owned());
        }
        if self.state == "down" {
            let why = self.probe_error.as_deref().unwrap_or("probes fail");
            let since = self.since.as_deref().unwrap_or_default();
            notes.push(format!("down since {since}: {why}"));
        }
        if matches!(&*self.state, "open" | "half_open" | "passed_over")
            && let Some(why) = &self.last_error
        {
            notes.push(format!("{}: {why}", self.state));
        }
        (!notes.is_empty()).then(|| format!("{} {}", self.name(), notes.join("; ")))
    }
}
