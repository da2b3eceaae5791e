//! From directives to a configuration.

use std::collections::HashMap;
use std::fmt::Write;

use super::block::Directive;
use super::mend::Draft;
use super::scope::Scope;
use super::server::Servers;
use super::unread::note_unread;
use super::upstream::Upstream;
use super::{AdaptError, Adapted, Notes, location, words};
use crate::config::has_key;

/// What servers refer to.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) upstreams: Vec<Upstream>,
    /// Rates with their keys, by the names of zones.
    pub(super) zones: HashMap<String, (String, String)>,
}

impl Known {
    pub(super) fn find(&mut self, name: &str) -> Option<&mut Upstream> {
        self.upstreams.iter_mut().find(|it| it.name == name)
    }

    /// The one of a name or address that `proxy_pass` has; a block that is asked with TLS and without is two.
    pub(super) fn reached(
        &mut self,
        authority: &str,
        has_tls: bool,
        pass: &Directive,
    ) -> Option<&mut Upstream> {
        let of_authority = |it: &&mut Upstream| it.authority == authority;
        for upstream in self.upstreams.iter_mut().filter(of_authority) {
            if let Some(reached) = upstream.reached(has_tls) {
                *upstream = reached;
                let name = upstream.name.clone();
                return self.find(&name);
            }
        }
        let first = self.upstreams.iter().find(|it| it.authority == authority);
        let start = first.map_or_else(|| words::name(authority), |it| it.name.clone());
        let name = self.unused(&start);
        let fresh = if let Some(first) = first {
            first.anew(name)
        } else {
            let mut fresh = Upstream::alone(authority);
            fresh.name = name;
            fresh.origin = Some(Notes::place(pass));
            fresh
        };
        self.upstreams.extend(fresh.reached(has_tls));
        self.upstreams.last_mut()
    }

    fn unused(&self, start: &str) -> String {
        let mut name = start.to_owned();
        let mut number = 2;
        while self.upstreams.iter().any(|it| it.name == name) {
            name = format!("{start}-{number}");
            number += 1;
        }
        name
    }
}

/// What is read beside what servers inherit.
const READ: &[&str] = &[
    "access_log",
    "client_header_timeout",
    "keepalive_timeout",
    "limit_req_zone",
    "proxy_cache_path",
    "server",
    "ssl_certificate",
    "ssl_certificate_key",
    "ssl_client_certificate",
    "ssl_protocols",
    "ssl_verify_client",
    "upstream",
];

pub(super) fn convert(name: &str, all: &[Directive]) -> Result<Adapted, AdaptError> {
    let mut notes = Notes::default();
    let http = all.iter().find(|it| it.name == "http");
    if http.is_some() {
        note_unread(all, &["http", "worker_processes"], &mut notes);
    }
    // A file of conf.d is the inside of one.
    let inside = http.map_or(all, Directive::inside);
    let read = [READ, location::READ, &["worker_processes"]].concat();
    note_unread(inside, &read, &mut notes);
    let mut known = known(inside, &mut notes);
    let scope = Scope::new(inside);
    let servers = Servers::read(inside, &scope, &mut notes);
    let routes = servers.routes(&mut known, &mut notes);
    let mut head =
        String::from("# Converted from nginx.conf; what could not be converted was said then.\n");
    let workers = all.iter().find(|it| it.name == "worker_processes");
    if let Some(workers) = workers.and_then(|it| it.word(0).parse::<u16>().ok()) {
        // Writing to a String cannot fail.
        let _ = write!(head, "\n[server]\nworkers = {workers}\n");
    }
    log(&scope, &mut head, &mut notes);
    store(&scope, &mut head, &mut notes);
    servers.write(&mut head, &mut notes);
    let upstreams = known.upstreams.into_iter().filter(|it| !it.is_empty());
    let mut draft = Draft {
        head,
        upstreams: upstreams.collect(),
        routes,
    };
    let mended = if servers.is_empty() {
        Err("there is no server in it that can be converted".to_owned())
    } else {
        draft.mend(name, &mut notes)
    };
    let mut notes = notes.0;
    notes.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
    match mended {
        Ok(text) => Ok(Adapted { text, notes }),
        Err(why) => Err(AdaptError::Nothing {
            file: name.to_owned(),
            why,
            notes,
        }),
    }
}

fn known(inside: &[Directive], notes: &mut Notes) -> Known {
    let mut known = Known::default();
    for block in inside.iter().filter(|it| it.name == "upstream") {
        let mut upstream = Upstream::of(block, notes);
        upstream.name = known.unused(&upstream.name);
        known.upstreams.push(upstream);
    }
    for directive in inside.iter().filter(|it| it.name == "limit_req_zone") {
        let key = match directive.word(0) {
            "$binary_remote_addr" | "$remote_addr" => Some("client_ip".to_owned()),
            "$server_name" | "$host" => Some("route".to_owned()),
            other => {
                let header = other.strip_prefix("$http_");
                let cookie = other.strip_prefix("$cookie_");
                let header = header.map(|name| format!("header:{}", name.replace('_', "-")));
                header.or_else(|| cookie.map(|name| format!("cookie:{name}")))
            }
        };
        let mut words = directive.words.iter();
        let zone = words.find_map(|word| word.strip_prefix("zone="));
        let zone = zone.and_then(|zone| zone.split(':').next());
        let rate = directive.words.iter().find_map(|word| words::rate(word));
        match (zone, rate, key) {
            (Some(zone), Some(rate), Some(key)) => {
                notes.add(
                    directive,
                    format!("as many as the rate has in its period may come at once here: {rate} takes them in any order; each route counts for itself, and more get 429"),
                );
                if key.contains(':') {
                    notes.add(
                        directive,
                        "requests without it are counted by their client's address here, and not at all there",
                    );
                }
                known.zones.insert(zone.to_owned(), (rate, key));
            }
            _ => notes.add(directive, "its key or rate has no like here"),
        }
    }
    known
}

fn log(scope: &Scope<'_>, text: &mut String, notes: &mut Notes) {
    let Some(log) = scope.last("access_log") else {
        return;
    };
    let to = log.word(0);
    if to.starts_with("syslog:") || to.contains('$') {
        notes.add(log, "logs go to a file or to stdout");
        return;
    }
    let to = words::text(to);
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\n[log]\naccess = {{ to = {to}, format = \"combined\" }}\n"
    );
}

/// Where responses are kept.
fn store(scope: &Scope<'_>, text: &mut String, notes: &mut Notes) {
    let paths = scope.all("proxy_cache_path");
    let Some((first, more)) = paths.split_first() else {
        return;
    };
    for other in more {
        notes.add(other, "there is one store for all routes");
    }
    if !has_key(&["cache", "disk"]) {
        notes.add(first, "responses are kept in memory; see [cache]");
        return;
    }
    for word in &first.words {
        if word.starts_with("inactive=") {
            let why = format!(
                "`{word}` is not converted: what is not asked for goes when room is needed"
            );
            notes.add(first, why);
        }
    }
    let most = first
        .words
        .iter()
        .find_map(|word| word.strip_prefix("max_size="));
    let most = most
        .and_then(words::size)
        .unwrap_or_else(|| "10g".to_owned());
    // The folder of nginx is its own user's.
    let theirs = first.word(0).trim_end_matches('/');
    let around = theirs.rsplit_once('/').map_or("", |(around, _)| around);
    let ours = match theirs {
        theirs if theirs.ends_with("/openclaw") => format!("{around}/openclaw-cache"),
        theirs if theirs.contains('/') => format!("{around}/openclaw"),
        _ => "openclaw-cache".to_owned(),
    };
    notes.add(
        first,
        format!("the folder belongs to nginx's user: responses are kept in {ours}, which the user of the proxy must be able to make"),
    );
    let (path, most) = (words::text(&ours), words::text(&most));
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\n[cache]\ndisk = {{ path = {path}, max = {most} }}\n"
    );
}
