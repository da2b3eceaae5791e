//! `upstream` blocks, and what `proxy_pass` names without one.

use std::fmt::Write;

use super::Notes;
use super::block::Directive;
use super::unread::note_unread;
use super::words;

/// A group of endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Upstream {
    /// As `proxy_pass` names it.
    pub(super) authority: String,
    pub(super) name: String,
    /// Items of TOML.
    endpoints: Vec<String>,
    /// Keys with values of TOML.
    keys: Vec<(String, String)>,
    pub(super) has_tls: bool,
}

impl Upstream {
    /// Of a block.
    pub(super) fn of(block: &Directive, notes: &mut Notes) -> Self {
        let mut upstream = Self::alone(block.word(0));
        upstream.endpoints.clear();
        note_unread(
            block.inside(),
            &[
                "server",
                "keepalive",
                "least_conn",
                "ip_hash",
                "hash",
                "random",
                "zone",
                "keepalive_timeout",
            ],
            notes,
        );
        for directive in block.inside() {
            match directive.name.as_str() {
                "server" => upstream.endpoints.extend(endpoint(directive, notes)),
                "keepalive" => {
                    let count = directive.word(0).to_owned();
                    upstream.set("keepalive", count);
                }
                "least_conn" => upstream.set("balance", words::text("least_connections")),
                "ip_hash" => upstream.set("balance", words::text("ip_hash")),
                "random" => upstream.set("balance", words::text("random")),
                "hash" if matches!(directive.word(0), "$request_uri" | "$uri$is_args$args") => {
                    upstream.set("balance", words::text("url_hash"));
                }
                "hash" if matches!(directive.word(0), "$remote_addr" | "$binary_remote_addr") => {
                    upstream.set("balance", words::text("maglev"));
                }
                "hash" => notes.add(
                    directive,
                    "requests are balanced by address or URL alone: in turn now",
                ),
                _ => {}
            }
        }
        upstream
    }

    /// Of one address.
    pub(super) fn alone(authority: &str) -> Self {
        let with_port = if authority
            .rsplit(']')
            .next()
            .is_some_and(|it| it.contains(':'))
        {
            authority.to_owned()
        } else {
            format!("{authority}:80")
        };
        Self {
            authority: authority.to_owned(),
            name: words::name(authority),
            endpoints: vec![words::text(&with_port)],
            keys: Vec::new(),
            has_tls: false,
        }
    }

    /// Of one address behind TLS.
    pub(super) fn with_tls(mut self, is_alone: bool) -> Self {
        self.has_tls = true;
        self.set("tls", "true".to_owned());
        if is_alone && !self.authority.contains(':') {
            self.endpoints = vec![words::text(&format!("{}:443", self.authority))];
        }
        self
    }

    /// The first value of a key counts.
    pub(super) fn set(&mut self, key: &str, value: String) {
        if self.keys.iter().all(|(known, _)| known != key) {
            self.keys.push((key.to_owned(), value));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }

    pub(super) fn write(&self, out: &mut String) {
        // Writing to a String cannot fail.
        let _ = write!(out, "\n[upstream.{}]\nendpoints = [", self.name);
        out.push_str(&self.endpoints.join(", "));
        out.push_str("]\n");
        for (key, value) in &self.keys {
            let _ = writeln!(out, "{key} = {value}");
        }
    }
}

fn endpoint(server: &Directive, notes: &mut Notes) -> Option<String> {
    let address = server.word(0);
    if address.starts_with("unix:") {
        notes.add(server, "endpoints are reached by TCP; this one is left out");
        return None;
    }
    let address = if address
        .rsplit(']')
        .next()
        .is_some_and(|it| it.contains(':'))
    {
        address.to_owned()
    } else {
        format!("{address}:80")
    };
    let mut weight = None;
    for word in server.words.iter().skip(1) {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "weight" => weight = value.parse::<u32>().ok(),
            "max_fails" | "fail_timeout" | "slow_start" | "resolve" => notes.add(
                server,
                format!("`{key}`: see `breaker`, `health` and `slow_start` of upstreams"),
            ),
            "down" => {
                notes.add(server, "it is down, and left out");
                return None;
            }
            "backup" => {
                notes.add(
                    server,
                    "an endpoint that is asked only when the others fail is left out",
                );
                return None;
            }
            _ => notes.add(server, format!("`{key}` has no like here")),
        }
    }
    let text = words::text(&address);
    Some(weight.map_or_else(
        || text.clone(),
        |weight| format!("{{ address = {text}, weight = {weight} }}"),
    ))
}
