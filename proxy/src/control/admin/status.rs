//! The state of the process as JSON.

use std::time::SystemTime;

use openclaw_core::config::Listener;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::control::state::Control;
use crate::privilege::Privileges;
use crate::telemetry::Summary;

/// What `openclaw status` shows.
pub(super) async fn status(control: &Control) -> Value {
    let reports = control.reports().await;
    let summary = Summary::of(&reports);
    let snapshot = control.snapshot();
    let uptime = control.started.elapsed().unwrap_or_default();
    let listeners: Vec<Value> = snapshot.config.listeners.iter().map(listener).collect();
    let attempt = control.attempt.borrow().clone();
    let certificates: Vec<Value> = control
        .certificates
        .borrow()
        .iter()
        .map(|(listener, facts)| {
            json!({
                "listener": &**listener,
                "certificate": facts.label,
                "names": facts.names,
                "not_after": unix_time(facts.not_after),
            })
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "started": rfc3339(control.started),
        "uptime_seconds": uptime.as_secs(),
        "draining": control.draining.get().is_some(),
        "workers": { "running": reports.len(), "configured": control.worker_count },
        "connections": summary.open_connections(),
        "requests": summary.requests(),
        "config": {
            "from": control.options.origin.name(),
            "generation": snapshot.generation,
            "history": control.standing(),
            "waits_for_restart": *control.waiting.borrow(),
            "last_reload": {
                "at": rfc3339(attempt.at),
                "successful": attempt.problems.is_none(),
                "problems": attempt.problems,
            },
        },
        "listeners": listeners,
        "certificates": certificates,
        "routes": snapshot.config.routes.len(),
        "upstreams": snapshot.config.upstreams.len(),
        "privileges": Privileges::current(),
        "shield": control.shield.status().headline(),
        "admin": *control.admin.borrow(),
        "metrics": control.metrics.get(),
        "web": control.web.get(),
    })
}

/// What serves now, by name.
pub(super) fn config(control: &Control) -> Value {
    let snapshot = control.snapshot();
    let listeners: Vec<Value> = snapshot.config.listeners.iter().map(listener).collect();
    let routes: Vec<&str> = snapshot
        .config
        .routes
        .iter()
        .map(|route| &*route.name)
        .collect();
    let upstreams: Vec<Value> = snapshot
        .config
        .upstreams
        .iter()
        .zip(&snapshot.upstreams)
        .map(|(upstream, setup)| {
            let endpoints: Vec<Value> = setup
                .endpoints
                .iter()
                .map(|endpoint| {
                    json!({
                        "endpoint": &*endpoint.label,
                        "address": endpoint.address,
                        "weight": endpoint.weight,
                    })
                })
                .collect();
            json!({
                "name": &*upstream.name,
                "endpoints": endpoints,
                "sources": control.discovery.sources(upstream),
            })
        })
        .collect();
    json!({
        "from": control.options.origin.name(),
        "generation": snapshot.generation,
        "listeners": listeners,
        "routes": routes,
        "upstreams": upstreams,
    })
}

fn listener(listener: &Listener) -> Value {
    json!({
        "name": &*listener.name,
        "addresses": listener.bind,
        "protocols": protocols(listener),
        "tls": listener.tls.is_some(),
    })
}

/// The wires of a listener, as the configuration names them.
pub(in crate::control) fn protocols(listener: &Listener) -> Vec<&'static str> {
    if !listener.mode.is_http() {
        return vec![listener.mode.name()];
    }
    let spoken = listener.protocols;
    let wires = [(spoken.h1, "h1"), (spoken.h2, "h2"), (spoken.h3, "h3")];
    wires
        .into_iter()
        .filter_map(|(on, name)| on.then_some(name))
        .collect()
}

pub(in crate::control) fn rfc3339(time: SystemTime) -> String {
    format_time(OffsetDateTime::from(time))
}

pub(in crate::control) fn unix_time(seconds: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .map(format_time)
}

fn format_time(time: OffsetDateTime) -> String {
    let whole = time.replace_nanosecond(0).unwrap_or(time);
    whole.format(&Rfc3339).unwrap_or_default()
}
