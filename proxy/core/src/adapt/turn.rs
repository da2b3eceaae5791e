//! `return` and `rewrite`: what sends a client elsewhere, or a request to another path.

use std::collections::BTreeMap;

use regex::bytes::Regex;

use super::block::Directive;
use super::location::{self, expression};
use super::region::literal;
use super::route::Route;
use super::scope::Scope;
use super::words::Given;
use super::{Notes, words};

/// `return 301 https://…`, `return 404`, `return 200 "text"`.
pub(super) fn returned(
    directive: &Directive,
    route: &mut Route,
    scope: &Scope<'_>,
    given: &Given,
    notes: &mut Notes,
) {
    let (status, text) = match directive.words.as_slice() {
        [url] if url.contains("://") || url.starts_with('/') => (302, url.as_str()),
        [status] => (status.parse().unwrap_or(0), ""),
        [status, text] => (status.parse().unwrap_or(0), text.as_str()),
        _ => (0, ""),
    };
    if matches!(status, 301 | 302 | 303 | 307 | 308) {
        match words::template(text, given) {
            Ok(to) => {
                let to = words::text(&words::path(&to));
                route.set("redirect", format!("{{ to = {to}, status = {status} }}"));
            }
            Err(variable) => {
                notes.add(
                    directive,
                    format!("`{variable}` has no like here: it is answered with 404"),
                );
                route.set("respond", "{ status = 404 }");
            }
        }
        return;
    }
    if !(200..600).contains(&status) {
        notes.add(directive, "has no like here: it is answered with 403");
        route.set("respond", "{ status = 403 }");
        return;
    }
    if status == 444 {
        notes.add(
            directive,
            "nginx closes the connection without a word: here it is answered with 444",
        );
    }
    if text.contains('$') {
        notes.add(
            directive,
            "a body has no variables here: it stands there as it is written",
        );
    }
    let kind = scope.last("default_type");
    let kind = kind.map_or("text/plain", |it| it.word(0));
    let body = match text {
        "" => String::new(),
        text => format!(
            ", body = {}, content_type = {}",
            words::text(text),
            words::text(kind)
        ),
    };
    route.set("respond", format!("{{ status = {status}{body} }}"));
}

/// With which status a `rewrite` redirects, if it does.
fn redirecting(rewrite: &Directive) -> Option<u16> {
    match rewrite.word(2) {
        "permanent" => Some(301),
        "redirect" => Some(302),
        _ if is_elsewhere(rewrite.word(1)) => Some(302),
        _ => None,
    }
}

fn is_elsewhere(to: &str) -> bool {
    ["http://", "https://", "$scheme"]
        .iter()
        .any(|start| to.starts_with(start))
}

/// `rewrite REGEX REPLACEMENT [FLAG]` of a location: one that redirects is a route of its own, or all that the
/// location does; another says what path the endpoint gets.
pub(super) fn rewrite(
    directive: &Directive,
    place: &Directive,
    route: &mut Route,
    scope: &Scope<'_>,
    notes: &mut Notes,
) -> Option<Route> {
    let (regex, to) = understood(directive, route, scope, notes)?;
    let Some(status) = redirecting(directive) else {
        if directive.word(2) != "break" {
            notes.add(directive, "locations are not looked for again afterwards");
        }
        if directive.word(1).ends_with('?') {
            notes.add(
                directive,
                "the query of the request goes along here, which its last `?` took off",
            );
        }
        let (regex, to) = (words::text(regex), words::text(&to));
        route.set("rewrite", format!("{{ regex = {regex}, to = {to} }}"));
        return None;
    };
    let Some(inside) = inside(regex, place) else {
        notes.add(
            directive,
            "is not converted: its expression may find more than the location takes",
        );
        return None;
    };
    // The group is the whole path. As such it may stand behind a host.
    let to = if is_whole(regex) && !regex.contains('/') {
        to.replace("$1", "{path}")
    } else {
        to
    };
    let matcher = vec![("path_regex", words::text(&inside))];
    if is_whole(regex) || location::named(place).0 == "=" {
        if to.contains('$') {
            route.matcher = matcher;
        }
        redirect(route, directive, &to, status);
        return None;
    }
    let mut turn = Route {
        matcher,
        origin: Some(Notes::place(directive)),
        ..Route::default()
    };
    redirect(&mut turn, directive, &to, status);
    Some(turn)
}

/// One of a server, where only those are converted that redirect.
pub(super) fn of_server(
    directive: &Directive,
    scope: &Scope<'_>,
    notes: &mut Notes,
) -> Option<Route> {
    let mut route = Route {
        origin: Some(Notes::place(directive)),
        ..Route::default()
    };
    let (regex, to) = understood(directive, &route, scope, notes)?;
    let Some(status) = redirecting(directive) else {
        notes.add(
            directive,
            "only those that redirect are converted outside of locations",
        );
        return None;
    };
    route.matcher = vec![("path_regex", words::text(regex))];
    redirect(&mut route, directive, &to, status);
    Some(route)
}

/// The expression, and the template of what it becomes.
fn understood<'a>(
    directive: &'a Directive,
    route: &Route,
    scope: &Scope<'_>,
    notes: &mut Notes,
) -> Option<(&'a str, String)> {
    let regex = directive.word(0);
    let compiled = Regex::new(regex).ok().filter(|_| !route.has("rewrite"));
    let Some(compiled) = compiled else {
        notes.add(
            directive,
            "the expression is none of ours, or not the first of its place",
        );
        return None;
    };
    let given = Given::of(scope.server_name(), Some(&compiled));
    let Ok(to) = words::template(directive.word(1).trim_end_matches('?'), &given) else {
        notes.add(directive, "has a variable without like here");
        return None;
    };
    Some((regex, words::path(&to)))
}

/// The one of a location that says what path the endpoint gets.
pub(super) fn rewriting(place: &Directive) -> Option<&Directive> {
    let mut rewrites = place.inside().iter().filter(|it| it.name == "rewrite");
    rewrites.find(|it| redirecting(it).is_none() && Regex::new(it.word(0)).is_ok())
}

/// Whether an expression finds something in every path of a location.
pub(super) fn is_always(regex: &str, place: &Directive) -> bool {
    if is_whole(regex) || expression(place).is_some_and(|own| own == regex) {
        return true;
    }
    let (modifier, path) = location::named(place);
    let start = literal_start(regex);
    let rest = regex.strip_prefix('^').map(literal).map_or("", |it| it.1);
    let is_open = matches!(
        rest,
        "" | "(.*)" | "(.*)$" | ".*" | ".*$" | "/?(.*)" | "/?(.*)$"
    );
    let is_path = !matches!(modifier, "~" | "~*");
    is_path && is_open && !start.is_empty() && path.starts_with(&start)
}

fn redirect(route: &mut Route, directive: &Directive, to: &str, status: u16) {
    let keep = if directive.word(1).ends_with('?') {
        ""
    } else {
        ", keep_query = true"
    };
    let to = words::text(to);
    route.keys.clear();
    route.set(
        "redirect",
        format!("{{ to = {to}, status = {status}{keep} }}"),
    );
}

/// Whether an expression finds every path.
fn is_whole(regex: &str) -> bool {
    matches!(
        regex,
        "^" | ".*" | "^.*" | "^.*$" | "(.*)" | "^(.*)" | "(.*)$" | "^(.*)$" | "^/(.*)$" | "^/(.*)"
    )
}

/// The same expression where it finds nothing outside of its location, or one like it that does not.
fn inside(regex: &str, place: &Directive) -> Option<String> {
    let (modifier, path) = location::named(place);
    if let Some(own) = expression(place) {
        let is_own = !regex.contains('(') && is_whole(regex);
        return is_own.then_some(own);
    }
    let (start, end) = match modifier {
        "=" => (regex::escape(path), "$"),
        _ if path == "/" => return Some(regex.to_owned()),
        _ => (regex::escape(path), ".*$"),
    };
    match regex {
        "^/(.*)$" | "^/(.*)" => {
            let rest = regex::escape(path.strip_prefix('/')?);
            let end = end.trim_end_matches('$');
            Some(format!("^/({rest}{end})$"))
        }
        whole if is_whole(whole) && whole.contains('(') => {
            let end = end.trim_end_matches('$');
            Some(format!("^({start}{end})$"))
        }
        whole if is_whole(whole) => Some(format!("^{start}{end}")),
        _ if modifier == "=" => {
            let is_taken = Regex::new(regex).is_ok_and(|it| it.is_match(path.as_bytes()));
            let has_groups = regex.contains('(');
            (is_taken && !has_groups).then(|| format!("^{start}$"))
        }
        _ => literal_start(regex)
            .starts_with(path)
            .then(|| regex.to_owned()),
    }
}

/// What everything begins with that an expression finds.
fn literal_start(regex: &str) -> String {
    let anchored = regex.strip_prefix('^').filter(|it| !it.contains('|'));
    anchored.map_or_else(String::new, |it| literal(it).0)
}

/// For locations that redirect parts of what they take: how long their paths are, and what the others begin with.
pub(super) fn turned(place: &Directive) -> Vec<(usize, String)> {
    let (modifier, path) = location::named(place);
    if !matches!(modifier, "" | "^~") || !path.starts_with('/') {
        return Vec::new();
    }
    let rewrites = place.inside().iter();
    let rewrites = rewrites.filter(|it| it.name == "rewrite" && redirecting(it).is_some());
    let starts = rewrites.map(|it| literal_start(it.word(0)));
    let starts = starts.map(|start| {
        let is_longer = start.starts_with(path);
        if is_longer { start } else { path.to_owned() }
    });
    starts.map(|start| (path.len(), start)).collect()
}

/// An expression for whatever stands behind a prefix, but for what goes on as one of these. There is no look-ahead.
pub(super) fn without(ends: &[&str]) -> String {
    let mut by_first: BTreeMap<char, Vec<&str>> = BTreeMap::new();
    for end in ends {
        let mut rest = end.chars();
        if let Some(first) = rest.next() {
            by_first.entry(first).or_default().push(rest.as_str());
        }
    }
    if by_first.is_empty() {
        return String::new();
    }
    let escaped = |first: &char| regex::escape(first.encode_utf8(&mut [0; 4]));
    let firsts: String = by_first.keys().map(escaped).collect();
    let mut options = vec!["$".to_owned(), format!("[^{firsts}]")];
    for (first, rests) in &by_first {
        if rests.iter().all(|rest| !rest.is_empty()) {
            options.push(format!("{}{}", escaped(first), without(rests)));
        }
    }
    format!("(?:{})", options.join("|"))
}
