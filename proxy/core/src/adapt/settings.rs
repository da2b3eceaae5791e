//! What a route inherits from its location and the levels around it.

use super::Notes;
use super::convert::Known;
use super::pass::Passed;
use super::route::{Edit, Route};
use super::scope::Scope;
use super::words::{self, Given};
use crate::config::has_key;

/// What nginx waits for an endpoint where nothing is said.
const PATIENCE: &str = "60s";

/// What a route that goes on inherits.
pub(super) fn of_proxied(
    scope: &Scope<'_>,
    route: &mut Route,
    passed: &Passed,
    known: &mut Known,
    notes: &mut Notes,
) {
    let body = scope.last("client_max_body_size");
    let body = body.map_or(Some("1m".to_owned()), |it| words::size(it.word(0)));
    // 0 is any size, as where nothing is said here.
    if let Some(size) = body.filter(|size| size != "0") {
        route.set("max_body", words::text(&size));
    }
    let mut time = |name: &str| {
        let directive = scope.last(name)?;
        let time = words::duration(directive.word(0));
        if time.is_none() {
            notes.add(directive, "is no time: nginx's own counts, of 60 s");
        }
        time.map(|time| (directive, time))
    };
    let (read, connect) = (time("proxy_read_timeout"), time("proxy_connect_timeout"));
    let read = read.map_or_else(|| PATIENCE.to_owned(), |(_, time)| time);
    route.set("response_timeout", words::text(&read));
    if let Some(upstream) = known.find(&passed.upstream) {
        let time = connect.as_ref().map_or(PATIENCE, |(_, time)| time);
        let is_first = upstream.set("connect_timeout", words::text(time));
        if let (false, Some((directive, _))) = (is_first, connect) {
            notes.add(
                directive,
                "an upstream has one `connect_timeout`, and another location has set it",
            );
        }
    }
    request_fields(scope, &mut route.request, passed, notes);
    if let Some(places) = scope.last("proxy_redirect") {
        match places.word(0) {
            "off" => route.set("rewrite_location", "false"),
            "default" => {}
            _ => notes.add(
                places,
                "a Location in which the endpoint names itself becomes a path on the host that was asked, and no other does",
            ),
        }
    }
    cache(scope, route, notes);
    if let Some(gzip) = scope.last("gzip").filter(|it| it.word(0) == "on") {
        if has_key(&["route", "compress"]) {
            route.set("compress", words::list(&["gzip"]));
        } else {
            notes.add(gzip, "responses are not compressed by this version");
        }
    }
}

fn request_fields(scope: &Scope<'_>, edit: &mut Edit, passed: &Passed, notes: &mut Notes) {
    let fields = scope.all("proxy_set_header");
    let own = || {
        let host = words::literal(&passed.host);
        ("Host".to_owned(), words::text(&host))
    };
    if !fields
        .iter()
        .any(|it| it.word(0).eq_ignore_ascii_case("host"))
    {
        edit.set.push(own());
    }
    let given = Given::without_groups(scope.server_name());
    for field in fields {
        let (name, value) = (field.word(0), field.word(1));
        let lower = name.to_ascii_lowercase();
        match (lower.as_str(), value) {
            ("host", "$proxy_host") => edit.set.push(own()),
            // As it is in any case.
            ("host" | "x-forwarded-host", "$host" | "$http_host")
            | ("connection" | "upgrade" | "te" | "keep-alive", _)
            | ("x-forwarded-for", "$proxy_add_x_forwarded_for" | "$remote_addr")
            | ("x-forwarded-proto", "$scheme")
            | ("x-request-id", "$request_id") => {}
            ("host", "") => notes.add(field, "a request has a Host: the client's goes on"),
            (_, "") => edit.remove.push(name.to_owned()),
            ("host", value) if value.contains('$') && value != "$server_name" => {
                notes.add(
                    field,
                    "the endpoint gets the Host that the client asked for",
                );
            }
            _ => match words::template(value, &given) {
                Ok(value) => edit.set.push((name.to_owned(), words::text(&value))),
                Err(variable) => notes.add(field, format!("`{variable}` has no like here")),
            },
        }
    }
}

pub(super) fn added(scope: &Scope<'_>, route: &mut Route, notes: &mut Notes) {
    let given = Given::without_groups(scope.server_name());
    let is_plain = route.answer().is_none_or(is_decorated);
    let edit = &mut route.response;
    for field in scope.all("add_header") {
        if !is_plain && field.word(2) != "always" {
            continue;
        }
        let why = if field.word(2) == "always" {
            "refusals by the proxy itself, such as 413, 429 and 504, do not have it"
        } else {
            "every answer of an endpoint has it, whatever its status"
        };
        notes.add(field, why);
        match words::template(field.word(1), &given) {
            Ok(value) => edit
                .add
                .push((field.word(0).to_owned(), words::text(&value))),
            Err(variable) => notes.add(field, format!("`{variable}` has no like here")),
        }
    }
}

/// Whether nginx gives an answer its fields unless told `always`.
fn is_decorated(status: u16) -> bool {
    matches!(status, 200 | 201 | 204 | 206 | 301..=304 | 307 | 308)
}

fn cache(scope: &Scope<'_>, route: &mut Route, notes: &mut Notes) {
    let zone = scope.last("proxy_cache");
    if zone.is_none_or(|zone| zone.word(0) == "off") {
        return;
    }
    let valid = scope.all("proxy_cache_valid");
    let mut keys = Vec::new();
    if let Some((first, more)) = valid.split_first() {
        let (time, statuses) = first.words.split_last().unzip();
        let time = time.and_then(|time| words::duration(time));
        let statuses: Vec<&str> = statuses
            .map_or(&[][..], |it| it)
            .iter()
            .map(String::as_str)
            .collect();
        if let Some(time) = time {
            keys.push(format!("ttl = {}", words::text(&time)));
            notes.add(
                first,
                "counts here also where the endpoint says by Cache-Control or Expires that it may be kept for less; leave `ttl` out to go by the endpoint alone",
            );
        }
        let is_number = |status: &&str| status.parse::<u16>().is_ok();
        match statuses.as_slice() {
            [] => keys.push("status = [200, 301, 302]".to_owned()),
            ["any"] => {}
            some if some.iter().all(is_number) => {
                keys.push(format!("status = [{}]", some.join(", ")));
            }
            _ => notes.add(first, "has a status that is none"),
        }
        for other in more {
            notes.add(
                other,
                "a route has one lifetime: that of the first `proxy_cache_valid`",
            );
        }
    }
    if let Some(key) = scope.last("proxy_cache_key") {
        notes.add(key, "the key is method, host, path and query here");
    }
    if let Some(stale) = scope
        .last("proxy_cache_use_stale")
        .filter(|it| it.word(0) != "off")
    {
        notes.add(stale, "taken as `stale_if_error` of an hour");
        keys.push("stale_if_error = \"1h\"".to_owned());
    }
    match keys.as_slice() {
        [] => route.set("cache", "{}"),
        keys => route.set("cache", format!("{{ {} }}", keys.join(", "))),
    }
}

pub(super) fn limit(scope: &Scope<'_>, route: &mut Route, known: &Known, notes: &mut Notes) {
    let mut limits = scope.all("limit_req").into_iter();
    let Some(limit) = limits.next() else { return };
    for other in limits {
        notes.add(other, "a route has one limit");
    }
    let value = |key: &str| {
        let mut words = limit.words.iter();
        words.find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    };
    let zone = value("zone").and_then(|zone| known.zones.get(zone));
    let Some((rate, key)) = zone else {
        notes.add(
            limit,
            "its zone is not known, or counts by what has no like here",
        );
        return;
    };
    let burst = value("burst").and_then(|burst| burst.parse::<u32>().ok());
    if burst.is_some() && !limit.words.iter().any(|word| word == "nodelay") {
        notes.add(limit, "requests are refused here, none are delayed");
    }
    let (rate, key, burst) = (words::text(rate), words::text(key), burst.unwrap_or(0));
    route.set(
        "limit",
        format!("{{ rate = {rate}, burst = {burst}, key = {key} }}"),
    );
}
