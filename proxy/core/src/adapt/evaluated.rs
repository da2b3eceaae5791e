//! `proxy_pass` with variables: what stands behind the host is all that the endpoint is asked for.

use regex::bytes::Regex;

use super::block::Directive;
use super::route::Route;
use super::words::{self, Given};
use super::{Notes, location, turn};

/// What ends an URL that has the query of the request.
const QUERIES: &[&str] = &[
    "$is_args$args",
    "$is_args$query_string",
    "?$args",
    "?$query_string",
    "&$args",
    "&$query_string",
];

/// Where authority and URI meet in what follows the scheme. `None`: a variable is part of the authority.
pub(super) fn split(rest: &str) -> Option<(&str, &str)> {
    let at = rest.find(['/', '?', '$']).unwrap_or(rest.len());
    let (authority, uri) = rest.split_at_checked(at)?;
    // Of the others it is not known whether they begin with a slash.
    let is_path = |name: &str| {
        let name = name.trim_start_matches('{');
        let starts = ["request_uri", "uri", "document_uri"];
        starts.iter().any(|start| name.starts_with(start))
            || name.starts_with(|first: char| first.is_ascii_digit())
    };
    let is_known = uri.strip_prefix('$').is_none_or(is_path);
    (is_known && !authority.is_empty()).then_some((authority, uri))
}

/// Makes the target of it. `None`: there is no like, and it is told.
pub(super) fn target(
    pass: &Directive,
    place: &Directive,
    uri: &str,
    route: &mut Route,
    server_name: String,
    notes: &mut Notes,
) -> Option<()> {
    let uri = uri.replace("${request_uri}", "$request_uri");
    let rewrite = turn::rewriting(place).filter(|_| route.has("rewrite"));
    if let Some(start) = uri
        .strip_suffix("$request_uri")
        .filter(|it| !it.contains('$'))
    {
        // As it came, whatever was done to it.
        route.keys.retain(|(key, _)| *key != "rewrite");
        if let Some(rewrite) = rewrite {
            notes.add(
                rewrite,
                "changes nothing, as `$request_uri` is what the client asked for",
            );
        }
        return as_it_came(pass, start, route, notes);
    }
    let kept = QUERIES.iter().find_map(|query| uri.strip_suffix(query));
    let main = kept.unwrap_or(&uri);
    if rewrite.is_some() && matches!(main, "$uri" | "$document_uri") {
        told_of_query(pass, kept.is_some(), notes);
        return Some(());
    }
    let lost = |notes: &mut Notes, why: &str| {
        notes.add(pass, format!("{why}: it is answered with 404"));
        None
    };
    if main.contains("$request_uri") || (rewrite.is_some() && main.contains("uri")) {
        return lost(notes, "has a path that is written in parts");
    }
    let expression = match rewrite {
        Some(rewrite) => Some(rewrite.word(0).to_owned()),
        None => location::expression(place),
    };
    let Some((expression, main)) = slashed(expression, main) else {
        return lost(notes, "its path may begin without a slash");
    };
    let given = Given::of(server_name, Regex::new(&expression).ok().as_ref());
    let to = match words::template(&main, &given) {
        Ok(to) => words::path(&to),
        Err(variable) => return lost(notes, &format!("`{variable}` has no like here")),
    };
    if let Some(rewrite) = rewrite.filter(|it| !turn::is_always(it.word(0), place)) {
        notes.add(
            rewrite,
            "a path in which its expression finds nothing goes as it came; nginx asks for what `proxy_pass` says then, too",
        );
    }
    told_of_query(pass, kept.is_some(), notes);
    route.keys.retain(|(key, _)| *key != "rewrite");
    let (regex, to) = (words::text(&expression), words::text(&to));
    route.set("rewrite", format!("{{ regex = {regex}, to = {to} }}"));
    Some(())
}

/// Behind what `$request_uri` stands for.
fn as_it_came(pass: &Directive, start: &str, route: &mut Route, notes: &mut Notes) -> Option<()> {
    let prefix = start.trim_end_matches('/');
    if prefix != start {
        notes.add(
            pass,
            "nginx doubles the slash before `$request_uri`, here there is one",
        );
    }
    if !prefix.is_empty() {
        if prefix.contains('?') {
            notes.add(pass, "its path would be a query: it is answered with 404");
            return None;
        }
        route.set("add_prefix", words::text(&words::path(prefix)));
    }
    Some(())
}

fn told_of_query(pass: &Directive, is_kept: bool, notes: &mut Notes) {
    if !is_kept {
        notes.add(
            pass,
            "the query of the request goes along here; nginx has it only where `$is_args$args` stands at the end",
        );
    }
}

/// The same path with a slash at its start, and the expression that it takes groups of.
fn slashed(expression: Option<String>, main: &str) -> Option<(String, String)> {
    for whole in ["$uri", "$document_uri"] {
        if let Some(rest) = main.strip_prefix(whole) {
            let is_plain = !rest.contains('$')
                && !rest.starts_with(|it: char| it.is_ascii_alphanumeric() || it == '_');
            return is_plain.then(|| ("^/(.*)$".to_owned(), format!("/$1{rest}")));
        }
    }
    let Some(rest) = main.strip_prefix('$') else {
        return Some((
            expression.unwrap_or_else(|| "^".to_owned()),
            main.to_owned(),
        ));
    };
    // The first group begins with the slash: it goes before it.
    let expression = expression?;
    let (before, inside) = expression.split_once('(')?;
    let inside = inside.strip_prefix('/')?;
    let (group, after) = inside.split_once(')')?;
    let is_plain = !group.contains(['(', '|', '['])
        && !group.starts_with(['*', '+', '?', '{'])
        && !before.ends_with('\\')
        && !after.starts_with(['*', '+', '?', '{']);
    let after_one = rest.strip_prefix('1');
    let is_first = after_one.is_some_and(|it| !it.starts_with(|it: char| it.is_ascii_digit()));
    (is_plain && is_first).then(|| (format!("{before}/({group}){after}"), format!("/{main}")))
}
