//! What can be served and is probably not meant: settings that do nothing, or more than they seem to.

use std::net::SocketAddr;

use super::matcher::PathPattern;
use super::problem::{Complaint, Problem, Severity};
use super::{Autoban, Config, Listener, Places, Route, Upstream};
use crate::route::shadowed;

/// Where it stands, and what is to be said of it.
type Doubt = (Vec<String>, Complaint);

pub(super) fn find(config: &Config, places: &Places) -> Vec<Problem> {
    let Config {
        listeners,
        upstreams,
        routes,
        autoban,
        ..
    } = config;
    let doubts = listeners.iter().flat_map(of_listener);
    let doubts = doubts.chain(upstreams.iter().flat_map(twice));
    let doubts = doubts.chain(upstreams.iter().filter_map(insecure));
    let doubts = doubts.chain(routes.iter().enumerate().filter_map(starred));
    let unread = doubts.chain(of_autoban(autoban, routes));
    let mut problems: Vec<Problem> = unread
        .filter_map(|(path, complaint)| places.problem(Severity::Warning, &path, complaint))
        .collect();
    problems.extend(unreachable(routes, places));
    problems
}

fn path(steps: &[&str]) -> Vec<String> {
    steps.iter().map(|step| (*step).to_owned()).collect()
}

fn of_listener(listener: &Listener) -> Vec<Doubt> {
    let name = &*listener.name;
    let mut doubts = covered(listener);
    let believed = [
        ("trusted_proxies", &listener.trusted_proxies),
        ("proxy_protocol", &listener.proxy_protocol),
    ];
    let believed = believed
        .iter()
        .flat_map(|(key, prefixes)| prefixes.iter().enumerate().map(move |it| (*key, it)));
    for (key, (index, prefix)) in believed {
        if prefix.length == 0 {
            let at = path(&["listener", name, key, &index.to_string()]);
            let complaint = Complaint::new(
                "every client is believed what it says of its own address: limits, bans and `client` conditions hold for nobody",
            );
            doubts.push((at, complaint.hint("name the addresses of the proxies")));
        }
    }
    doubts
}

/// Addresses that another one of the same listener has already.
fn covered(listener: &Listener) -> Vec<Doubt> {
    let any = |address: &SocketAddr| address.ip().is_unspecified();
    let bind = listener.bind.iter().enumerate();
    let doubts = bind
        .filter(|(_, one)| !any(one))
        .filter_map(|(index, one)| {
            let is_same = |other: &&SocketAddr| {
                any(other) && other.port() == one.port() && other.is_ipv4() == one.is_ipv4()
            };
            let whole = listener
                .bind
                .iter()
                .find(is_same)
                .filter(|_| one.port() != 0)?;
            let at = path(&["listener", &listener.name, "bind", &index.to_string()]);
            let complaint = Complaint::new(format!("{one} is part of {whole}"));
            Some((at, complaint.hint("one of the two is enough")))
        });
    doubts.collect()
}

/// The same endpoint twice gets twice its share, which a weight says better.
fn twice(upstream: &Upstream) -> Vec<Doubt> {
    let endpoints = upstream.endpoints.iter().enumerate();
    let doubts = endpoints.filter_map(|(index, endpoint)| {
        let mut before = upstream.endpoints.iter().take(index);
        before.find(|earlier| earlier.address == endpoint.address)?;
        let index = index.to_string();
        let at = path(&["upstream", &upstream.name, "endpoints", &index]);
        let complaint = Complaint::new("this endpoint is named twice");
        Some((at, complaint.hint("for a larger share, give it a `weight`")))
    });
    doubts.collect()
}

/// TLS that hides nothing from whoever is on the way.
fn insecure(upstream: &Upstream) -> Option<Doubt> {
    upstream.tls.as_ref().filter(|tls| tls.insecure)?;
    let at = path(&["upstream", &upstream.name, "tls", "insecure"]);
    let complaint = Complaint::new(
        "INSECURE: any certificate is taken, so anybody on the way to the endpoints can read and change everything",
    );
    Some((
        at,
        complaint.hint("name their authority instead: tls = { ca = \"ca.pem\" }"),
    ))
}

/// A star that stands for anything elsewhere; here it is an octet of a path like any other.
fn starred((index, route): (usize, &Route)) -> Option<Doubt> {
    let (key, written) = match route.matcher.path.as_ref()? {
        PathPattern::Prefix(written) => ("path", written),
        PathPattern::Exact(written) => ("path_exact", written),
        PathPattern::Regex(_) => return None,
    };
    let (before, behind) = written.split_once('*')?;
    let at = path(&["route", &index.to_string(), "match", key]);
    let complaint = Complaint::new("`*` is a literal star here: it stands for nothing else");
    let hint = if behind.is_empty() && before.ends_with('/') {
        format!("write path = \"{before}\", which takes all that is below, or path_regex")
    } else {
        "write path_regex, such as path_regex = '^/a/.*\\.png$'".to_owned()
    };
    Some((at, complaint.hint(hint)))
}

fn of_autoban(autoban: &Autoban, routes: &[Route]) -> Vec<Doubt> {
    let after = &autoban.after;
    let has_limit = routes.iter().any(|route| route.limit.is_some());
    let kinds = [
        ("waf", after.waf, "nothing gives waf.* verdicts yet"),
        ("auth", after.auth, "nothing gives auth.* verdicts yet"),
        (
            "limit",
            after.limit.filter(|_| !has_limit),
            "no route has a `limit`",
        ),
    ];
    let idle = kinds.into_iter().filter(|(_, count, _)| count.is_some());
    idle.map(|(kind, _, why)| {
        let complaint = Complaint::new(format!("`{kind}` bans nobody: {why}"));
        (path(&["autoban", "after", kind]), complaint)
    })
    .collect()
}

fn unreachable(routes: &[Route], places: &Places) -> Vec<Problem> {
    let name = |index: usize| routes.get(index).map_or("", |route| &*route.name);
    let problem = |index: usize, complaint| {
        let at = path(&["route", &index.to_string()]);
        places.problem(Severity::Warning, &at, complaint)
    };
    let pairs = shadowed(routes).into_iter();
    pairs
        .filter_map(|(index, taker)| {
            let complaint = Complaint::new(format!(
                "no request comes to the route `{}`: `{}` takes all that it would take",
                name(index),
                name(taker)
            ));
            let mut told = problem(index, complaint)?;
            told.first = problem(taker, Complaint::new("")).map(|first| first.location);
            Some(told)
        })
        .collect()
}
