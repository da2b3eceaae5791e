//! What a person reads at the start: where everything is, and for a first try, what to type.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use openclaw_core::config::{Config, Listener, Mode};

use super::admin::protocols;
use super::load::Origin;
use super::process::Room;
use super::state::Control;

/// Prints the banner; its last line says that the listeners serve.
pub(super) fn print(control: &Control, room: Room) {
    // Nobody reads stderr; the service runs all the same.
    let _ = io::stderr().write_all(text(control, room).as_bytes());
}

fn text(control: &Control, room: Room) -> String {
    let snapshot = control.snapshot();
    let config = &snapshot.config;
    let mut out = format!(
        "openclaw {} · {}\n",
        env!("CARGO_PKG_VERSION"),
        control.options.origin.name()
    );
    for listener in &config.listeners {
        for address in &listener.bind {
            let scheme = if listener.tls.is_some() {
                "https"
            } else {
                listener.mode.name()
            };
            let wires = if listener.mode.is_http() {
                protocols(listener).join(" ")
            } else {
                format!("to {}", leads_to(config, &listener.mode))
            };
            let place = format!("{scheme}://{address}");
            line(
                &mut out,
                &listener.name,
                &format!("{place:<28} {wires}{}", note(listener)),
            );
        }
    }
    if let Some(address) = control.metrics.get() {
        line(&mut out, "metrics", &format!("http://{address}/metrics"));
    }
    if let Some(address) = control.web.get() {
        line(&mut out, "page", &format!("http://{address}/"));
    }
    if let Some(path) = &*control.admin.borrow() {
        line(&mut out, "admin", &path.display().to_string());
    }
    line(&mut out, "shield", &control.shield.status().headline());
    if let Some(bound) = bound(&config.listeners, room) {
        line(&mut out, "files", &bound);
    }
    if control.options.origin == Origin::Embedded {
        out.push_str(&to_try(config.listeners.first(), control));
    }
    let listeners = config.listeners.len();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "openclaw ready: {listeners} listener{}, {} worker{}, process {}",
        plural(listeners),
        control.worker_count,
        plural(control.worker_count),
        std::process::id(),
    );
    out
}

/// What the limit of open files allows, where that is less than the listeners do.
fn bound(listeners: &[Listener], room: Room) -> Option<String> {
    let wanted: usize = listeners.iter().map(|one| one.max_connections).sum();
    let limit = room.limit.filter(|_| room.left / 2 < wanted)?;
    let mut bound = format!(
        "the limit of open files, {limit}, is enough for {} proxied connection{}",
        room.left / 2,
        plural(room.left / 2)
    );
    let most = listeners.iter().map(|one| one.max_connections_per_ip).max();
    if most.is_some_and(|most| room.share < most) {
        // Writing to a String cannot fail.
        let _ = write!(bound, ", {} of one address at a listener", room.share);
    }
    Some(bound)
}

/// The upstreams of a listener that forwards, each once.
fn leads_to(config: &Config, mode: &Mode) -> String {
    let mut names: Vec<&str> = Vec::new();
    for index in mode.upstreams() {
        let name = config.upstreams.get(index).map_or("", |one| &*one.name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

fn line(out: &mut String, name: &str, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "  {name:<10} {text}");
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn note(listener: &Listener) -> &'static str {
    let self_signed = listener
        .tls
        .as_ref()
        .is_some_and(|tls| !tls.self_signed.is_empty());
    if self_signed { " (self-signed)" } else { "" }
}

fn to_try(listener: Option<&Listener>, control: &Control) -> String {
    let mut out = String::from("  try\n");
    // As it was started: from a build it is not on PATH.
    let program = std::env::args_os().next();
    let program = program.unwrap_or_else(|| "openclaw".into());
    let program = program.to_string_lossy();
    if let Some(address) = listener.and_then(|listener| listener.bind.first()) {
        let _ = writeln!(out, "    curl http://{address}/hello");
        let _ = writeln!(
            out,
            "    {program} blocklist add 127.0.0.2 && curl -m 2 --interface 127.0.0.2 http://{address}/"
        );
    }
    if let Some(address) = control.metrics.get() {
        let _ = writeln!(out, "    curl http://{address}/metrics");
    }
    out
}
