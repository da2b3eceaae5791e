//! `proxy_pass`: which upstream gets a request, and under which path.

use super::block::Directive;
use super::convert::Known;
use super::route::Route;
use super::scope::Scope;
use super::{Notes, evaluated, location, turn, words};

/// Where a route goes.
#[derive(Debug)]
pub(super) struct Passed {
    /// The name of the upstream.
    pub(super) upstream: String,
    /// What the endpoint gets as Host where nothing else is said.
    pub(super) host: String,
}

/// The upstream of a route, which says from then on how the path changes.
pub(super) fn proxied(
    pass: &Directive,
    location: &Directive,
    route: &mut Route,
    scope: &Scope<'_>,
    known: &mut Known,
    notes: &mut Notes,
) -> Option<Passed> {
    let url = pass.word(0);
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let is_http = matches!(scheme, "http" | "https") && !rest.starts_with("unix:");
    let Some((authority, uri)) = evaluated::split(rest).filter(|_| is_http) else {
        notes.add(
            pass,
            "only http:// and https:// with a fixed host are converted: it is answered with 404",
        );
        return None;
    };
    let has_tls = scheme == "https";
    if has_tls {
        notes.add(
            pass,
            "the certificates of endpoints are checked here; see `tls` of upstreams",
        );
    }
    let upstream = known.reached(authority, has_tls, pass)?;
    if upstream.is_empty() {
        notes.add(
            pass,
            "its upstream has no endpoint left: it is answered with 404",
        );
        return None;
    }
    let upstream = upstream.name.clone();
    route.set("to", words::text(&upstream));
    if uri.contains('$') {
        evaluated::target(pass, location, uri, route, scope.server_name(), notes)?;
    } else if !uri.is_empty() && !route.has("rewrite") {
        replaced(pass, location, uri, route, notes);
    } else if let Some(rewrite) = turn::rewriting(location).filter(|_| !uri.is_empty())
        && !turn::is_always(rewrite.word(0), location)
    {
        notes.add(
            rewrite,
            "a path in which its expression finds nothing goes as it came; nginx asks for what `proxy_pass` says then",
        );
    }
    let own = if has_tls { ":443" } else { ":80" };
    Some(Passed {
        upstream,
        host: authority.strip_suffix(own).unwrap_or(authority).to_owned(),
    })
}

/// The part of the path that the location names becomes the path that `proxy_pass` names.
fn replaced(
    pass: &Directive,
    location: &Directive,
    uri: &str,
    route: &mut Route,
    notes: &mut Notes,
) {
    let (modifier, path) = location::named(location);
    if uri.contains('?') {
        notes.add(
            pass,
            "a query of the request follows its own query behind `&`, where nginx puts a second `?`",
        );
    }
    let uri = words::path(uri);
    let rewritten = |regex: &str, to: &str| {
        let (regex, to) = (words::text(regex), words::text(to));
        format!("{{ regex = {regex}, to = {to} }}")
    };
    let literal = words::literal(&uri);
    if modifier == "=" {
        route.set("rewrite", rewritten("^", &literal));
        return;
    }
    let is_plain = words::path(path) == path && !uri.contains('?');
    if !is_plain || (path.ends_with('/') && !uri.ends_with('/')) {
        // What stands behind the one stands behind the other, as nginx has it.
        let regex = format!("^{}(.*)$", regex::escape(path));
        route.set("rewrite", rewritten(&regex, &format!("{literal}$1")));
        return;
    }
    if uri.ends_with('/') && !path.ends_with('/') {
        notes.add(
            pass,
            "its path ends with a slash and that of the location does not: nginx doubles it, here there is one",
        );
    }
    let (from, to) = (path.trim_end_matches('/'), uri.trim_end_matches('/'));
    if from == to {
        return;
    }
    if !from.is_empty() {
        route.set("strip_prefix", words::text(from));
    }
    if !to.is_empty() {
        route.set("add_prefix", words::text(to));
    }
}

/// The location alone, without anything behind it: the prefixes of the route would put a slash there.
pub(super) fn bare(
    route: &Route,
    location: &Directive,
    pass: Option<&Directive>,
    notes: &mut Notes,
) -> Option<Route> {
    let (modifier, path) = location::named(location);
    let is_bare = matches!(modifier, "" | "^~") && path.starts_with('/') && !path.ends_with('/');
    if !is_bare || !route.has("strip_prefix") || !route.has("add_prefix") {
        return None;
    }
    let (_, added) = route.keys.iter().find(|(key, _)| *key == "add_prefix")?;
    let pass = pass?;
    if pass.word(0).ends_with('/') {
        return None;
    }
    notes.add(
        pass,
        format!("a Location in an answer to `{path}` itself stays as the endpoint writes it"),
    );
    let mut bare = route.clone();
    let to = added.replace('{', "{{");
    bare.keys
        .retain(|(key, _)| !matches!(*key, "strip_prefix" | "add_prefix"));
    bare.set("rewrite", format!("{{ regex = '^', to = {to} }}"));
    bare.matcher = vec![("path_exact", words::text(path))];
    Some(bare)
}

/// A path that ends with a slash and is proxied: without it nginx redirects there.
pub(super) fn unslashed(place: &Directive, all: &[Directive]) -> Option<Route> {
    let (modifier, path) = location::named(place);
    let bare = path
        .strip_suffix('/')
        .filter(|bare| bare.starts_with('/') && words::path(bare) == *bare)?;
    let is_proxied = place.inside().iter().any(|it| it.name == "proxy_pass");
    let has_own = all.iter().any(|it| {
        let is_same = it.words.last().is_some_and(|path| path == bare);
        it.name == "location" && is_same && matches!(it.words.len(), 1 | 2)
    });
    if !is_proxied || has_own || !matches!(modifier, "" | "^~") {
        return None;
    }
    let mut route = Route {
        origin: Some(Notes::place(place)),
        ..Route::default()
    };
    route.matcher.push(("path_exact", words::text(bare)));
    let to = words::text(&words::path(&words::literal(path)));
    route.set(
        "redirect",
        format!("{{ to = {to}, status = 301, keep_query = true }}"),
    );
    Some(route)
}
