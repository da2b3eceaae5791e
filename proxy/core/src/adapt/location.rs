//! What a location does, as the route that does it.

use regex::bytes::Regex;

use super::block::Directive;
use super::convert::Known;
use super::guard::is_guard;
use super::route::{Rank, Route};
use super::scope::Scope;
use super::words::Given;
use super::{Notes, pass, settings, turn, words};

/// What is read of a location; at the levels around it the same may stand.
pub(super) const READ: &[&str] = &[
    "add_header",
    "client_max_body_size",
    "default_type",
    "gzip",
    "limit_req",
    "proxy_cache",
    "proxy_cache_key",
    "proxy_cache_use_stale",
    "proxy_cache_valid",
    "proxy_connect_timeout",
    "proxy_pass",
    "proxy_read_timeout",
    "proxy_redirect",
    "proxy_set_header",
    "return",
    "rewrite",
    "satisfy",
];

/// Where requests are found, and when they are looked for there.
pub(super) type Found = (Vec<(&'static str, String)>, Rank);

/// How a location names what it takes.
pub(super) fn named(location: &Directive) -> (&str, &str) {
    match location.words.as_slice() {
        [path] => ("", path.as_str()),
        [modifier, path] => (modifier.as_str(), path.as_str()),
        _ => ("@", ""),
    }
}

/// The expression of a location that has one.
pub(super) fn expression(location: &Directive) -> Option<String> {
    match named(location) {
        ("~", path) => Some(path.to_owned()),
        ("~*", path) => Some(format!("(?i){path}")),
        _ => None,
    }
}

/// Where requests for it are found. A prefix with a `rank` is written as an expression, as is one that could not stand
/// there as a path; `but` are longer ones, whose requests are none of its own.
pub(super) fn matcher(
    location: &Directive,
    rank: Option<Rank>,
    but: &[&str],
    notes: &mut Notes,
) -> Option<Found> {
    let (modifier, path) = named(location);
    let is_plain = words::path(path) == path && !path.contains('?');
    let by = |expression: &str, rank| {
        let found = ("path_regex", words::text(expression));
        Some((vec![found], rank))
    };
    match modifier {
        "=" if is_plain => Some((vec![("path_exact", words::text(path))], Rank::Usual)),
        "=" => by(&format!("^{}$", regex::escape(path)), Rank::First),
        "" | "^~" if path == "/" && rank.is_none() => Some((Vec::new(), Rank::Usual)),
        "" | "^~" if path.starts_with('/') && (rank.is_some() || !is_plain) => {
            let behind = turn::without(but);
            let expression = format!("^{}{behind}", regex::escape(path));
            by(&expression, rank.unwrap_or(Rank::Late(path.len())))
        }
        "" | "^~" if path.starts_with('/') => {
            let trimmed = path.trim_end_matches('/');
            if trimmed == path {
                let other = format!("{path}x");
                notes.add(
                    location,
                    format!("a path is taken in whole segments here: {other} is not part of it"),
                );
            }
            Some((vec![("path", words::text(trimmed))], Rank::Usual))
        }
        "~" | "~*" => {
            let expression = expression(location)?;
            if let Err(error) = Regex::new(&expression) {
                let told = error.to_string();
                let last = told.lines().last().unwrap_or_default();
                notes.add(location, format!("the expression is none of ours: {last}"));
                return None;
            }
            by(&expression, Rank::Usual)
        }
        _ => {
            notes.add(
                location,
                "it is not a path; a named location is converted where `try_files` leads to it",
            );
            None
        }
    }
}

/// What is done there; routes of redirects come first, the last one is for all that is left. They have no names yet,
/// and only those have a matcher that do not take all of the location.
pub(super) fn routes(
    location: &Directive,
    scope: &Scope<'_>,
    known: &mut Known,
    notes: &mut Notes,
) -> Vec<Route> {
    let mut routes = Vec::new();
    let mut route = Route::default();
    for directive in location.inside() {
        let is_decided = route.has("redirect") || route.has("respond");
        match directive.name.as_str() {
            "rewrite" | "return" if is_decided => notes.add(directive, "is never reached"),
            "return" => {
                route.keys.clear();
                let expression = expression(location).and_then(|it| Regex::new(&it).ok());
                let given = Given::of(scope.server_name(), expression.as_ref());
                turn::returned(directive, &mut route, scope, &given, notes);
            }
            "rewrite" => {
                routes.extend(turn::rewrite(directive, location, &mut route, scope, notes));
            }
            _ => {}
        }
    }
    if !route.has("redirect") && !route.has("respond") {
        let of_pass = location.inside().iter().find(|it| it.name == "proxy_pass");
        let passed =
            of_pass.and_then(|it| pass::proxied(it, location, &mut route, scope, known, notes));
        if let Some(passed) = passed {
            settings::of_proxied(scope, &mut route, &passed, known, notes);
            routes.extend(pass::bare(&route, location, of_pass, notes));
        } else {
            route.keys.clear();
            route.set("respond", "{ status = 404 }");
            if of_pass.is_none() {
                route.has_files = true;
                notes.add(
                    location,
                    "files are not served here: it is answered with 404",
                );
            }
        }
    }
    routes.push(route);
    for route in &mut routes {
        settings::added(scope, route, notes);
        settings::limit(scope, route, known, notes);
        route.origin.get_or_insert_with(|| Notes::place(location));
    }
    routes
}

/// Where everything goes that is no file: the named location at the end of `try_files`. Whom both keep out could not be told apart, so
/// then it is left as it is.
pub(super) fn fallback<'a>(
    place: &Directive,
    named: &[&'a Directive],
    notes: &mut Notes,
) -> Option<&'a Directive> {
    let tried = place.inside().iter().find(|it| it.name == "try_files")?;
    let name = tried.words.last().filter(|name| name.starts_with('@'))?;
    let decides = ["proxy_pass", "return", "rewrite"];
    if place
        .inside()
        .iter()
        .any(|it| decides.contains(&it.name.as_str()))
    {
        return None;
    }
    let target = named.iter().find(|it| it.words == [name.as_str()])?;
    let is_guarded = |it: &Directive| it.inside().iter().any(is_guard);
    if is_guarded(place) && is_guarded(target) {
        return None;
    }
    notes.add(
        tried,
        format!("files are not served here: everything goes to `{name}`"),
    );
    Some(target)
}
