//! What an operator does: checks, starts, reloads, asks and stops.

mod admin;
pub(crate) mod changes;
mod check;
mod chromium;
mod confirm;
mod drains;
mod explained;
mod files;
mod logging;
mod metrics;
mod monitoring;
mod openapi;
mod pipes;
mod reload;
mod service;
mod shifts;
mod siege;
mod stop;
mod succession;
mod tail;
mod top;
mod traces;
mod unit;
mod upgrade;
mod verbs;
mod web;
mod writing;

use std::net::SocketAddr;

use serde_json::Value;

use crate::support::{Proxy, curl};

/// A listener on a port of the kernel's choice, and a route that answers by itself.
pub(crate) fn answering(body: &str) -> String {
    format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\n\n[[route]]\nname = \"all\"\nrespond = {{ body = \"{body}\" }}\n"
    )
}

/// A listener on a port of the kernel's choice in front of an origin.
pub(crate) fn forwarding(origin: SocketAddr) -> String {
    format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\n\n[upstream.app]\nendpoints = [\"{origin}\"]\n\n[[route]]\nname = \"all\"\nto = \"app\"\n"
    )
}

pub(crate) fn status(proxy: &Proxy) -> Value {
    let output = proxy.cli(&["-o", "json", "status"]).ok();
    serde_json::from_slice(&output.stdout).expect("status is JSON")
}

/// Where a listener listens.
pub(crate) fn address(proxy: &Proxy, listener: &str) -> SocketAddr {
    let status = status(proxy);
    let listeners = status["listeners"].as_array().expect("a list");
    let found = listeners
        .iter()
        .find(|one| one["name"] == listener)
        .unwrap_or_else(|| panic!("no {listener} in {status:#}"));
    let address = found["addresses"][0].as_str().expect("an address");
    address.parse().expect("an address")
}

pub(crate) fn fetch(address: SocketAddr) -> String {
    curl(&[&format!("http://{address}/")]).ok().text()
}

/// A sample of the metrics page.
pub(crate) fn sample(proxy: &Proxy, name: &str) -> Option<String> {
    let page = curl(&[&format!("http://{}/metrics", proxy.metrics())]);
    let page = page.ok().text();
    page.lines()
        .find_map(|line| line.strip_prefix(&format!("{name} ")))
        .map(str::to_owned)
}
