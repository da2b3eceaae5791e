//! `openclaw explain request` for a port where nothing is routed: which listener forwards what comes there, and to whom.

use std::net::{IpAddr, SocketAddr};

use openclaw_core::config::{Config, Listener, Mode, Target};
use openclaw_core::reason::Reason;
use openclaw_core::route::pick_for_client;
use serde_json::json;

use super::output::Outcome;

/// Where a URL leads: what comes before the host, the host, and the port, which it may leave to its scheme.
struct Place<'a> {
    scheme: &'a str,
    host: &'a str,
    port: u16,
}

impl<'a> Place<'a> {
    fn of(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = rest.get(..end)?;
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            Some(_) | None if scheme == "http" => (authority, 80),
            Some(_) | None => (authority, 443),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some(Self { scheme, host, port })
    }

    /// Whether a client that goes there comes to the listener, as far as the name does not hide its address.
    fn is_at(&self, listener: &Listener) -> bool {
        let address: Option<IpAddr> = self.host.parse().ok();
        let is_at = |bind: &SocketAddr| {
            let is_there = |address| bind.ip().is_unspecified() || bind.ip() == address;
            bind.port() == self.port && address.is_none_or(is_there)
        };
        let is_udp = self.scheme == "udp";
        listener.mode.is_udp() == is_udp && listener.bind.iter().any(is_at)
    }
}

/// Nothing where requests are read, or nobody listens.
pub(super) fn explained(config: &Config, url: &str, client: IpAddr) -> Option<Outcome> {
    let place = Place::of(url)?;
    let mut there = config.listeners.iter().filter(|one| place.is_at(one));
    let listener = there.find(|listener| !listener.mode.is_http())?;
    if config
        .listeners
        .iter()
        .any(|one| one.mode.is_http() && place.is_at(one))
    {
        return None;
    }
    let client = client.to_canonical();
    let chosen = match &listener.mode {
        Mode::Http => return None,
        Mode::Tcp(targets) | Mode::Udp(targets) => Some(pick_for_client(targets, client)),
        Mode::Tls(names) => {
            let name = place.host.to_ascii_lowercase();
            let is_name = name.parse::<IpAddr>().is_err();
            // What browsers offer; other clients say what they will.
            let offers =
                |protocol: &str| place.scheme == "https" && matches!(protocol, "h2" | "http/1.1");
            names.find(is_name.then_some(&name), offers)
        }
    };
    let upstream = chosen.and_then(|index| config.upstreams.get(index));
    let upstream = upstream.map(|upstream| &*upstream.name);
    Some(told(listener, (config, client), &place, upstream))
}

fn told(
    listener: &Listener,
    (config, client): (&Config, IpAddr),
    place: &Place<'_>,
    upstream: Option<&str>,
) -> Outcome {
    let Place { host, port, .. } = place;
    let (name, mode) = (&*listener.name, listener.mode.name());
    let by_client = match &listener.mode {
        Mode::Tcp(targets) | Mode::Udp(targets) => shares(config, targets),
        Mode::Http | Mode::Tls(_) => None,
    };
    let does = match (upstream, by_client) {
        (Some(upstream), Some(shares)) => format!("to {upstream}, of {shares}, by the client"),
        (Some(upstream), None) => format!("to {upstream}"),
        (None, _) => {
            let code = Reason::RouteNone.code();
            format!("refused, as `sni` has no such server name: {code}")
        }
    };
    let text = format!(
        "{host}:{port} from {client}\n  listener {name}: nothing is routed, mode is {mode}\n  {does}\n"
    );
    let verdict = upstream.map_or("refuse", |_| "relay");
    let reason = upstream.is_none().then(|| Reason::RouteNone.code());
    let json = json!({
        "verdict": verdict,
        "reason": reason,
        "listener": name,
        "mode": mode,
        "client": client,
        "upstream": upstream,
    });
    Outcome::new(text, json)
}

/// Several targets, each with its weight.
fn shares(config: &Config, targets: &[Target]) -> Option<String> {
    let parts = targets.iter().map(|target| {
        let upstream = config.upstreams.get(target.upstream);
        let name = upstream.map_or("", |upstream| &*upstream.name);
        format!("{name} ({})", target.weight)
    });
    let parts: Vec<String> = parts.collect();
    (parts.len() > 1).then(|| parts.join(", "))
}
