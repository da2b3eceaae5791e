//! `server` blocks: listeners by port, and routes by host.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use super::block::Directive;
use super::convert::Known;
use super::listen::{Listen, authority, listen};
use super::places::{Site, guarded, places};
use super::route::{Rank, Route};
use super::scope::Scope;
use super::unread::note_unread;
use super::words::Given;
use super::{Notes, location, settings, turn, words};

/// All of them.
#[derive(Debug)]
pub(super) struct Servers<'a>(Vec<Server<'a>>);

#[derive(Debug)]
struct Server<'a> {
    block: &'a Directive,
    scope: Scope<'a>,
    listens: Vec<Listen>,
    names: Vec<String>,
}

const READ: &[&str] = &[
    "client_header_timeout",
    "keepalive_timeout",
    "listen",
    "location",
    "server_name",
    "ssl_certificate",
    "ssl_certificate_key",
    "ssl_client_certificate",
    "ssl_protocols",
    "ssl_verify_client",
];

impl<'a> Servers<'a> {
    pub(super) fn read(inside: &'a [Directive], scope: &Scope<'a>, notes: &mut Notes) -> Self {
        let blocks = inside.iter().filter(|it| it.name == "server");
        let servers = blocks.filter_map(|block| {
            note_unread(block.inside(), &[READ, location::READ].concat(), notes);
            Server::read(block, scope.with(block.inside()), notes)
        });
        let mut servers = Self(servers.collect());
        servers.keep_apart(notes);
        servers
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All listeners have all routes, so what was for this machine alone would be for everybody.
    fn keep_apart(&mut self, notes: &mut Notes) {
        let is_local = |server: &Server<'_>| server.listens.iter().all(|it| it.is_local);
        if self.0.iter().any(|server| !is_local(server)) {
            self.0.retain(|server| {
                if is_local(server) {
                    notes.add(
                        server.block,
                        "it listens for this machine alone, and others do not: all listeners have all routes here, so it is left out; give it a proxy of its own",
                    );
                }
                !is_local(server)
            });
        }
        let listens = self.0.iter().flat_map(|server| &server.listens);
        let all: HashSet<(u16, bool)> = listens.map(|it| (it.port, it.has_tls)).collect();
        for server in &self.0 {
            let own: HashSet<u16> = server.listens.iter().map(|it| it.port).collect();
            let kinds = server.kinds();
            let of_kinds = all.iter().filter(|(_, kind)| kinds.contains(kind));
            if of_kinds.clone().any(|(port, _)| !own.contains(port)) {
                notes.add(
                    server.block,
                    "servers are told apart by name here, and not by port: what it has is found at every port",
                );
            }
        }
    }

    /// Those that take what no name does, for requests over TLS or in the clear.
    fn default_of(&self, has_tls: bool) -> Option<usize> {
        let of_kind = |server: &Server<'_>| {
            let mut listens = server.listens.iter().filter(|it| it.has_tls == has_tls);
            let first = listens.clone().next()?;
            Some(listens.any(|it| it.is_default) || first.is_default)
        };
        let servers = self.0.iter().enumerate();
        let mut of_kind = servers.filter_map(|(index, server)| Some((index, of_kind(server)?)));
        let first = of_kind.clone().next();
        let marked = of_kind.find(|(_, is_marked)| *is_marked);
        marked.or(first).map(|(index, _)| index)
    }

    pub(super) fn routes(&self, known: &mut Known, notes: &mut Notes) -> Vec<Route> {
        let mut routes = Vec::new();
        let mut names = HashSet::new();
        let both = [false, true].map(|has_tls| self.default_of(has_tls));
        let is_mixed = both.iter().all(Option::is_some);
        for (index, server) in self.0.iter().enumerate() {
            let own = server.routes(known, notes);
            let hosts = self.hosts(index, server, both, is_mixed);
            if hosts.is_empty() {
                notes.add(
                    server.block,
                    "no name leads to it, and another server is the default: it is left out",
                );
            }
            for (host, scheme) in hosts {
                for (place, route) in &own {
                    let mut route = route.clone();
                    if let Some(scheme) = scheme {
                        route.matcher.insert(0, ("scheme", words::text(scheme)));
                    }
                    if let Some(host) = &host {
                        route.matcher.insert(0, ("host", words::text(host)));
                    }
                    let host = host.as_deref().unwrap_or("any");
                    let start = format!("{}-{place}", words::name(host));
                    route.name = unused(&start, &mut names);
                    routes.push(route);
                }
            }
        }
        routes
    }

    /// For which hosts and schemes a server has routes.
    fn hosts(
        &self,
        index: usize,
        server: &Server<'_>,
        defaults: [Option<usize>; 2],
        is_mixed: bool,
    ) -> Vec<(Option<String>, Option<&'static str>)> {
        let kinds = server.kinds();
        let scheme = match kinds.as_slice() {
            [true] if is_mixed => Some("https"),
            [false] if is_mixed => Some("http"),
            _ => None,
        };
        let is_default = |has_tls: &bool| {
            let [clear, tls] = defaults;
            Some(index) == if *has_tls { tls } else { clear }
        };
        let others = self
            .0
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index);
        let has_wildcards = others.into_iter().any(|(_, other)| {
            let mut names = other.names.iter();
            names.any(|name| name.starts_with("*."))
        });
        let of_all = kinds.iter().all(is_default);
        let mut hosts = Vec::new();
        if !of_all || has_wildcards {
            hosts.extend(server.names.iter().map(|name| (Some(name.clone()), scheme)));
        }
        if of_all {
            hosts.push((None, scheme));
        } else {
            let of_kind = kinds.iter().filter(|kind| is_default(kind));
            hosts.extend(of_kind.map(|kind| (None, Some(if *kind { "https" } else { "http" }))));
        }
        hosts
    }

    pub(super) fn write(&self, out: &mut String, notes: &mut Notes) {
        let mut ports: BTreeMap<(u16, bool), Vec<(&Server<'a>, &Listen)>> = BTreeMap::new();
        for server in &self.0 {
            for listen in &server.listens {
                let at = (listen.port, listen.has_tls);
                ports.entry(at).or_default().push((server, listen));
            }
        }
        for ((port, has_tls), of_port) in &ports {
            let mut bind: Vec<&str> = Vec::new();
            for (server, listen) in of_port {
                let is_bound = ports.contains_key(&(*port, true)) && !has_tls;
                if is_bound {
                    notes.add(server.block, format!("port {port} speaks TLS for another server, and is not in the clear here"));
                } else if !bind.contains(&listen.address.as_str()) {
                    bind.push(&listen.address);
                }
            }
            if bind.is_empty() {
                continue;
            }
            let start = if *has_tls { "https" } else { "http" };
            // Writing to a String cannot fail.
            let _ = write!(
                out,
                "\n[listener.{start}-{port}]\nbind = {}\n",
                words::list(&bind)
            );
            if *has_tls {
                tls(of_port, out, notes);
            }
            let scope = of_port.first().map(|(server, _)| &server.scope);
            for (theirs, ours) in [
                ("client_header_timeout", "header_timeout"),
                ("keepalive_timeout", "idle_timeout"),
            ] {
                let time = scope.and_then(|scope| scope.last(theirs));
                if let Some(time) = time.and_then(|time| words::duration(time.word(0))) {
                    let _ = writeln!(out, "{ours} = {}", words::text(&time));
                }
            }
        }
    }
}

/// The certificates of all servers of a port, and what they ask of clients.
fn tls(of_port: &[(&Server<'_>, &Listen)], out: &mut String, notes: &mut Notes) {
    let mut pairs: Vec<String> = Vec::new();
    let mut keys = String::new();
    for (server, _) in of_port {
        let word = |name: &str| server.scope.last(name).map(|it| it.word(0));
        match (word("ssl_certificate"), word("ssl_certificate_key")) {
            (Some(cert), Some(key)) => {
                let pair = format!(
                    "{{ cert = {}, key = {} }}",
                    words::text(cert),
                    words::text(key)
                );
                if !pairs.contains(&pair) {
                    pairs.push(pair);
                }
            }
            _ => notes.add(server.block, "it has no certificate of its own"),
        }
        if let Some(protocols) = server.scope.last("ssl_protocols")
            && keys.is_empty()
        {
            let has_old = protocols.words.iter().any(|word| word == "TLSv1.2");
            let _ = write!(keys, ", min = \"{}\"", if has_old { "1.2" } else { "1.3" });
        }
    }
    let servers = of_port.iter().map(|(it, _)| (it.block, &it.scope));
    let servers: Vec<_> = servers.collect();
    if let Some(authority) = authority(&servers, notes) {
        let _ = write!(keys, ", client_ca = {}", words::text(authority));
    }
    if of_port.iter().any(|(_, listen)| listen.has_quic) {
        out.push_str("protocols = [\"h1\", \"h2\", \"h3\"]\n");
    }
    if pairs.is_empty() {
        out.push_str("tls = { self_signed = [\"localhost\"] }\n");
        return;
    }
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "tls = {{ certificates = [{}]{keys} }}",
        pairs.join(", ")
    );
}

impl<'a> Server<'a> {
    fn read(block: &'a Directive, scope: Scope<'a>, notes: &mut Notes) -> Option<Self> {
        let directives = block.inside().iter();
        let listens = directives.clone().filter(|it| it.name == "listen");
        let is_silent = listens.clone().next().is_none();
        let mut listens: Vec<Listen> = listens.filter_map(|it| listen(it, notes)).collect();
        if listens.is_empty() && !is_silent {
            notes.add(block, "it listens nowhere else: it is left out");
            return None;
        }
        if listens.is_empty() {
            listens.push(Listen {
                is_local: false,
                address: "0.0.0.0:80".to_owned(),
                port: 80,
                has_tls: false,
                has_quic: false,
                is_default: false,
            });
        }
        let mut names = Vec::new();
        for directive in directives.filter(|it| it.name == "server_name") {
            for name in &directive.words {
                match name.as_str() {
                    "_" | "" => {}
                    _ if name.starts_with('~') || name.ends_with('*') => {
                        notes.add(directive, format!("`{name}` is neither a name nor *.NAME"));
                    }
                    _ => match name.strip_prefix('.') {
                        Some(rest) => names.extend([rest.to_owned(), format!("*.{rest}")]),
                        None => names.push(name.to_ascii_lowercase()),
                    },
                }
            }
        }
        Some(Self {
            block,
            scope,
            listens,
            names,
        })
    }

    /// Whether it is asked over TLS, in the clear, or both.
    fn kinds(&self) -> Vec<bool> {
        let has = |kind: bool| self.listens.iter().any(|it| it.has_tls == kind);
        [false, true]
            .into_iter()
            .filter(|kind| has(*kind))
            .collect()
    }

    /// Routes for any host, each with a word for its place.
    fn routes(&self, known: &mut Known, notes: &mut Notes) -> Vec<(String, Route)> {
        let mut routes = Vec::new();
        for directive in self.block.inside() {
            match directive.name.as_str() {
                "return" => {
                    let given = Given::of(self.scope.server_name(), None);
                    let mut route = Route {
                        origin: Some(Notes::place(directive)),
                        ..Route::default()
                    };
                    turn::returned(directive, &mut route, &self.scope, &given, notes);
                    settings::added(&self.scope, &mut route, notes);
                    // Nothing behind it is reached.
                    routes.extend(guarded("all", route, &self.scope, notes));
                    return routes;
                }
                "rewrite" => {
                    let route = turn::of_server(directive, &self.scope, notes);
                    let route = route.map(|route| Route {
                        rank: Rank::First,
                        ..route
                    });
                    let routes_of = |route| guarded("rewrite", route, &self.scope, notes);
                    routes.extend(route.into_iter().flat_map(routes_of));
                }
                _ => {}
            }
        }
        let mut site = Site::of(self.block);
        let has_all = places(
            self.block,
            &self.scope,
            &mut site,
            &mut routes,
            known,
            notes,
        );
        site.note_unused(notes);
        if !has_all {
            let mut route = Route {
                origin: Some(Notes::place(self.block)),
                ..Route::default()
            };
            route.set("respond", "{ status = 404 }");
            routes.extend(guarded("rest", route, &self.scope, notes));
        }
        // Those of equal rank stay in their order.
        routes.sort_by_key(|(_, route)| Reverse(route.rank));
        routes
    }
}

fn unused(start: &str, names: &mut HashSet<String>) -> String {
    let mut name = start.to_owned();
    let mut number = 2;
    while !names.insert(name.clone()) {
        name = format!("{start}-{number}");
        number += 1;
    }
    name
}
