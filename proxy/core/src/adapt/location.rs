//! What a location does, as the route that does it.

use regex::bytes::Regex;

use super::Notes;
use super::block::Directive;
use super::convert::Known;
use super::guard::is_guard;
use super::route::Route;
use super::scope::Scope;
use super::settings;
use super::upstream::Upstream;
use super::words;

/// What is read of a location; at the levels around it the same may stand.
pub(super) const READ: &[&str] = &[
    "add_header",
    "client_max_body_size",
    "gzip",
    "limit_req",
    "proxy_cache",
    "proxy_cache_key",
    "proxy_cache_use_stale",
    "proxy_cache_valid",
    "proxy_connect_timeout",
    "proxy_pass",
    "proxy_read_timeout",
    "proxy_set_header",
    "return",
    "rewrite",
    "satisfy",
];

/// Where requests for it are found.
pub(super) fn matcher(
    location: &Directive,
    notes: &mut Notes,
    is_strong: bool,
) -> Option<Vec<(&'static str, String)>> {
    let (modifier, path) = match location.words.as_slice() {
        [path] => ("", path.as_str()),
        [modifier, path] => (modifier.as_str(), path.as_str()),
        _ => ("@", ""),
    };
    let expression = match modifier {
        "~" => path.to_owned(),
        "~*" => format!("(?i){path}"),
        "=" => return Some(vec![("path_exact", words::text(path))]),
        // It goes before expressions, which go before prefixes here: as one of them, it can come first.
        "" | "^~" if path.starts_with('/') && is_strong => {
            let expression = format!("^{}", regex::escape(path));
            return Some(vec![("path_regex", words::text(&expression))]);
        }
        "" | "^~" if path.starts_with('/') => {
            if path == "/" {
                return Some(Vec::new());
            }
            let trimmed = path.trim_end_matches('/');
            if trimmed == path {
                let other = format!("{path}x");
                notes.add(
                    location,
                    format!("a path is taken in whole segments here: {other} is not part of it"),
                );
            }
            return Some(vec![("path", words::text(trimmed))]);
        }
        _ => {
            notes.add(
                location,
                "it is not a path; a named location is converted where `try_files` leads to it",
            );
            return None;
        }
    };
    if let Err(error) = Regex::new(&expression) {
        let told = error.to_string();
        let last = told.lines().last().unwrap_or_default();
        notes.add(location, format!("the expression is none of ours: {last}"));
        return None;
    }
    Some(vec![("path_regex", words::text(&expression))])
}

/// What is done there; the route has no name yet.
pub(super) fn route(
    location: &Directive,
    scope: &Scope<'_>,
    known: &mut Known,
    notes: &mut Notes,
) -> Route {
    let mut route = Route::default();
    for rewrite in location.inside().iter().filter(|it| it.name == "rewrite") {
        self::rewrite(rewrite, &mut route, notes);
    }
    let returned = location.inside().iter().find(|it| it.name == "return");
    if let Some(returned) = returned {
        route.keys.clear();
        self::returned(returned, &mut route, notes);
    } else if !route.has("redirect") {
        let pass = location.inside().iter().find(|it| it.name == "proxy_pass");
        let passed = pass.and_then(|pass| proxied(pass, location, &mut route, known, notes));
        if let Some(upstream) = passed {
            settings::of_proxied(scope, &mut route, &upstream, known, notes);
        } else {
            route.keys.clear();
            route.set("respond", "{ status = 404 }");
            if pass.is_none() {
                notes.add(
                    location,
                    "files are not served here: it is answered with 404",
                );
            }
        }
    }
    settings::added(scope, &mut route.response, notes);
    settings::limit(scope, &mut route, known, notes);
    route
}

/// `return 301 https://…`, `return 404`, `return 200 "text"`.
pub(super) fn returned(directive: &Directive, route: &mut Route, notes: &mut Notes) {
    let (status, text) = match directive.words.as_slice() {
        [url] if url.contains("://") || url.starts_with('/') => (302, url.as_str()),
        [status] => (status.parse().unwrap_or(0), ""),
        [status, text] => (status.parse().unwrap_or(0), text.as_str()),
        _ => (0, ""),
    };
    if matches!(status, 301 | 302 | 303 | 307 | 308) {
        match words::template(text) {
            Ok(to) => {
                let to = words::text(&to);
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
    if text.contains('$') {
        notes.add(
            directive,
            "a body has no variables here: it stands there as it is written",
        );
    }
    let body = match text {
        "" => String::new(),
        text => format!(
            ", body = {}, content_type = \"text/plain\"",
            words::text(text)
        ),
    };
    route.set("respond", format!("{{ status = {status}{body} }}"));
}

/// `rewrite REGEX REPLACEMENT [FLAG]`; of a place without `proxy_pass` it says with `true` whether it redirects.
pub(super) fn rewrite(directive: &Directive, route: &mut Route, notes: &mut Notes) -> bool {
    let (regex, to) = (directive.word(0), directive.word(1));
    let flag = directive.word(2);
    let Ok(template) = words::template(to.trim_end_matches('?')) else {
        notes.add(directive, "has a variable without like here");
        return false;
    };
    if Regex::new(regex).is_err() || route.has("rewrite") || route.has("redirect") {
        notes.add(
            directive,
            "the expression is none of ours, or not the first of its place",
        );
        return false;
    }
    let is_elsewhere = to.contains("://");
    let status = match flag {
        "permanent" => 301,
        "redirect" => 302,
        _ if is_elsewhere => 302,
        _ => {
            if flag != "break" {
                notes.add(directive, "locations are not looked for again afterwards");
            }
            let (regex, to) = (words::text(regex), words::text(&template));
            route.set("rewrite", format!("{{ regex = {regex}, to = {to} }}"));
            return false;
        }
    };
    if !route.matcher.is_empty() {
        notes.add(directive, "is taken for the whole location");
    }
    route.matcher = vec![("path_regex", words::text(regex))];
    let keep = if to.ends_with('?') {
        ""
    } else {
        ", keep_query = true"
    };
    let to = words::text(&template);
    route.set(
        "redirect",
        format!("{{ to = {to}, status = {status}{keep} }}"),
    );
    true
}

/// The authority of the upstream; the route says how the path changes.
fn proxied(
    pass: &Directive,
    location: &Directive,
    route: &mut Route,
    known: &mut Known,
    notes: &mut Notes,
) -> Option<String> {
    let url = pass.word(0);
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    if !matches!(scheme, "http" | "https") || rest.contains('$') || rest.starts_with("unix:") {
        notes.add(
            pass,
            "only http:// and https:// with a fixed host are converted: it is answered with 404",
        );
        return None;
    }
    let (authority, uri) = match rest.find('/') {
        Some(at) => rest.split_at_checked(at).unwrap_or((rest, "")),
        None => (rest, ""),
    };
    if known.find(authority).is_none() {
        known.upstreams.push(Upstream::alone(authority));
    }
    if scheme == "https" {
        let is_alone = !known.is_block(authority);
        notes.add(
            pass,
            "the certificates of endpoints are checked here; see `tls` of upstreams",
        );
        if let Some(upstream) = known.find(authority).filter(|it| !it.has_tls) {
            *upstream = upstream.clone().with_tls(is_alone);
        }
    }
    let upstream = known.find(authority)?;
    if upstream.is_empty() {
        notes.add(
            pass,
            "its upstream has no endpoint left: it is answered with 404",
        );
        return None;
    }
    let name = upstream.name.clone();
    route.set("to", words::text(&name));
    if !uri.is_empty() && !route.has("rewrite") {
        replaced(pass, location, uri, route, notes);
    }
    Some(authority.to_owned())
}

/// The part of the path that the location names becomes the path that `proxy_pass` names.
fn replaced(
    pass: &Directive,
    location: &Directive,
    uri: &str,
    route: &mut Route,
    notes: &mut Notes,
) {
    let path = location.words.last().map_or("/", String::as_str);
    if location.word(0) == "=" {
        route.set(
            "rewrite",
            format!("{{ regex = '^', to = {} }}", words::text(uri)),
        );
        return;
    }
    if path.ends_with('/') && !uri.ends_with('/') {
        // What stands behind the one stands behind the other, as nginx has it.
        let (regex, to) = (format!("^{}(.*)$", regex::escape(path)), format!("{uri}$1"));
        let (regex, to) = (words::text(&regex), words::text(&to));
        route.set("rewrite", format!("{{ regex = {regex}, to = {to} }}"));
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

/// A path that ends with a slash and is proxied: without it nginx redirects there.
pub(super) fn unslashed(place: &Directive, all: &[Directive]) -> Option<Route> {
    let (modifier, path) = match place.words.as_slice() {
        [path] => ("", path.as_str()),
        [modifier, path] => (modifier.as_str(), path.as_str()),
        _ => return None,
    };
    let bare = path
        .strip_suffix('/')
        .filter(|bare| bare.starts_with('/'))?;
    let is_proxied = place.inside().iter().any(|it| it.name == "proxy_pass");
    let has_own = all.iter().any(|it| {
        let is_same = it.words.last().is_some_and(|path| path == bare);
        it.name == "location" && is_same && matches!(it.words.len(), 1 | 2)
    });
    if !is_proxied || has_own || !matches!(modifier, "" | "^~") {
        return None;
    }
    let mut route = Route::default();
    route.matcher.push(("path_exact", words::text(bare)));
    let to = words::text(path);
    route.set(
        "redirect",
        format!("{{ to = {to}, status = 301, keep_query = true }}"),
    );
    Some(route)
}
