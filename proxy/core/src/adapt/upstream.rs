//! `upstream` blocks, and what `proxy_pass` names without one.

use std::fmt::Write;

use super::block::Directive;
use super::unread::note_unread;
use super::{Note, Notes, words};

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
    is_block: bool,
    /// With TLS or without.
    is_used: Option<bool>,
    /// What it was made of.
    pub(super) origin: Option<Note>,
    /// It cannot be written after all.
    pub(super) is_left_out: bool,
}

impl Upstream {
    /// Of a block.
    pub(super) fn of(block: &Directive, notes: &mut Notes) -> Self {
        let mut upstream = Self::alone(block.word(0));
        upstream.endpoints.clear();
        upstream.is_block = true;
        upstream.origin = Some(Notes::place(block));
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
                "least_conn" => upstream.balanced("least_connections"),
                "ip_hash" => upstream.balanced("ip_hash"),
                "random" => upstream.balanced("random"),
                "hash" if matches!(directive.word(0), "$request_uri" | "$uri$is_args$args") => {
                    upstream.balanced("url_hash");
                }
                "hash" if matches!(directive.word(0), "$remote_addr" | "$binary_remote_addr") => {
                    upstream.balanced("maglev");
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
        let with_port = with_port(authority);
        Self {
            authority: authority.to_owned(),
            name: words::name(authority),
            endpoints: vec![words::text(&with_port)],
            keys: Vec::new(),
            is_block: false,
            is_used: None,
            origin: None,
            is_left_out: false,
        }
    }

    /// The same behind TLS.
    fn behind_tls(&mut self) {
        self.set("tls", "true".to_owned());
        if !self.is_block && !words::has_port(&self.authority) {
            self.endpoints = vec![words::text(&format!("{}:443", self.authority))];
        }
    }

    /// The one for this scheme, if it is this one, or one that nothing uses yet.
    pub(super) fn reached(&self, has_tls: bool) -> Option<Self> {
        let is_free = self.is_used.is_none_or(|used| used == has_tls);
        let mut reached = self.clone();
        if has_tls && self.is_used.is_none() {
            reached.behind_tls();
        }
        reached.is_used = Some(has_tls);
        is_free.then_some(reached)
    }

    /// As its block has it, before anything used it.
    pub(super) fn anew(&self, name: String) -> Self {
        let mut anew = self.clone();
        let own = ["tls", "connect_timeout"];
        anew.keys.retain(|(key, _)| !own.contains(&key.as_str()));
        if !self.is_block {
            anew.endpoints = Self::alone(&self.authority).endpoints;
        }
        Self {
            name,
            is_used: None,
            ..anew
        }
    }

    fn balanced(&mut self, how: &str) {
        self.set("balance", words::text(how));
    }

    /// The first value of a key counts; `false`: it is another one.
    pub(super) fn set(&mut self, key: &str, value: String) -> bool {
        if let Some((_, first)) = self.keys.iter().find(|(known, _)| known == key) {
            return *first == value;
        }
        self.keys.push((key.to_owned(), value));
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }

    /// Leaves out what its own configuration refuses: an endpoint, a key, or else all of it.
    pub(super) fn leave_out(&mut self, key: &str) {
        let endpoint = key
            .strip_prefix("endpoints[")
            .and_then(|it| it.split(']').next());
        let endpoint = endpoint.and_then(|it| it.parse::<usize>().ok());
        if let Some(endpoint) = endpoint.and_then(|it| self.endpoints.get_mut(it)) {
            endpoint.clear();
            self.is_left_out = self.endpoints.iter().all(String::is_empty);
            return;
        }
        let before = self.keys.len();
        let first = key.split(['.', '[']).next().unwrap_or(key);
        self.keys.retain(|(known, _)| known != first);
        self.is_left_out |= self.keys.len() == before || first == "tls";
    }

    /// Endpoints that were left out are gone.
    pub(super) fn settle(&mut self) {
        self.endpoints.retain(|it| !it.is_empty());
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

fn with_port(address: &str) -> String {
    if words::has_port(address) {
        address.to_owned()
    } else {
        format!("{address}:80")
    }
}

fn endpoint(server: &Directive, notes: &mut Notes) -> Option<String> {
    let address = server.word(0);
    if address.starts_with("unix:") {
        notes.add(server, "endpoints are reached by TCP; this one is left out");
        return None;
    }
    let address = with_port(address);
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
