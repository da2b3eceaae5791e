//! One look at everything that is counted, for `openclaw top`. Counters only: whoever looks twice makes rates of them.

use std::collections::BTreeMap;
use std::fs;
use std::rc::Rc;
use std::time::SystemTime;

use openclaw_core::reason::ALL as REASONS;
use serde::{Deserialize, Serialize};

use super::admin::table::{Call, Route};
use super::admin::{SMALL, protocols};
use super::http::Answer;
use super::listing;
use super::state::Control;
use crate::shield::Stage;
use crate::telemetry::{ListenerFigures, RouteFigures, Summary, histogram};

pub(super) static ROUTES: &[Route] = &[Route {
    method: "GET",
    path: "/top",
    max_body: SMALL,
    run: |control, _: Call| Box::pin(async move { Answer::json(200, &sample(&control).await) }),
}];

/// Everything at one time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sample {
    /// Since the process started, in seconds.
    pub uptime: f64,
    pub version: String,
    pub pid: u32,
    pub generation: u64,
    pub workers: usize,
    pub draining: bool,
    /// One line on the shield.
    pub shield: String,
    /// A flood of SYNs goes on.
    pub attack: bool,
    /// Entries of the block lists, bans among them.
    pub blocked: usize,
    pub interfaces: Vec<Interface>,
    pub stages: Vec<Stage>,
    pub listeners: Vec<ListenerRow>,
    /// Upper bounds of the buckets of routes, in seconds.
    pub bounds: Vec<f64>,
    pub routes: Vec<RouteRow>,
    pub upstreams: Vec<UpstreamRow>,
    /// By reason code; those that occurred.
    pub refusals: BTreeMap<String, u64>,
}

/// A network interface, as the kernel counts it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Interface {
    pub name: String,
    /// `native` or `generic`; nothing if the shield is not on it.
    pub xdp: Option<String>,
    pub rx_packets: u64,
    pub rx_bytes: u64,
    pub rx_dropped: u64,
    pub tx_packets: u64,
    pub tx_bytes: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListenerRow {
    pub name: String,
    pub addresses: Vec<String>,
    pub protocols: Vec<String>,
    #[serde(flatten)]
    pub figures: ListenerFigures,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteRow {
    /// Empty: what no route took.
    pub name: String,
    #[serde(flatten)]
    pub figures: RouteFigures,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UpstreamRow {
    #[serde(rename = "upstream")]
    pub name: String,
    pub balance: String,
    pub endpoints: Vec<EndpointRow>,
}

/// As `openclaw upstream list` has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointRow {
    pub endpoint: String,
    pub state: String,
    pub weight: u32,
    pub active: u64,
    pub requests: u64,
    pub failures: u64,
    pub connects_failed: u64,
    pub latency_ms: Option<f64>,
}

pub(super) async fn sample(control: &Rc<Control>) -> Sample {
    let reports = control.reports().await;
    let summary = Summary::of(&reports);
    let snapshot = control.snapshot();
    let config = &snapshot.config;
    let sums = summary.listeners();
    let listeners = config.listeners.iter().map(|listener| ListenerRow {
        name: listener.name.to_string(),
        addresses: listener.bind.iter().map(ToString::to_string).collect(),
        protocols: protocols(listener).into_iter().map(Into::into).collect(),
        figures: sums.get(&*listener.name).cloned().unwrap_or_default(),
    });
    let routes = summary.routes();
    // What no route took comes last, if there was such.
    let strays = routes.contains_key("").then_some("");
    let names = config.routes.iter().map(|route| &*route.name).chain(strays);
    let routes = names.map(|name| RouteRow {
        name: name.to_owned(),
        figures: routes.get(name).cloned().unwrap_or_default(),
    });
    let status = control.shield.status();
    let attached = |name: &str| {
        let mut interfaces = status.interfaces.iter();
        interfaces.find(|one| one.name == name)?.mode.clone()
    };
    let upstreams = listing::upstream_rows(control, None).await;
    let now = SystemTime::now().duration_since(control.started);
    Sample {
        uptime: now.unwrap_or_default().as_secs_f64(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        generation: snapshot.generation,
        workers: reports.len(),
        draining: control.draining.get().is_some(),
        shield: status.headline(),
        attack: status.syn.as_ref().is_some_and(|syn| syn.attack),
        blocked: status.blocked,
        interfaces: interfaces(attached),
        stages: control.shield.stages(),
        listeners: listeners.collect(),
        bounds: histogram::BOUNDS
            .iter()
            .map(|(nanos, _)| *nanos as f64 / 1e9)
            .collect(),
        routes: routes.collect(),
        upstreams: serde_json::from_value(upstreams.into()).unwrap_or_default(),
        refusals: REASONS
            .iter()
            .zip(summary.refusals())
            .filter(|(_, count)| **count > 0)
            .map(|(entry, count)| (entry.code.to_owned(), *count))
            .collect(),
    }
}

/// Those of this machine that are up, the loopback interface last.
fn interfaces(attached: impl Fn(&str) -> Option<String>) -> Vec<Interface> {
    // A machine without this has no interfaces to show.
    let Ok(entries) = fs::read_dir("/sys/class/net") else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.collect();
    names.sort_by_key(|name| (name == "lo", name.clone()));
    let read = |name: &str, file: &str| {
        let text = fs::read_to_string(format!("/sys/class/net/{name}/{file}"));
        text.unwrap_or_default()
    };
    let is_up = |name: &String| matches!(read(name, "operstate").trim(), "up" | "unknown");
    let counted = |name: String| {
        let count = |what: &str| {
            let count = read(&name, &format!("statistics/{what}"));
            count.trim().parse().unwrap_or_default()
        };
        Interface {
            xdp: attached(&name),
            rx_packets: count("rx_packets"),
            rx_bytes: count("rx_bytes"),
            rx_dropped: count("rx_dropped"),
            tx_packets: count("tx_packets"),
            tx_bytes: count("tx_bytes"),
            name,
        }
    };
    names.into_iter().filter(is_up).map(counted).collect()
}
