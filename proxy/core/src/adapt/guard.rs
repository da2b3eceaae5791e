//! Who may come in: what is not converted whole is shut, never left open.

use regex::bytes::Regex;

use super::Notes;
use super::block::Directive;
use super::route::Route;
use super::scope::Scope;
use super::words;
use crate::config::Prefix;

/// What asks for more than an address.
const ASKING: &[&str] = &[
    "access_by_lua",
    "access_by_lua_block",
    "access_by_lua_file",
    "auth_basic",
    "auth_digest",
    "auth_gss",
    "auth_jwt",
    "auth_ldap",
    "auth_pam",
    "auth_request",
    "internal",
    "limit_except",
];

/// What in an `if` refuses nobody.
const HARMLESS: &[&str] = &[
    "access_log",
    "add_header",
    "expires",
    "limit_rate",
    "proxy_set_header",
    "set",
];

/// Whether the directive decides who comes in.
pub(super) fn is_guard(directive: &Directive) -> bool {
    let name = directive.name.as_str();
    matches!(name, "allow" | "deny") || ASKING.contains(&name) || is_refusing(directive)
}

/// An `if` that may turn somebody away. One that only leads to the same place over TLS does not.
fn is_refusing(directive: &Directive) -> bool {
    let leads_to_tls = |it: &Directive| {
        let to = it.words.last().map_or("", String::as_str);
        let is_same = matches!(
            to,
            "https://$host$request_uri"
                | "https://$server_name$request_uri"
                | "https://$http_host$request_uri"
        );
        it.name == "return" && is_same
    };
    let is_harmless = |it: &Directive| HARMLESS.contains(&it.name.as_str()) || leads_to_tls(it);
    directive.name == "if" && !directive.inside().iter().all(is_harmless)
}

/// Whom a place lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Guard<'a> {
    Open,
    /// Prefixes; everybody else gets 403.
    Clients(Vec<String>),
    /// Exactly nobody.
    Nobody,
    /// Those that these directives choose, which have no like here.
    Unknown(Vec<&'a Directive>),
}

/// The routes that take the place of one: itself, and what those get who may not take it.
pub(super) fn guarded(mut route: Route, scope: &Scope<'_>, notes: &mut Notes) -> Vec<Route> {
    let conditions = scope.every(is_refusing);
    // `return` and redirects answer before anybody is asked who they are, but not before conditions.
    let guard = match conditions.as_slice() {
        // Files are kept from everybody before they are looked for.
        [] if route.has_files && of_place(scope) == Guard::Nobody => Guard::Nobody,
        [] if !route.has("to") => {
            for directive in [asking(scope), addresses(scope)].concat() {
                notes.add(
                    directive,
                    "is not asked where nothing goes on to an upstream",
                );
            }
            Guard::Open
        }
        [] => of_place(scope),
        _ => Guard::Unknown([conditions, asking(scope), addresses(scope)].concat()),
    };
    match guard {
        Guard::Open => vec![route],
        Guard::Nobody => {
            refuse(&mut route, "{ status = 403 }");
            vec![route]
        }
        Guard::Clients(clients) => {
            let mut others = Route {
                matcher: route.matcher.clone(),
                response: route.response.clone(),
                rank: route.rank,
                origin: route.origin.clone(),
                ..Route::default()
            };
            refuse(&mut others, "{ status = 403 }");
            route.matcher.push(("client", words::list(&clients)));
            vec![route, others]
        }
        Guard::Unknown(directives) => {
            shut(&mut route, &directives, notes);
            vec![route]
        }
    }
}

/// Of a location that is not converted: what it kept back would go to another, so at least as much is shut.
pub(super) fn lost(place: &Directive, notes: &mut Notes) -> Option<Route> {
    let is_named = place.word(0).starts_with('@');
    let is_refusal = |it: &Directive| it.name == "return" && it.word(0).starts_with('4');
    let inside = place.inside().iter().filter(|it| it.word(0) != "off");
    let guards: Vec<&Directive> = inside
        .filter(|it| !is_named && (is_guard(it) || is_refusal(it)))
        .collect();
    if guards.is_empty() {
        return None;
    }
    let start = if place.word(0) == "~*" { "(?i)" } else { "" };
    let wider = format!("{start}{}", without_looks(place.words.last()?));
    if Regex::new(&wider).is_err() {
        for directive in guards {
            notes.add(
                directive,
                "WHO MAY COME IN IS NOT CONVERTED: its location is left out, and another takes its requests",
            );
        }
        return None;
    }
    notes.add(
        place,
        format!("it kept requests back: all that `{wider}` finds is answered with 403"),
    );
    let mut route = Route::default();
    route.matcher.push(("path_regex", words::text(&wider)));
    route
        .remarks
        .push(format!("In place of `{}`.", place.shown()));
    shut(&mut route, &guards, notes);
    Some(route)
}

/// An expression that finds at least what this one does, which looks ahead or behind.
fn without_looks(expression: &str) -> String {
    let mut out = String::new();
    let mut rest = expression;
    let starts = ["(?=", "(?!", "(?<=", "(?<!"];
    while let Some(first) = rest.chars().next() {
        let is_look = starts.iter().any(|start| rest.starts_with(start));
        let length = match first {
            '\\' => rest.chars().take(2).map(char::len_utf8).sum(),
            '(' if is_look => group(rest),
            _ => first.len_utf8(),
        };
        let (taken, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        if !is_look {
            out.push_str(taken);
        }
        rest = after;
    }
    out
}

/// How long the group is that a text begins with.
fn group(text: &str) -> usize {
    let (mut depth, mut is_escaped) = (0_usize, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '(' => depth += 1,
            ')' if depth <= 1 => return at + 1,
            ')' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

fn of_place<'a>(scope: &Scope<'a>) -> Guard<'a> {
    let asking = asking(scope);
    let addresses = addresses(scope);
    let is_any = scope.last("satisfy").is_some_and(|it| it.word(0) == "any");
    if !asking.is_empty() || (is_any && !addresses.is_empty()) {
        return Guard::Unknown([asking, addresses].concat());
    }
    match of_addresses(addresses.clone()) {
        // Whom a proxy before this one names is not known here, so all would come from that proxy's address.
        Guard::Clients(_) if scope.last("set_real_ip_from").is_some() => Guard::Unknown(addresses),
        guard @ (Guard::Open | Guard::Clients(_) | Guard::Nobody | Guard::Unknown(_)) => guard,
    }
}

/// The innermost of each that is not switched off.
fn asking<'a>(scope: &Scope<'a>) -> Vec<&'a Directive> {
    let found = ASKING.iter().filter_map(|name| scope.last(name));
    found.filter(|it| it.word(0) != "off").collect()
}

/// The two are one list.
fn addresses<'a>(scope: &Scope<'a>) -> Vec<&'a Directive> {
    scope.innermost(|it| matches!(it.name.as_str(), "allow" | "deny"))
}

/// The first that fits counts, so nothing behind `all` does.
fn of_addresses(rules: Vec<&Directive>) -> Guard<'_> {
    let end = rules.iter().position(|it| it.word(0) == "all");
    let before = rules.iter().take(end.unwrap_or(rules.len()));
    let last = end.and_then(|end| rules.get(end));
    let is_denying = last.is_some_and(|it| it.name == "deny");
    let is_allowing = before.clone().all(|it| it.name == "allow");
    if rules.is_empty() || (is_allowing && last.is_some() && !is_denying) {
        return Guard::Open;
    }
    // Nobody comes over a socket of the file system.
    let clients: Vec<String> = before
        .map(|it| it.word(0).to_owned())
        .filter(|client| client != "unix:")
        .collect();
    let are_prefixes = clients.iter().all(|it| it.parse::<Prefix>().is_ok());
    match (is_allowing && is_denying, clients.is_empty()) {
        (true, true) => Guard::Nobody,
        (true, false) if are_prefixes => Guard::Clients(clients),
        _ => Guard::Unknown(rules),
    }
}

fn refuse(route: &mut Route, answer: &str) {
    route.keys.clear();
    route.request = super::route::Edit::default();
    route.set("respond", answer);
}

/// Answers 403, and says above the route what would have to be there.
fn shut(route: &mut Route, directives: &[&Directive], notes: &mut Notes) {
    let done = ["to", "redirect", "respond"];
    let done = route.keys.iter().find(|(key, _)| done.contains(key));
    let done = done.map_or_else(String::new, |(key, value)| format!("{key} = {value}"));
    for directive in directives {
        route.remarks.push(format!(
            "nginx guarded this by `{}` ({}:{}).",
            directive.shown(),
            directive.file,
            directive.line
        ));
        notes.add(
            directive,
            "WHO MAY COME IN IS NOT CONVERTED: nobody may, it is answered with 403; see `match.client` and `shield`",
        );
    }
    let open = if done.is_empty() {
        String::new()
    } else {
        format!(" Without it this would be: {done}")
    };
    let told = "That is not converted, so nobody comes in.";
    route.remarks.push(format!("{told}{open}"));
    refuse(
        route,
        "{ status = 403, body = \"403: who may come in here is not set up yet\\n\", content_type = \"text/plain\" }",
    );
}
