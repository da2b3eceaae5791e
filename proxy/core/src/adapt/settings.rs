//! What a route inherits from its location and the levels around it.

use super::Notes;
use super::convert::Known;
use super::route::{Edit, Route};
use super::scope::Scope;
use super::words;
use crate::config::has_key;

/// What a route that goes on inherits.
pub(super) fn of_proxied(
    scope: &Scope<'_>,
    route: &mut Route,
    authority: &str,
    known: &mut Known,
    notes: &mut Notes,
) {
    let body = scope.last("client_max_body_size");
    let body = body.map_or(Some("1m".to_owned()), |it| words::size(it.word(0)));
    // 0 is any size, as where nothing is said here.
    if let Some(size) = body.filter(|size| size != "0") {
        route.set("max_body", words::text(&size));
    }
    if let Some(time) = scope.last("proxy_read_timeout") {
        match words::duration(time.word(0)) {
            Some(time) => route.set("response_timeout", words::text(&time)),
            None => notes.add(time, "is no time"),
        }
    }
    if let Some(time) = scope.last("proxy_connect_timeout")
        && let Some(time) = words::duration(time.word(0))
        && let Some(upstream) = known.find(authority)
    {
        upstream.set("connect_timeout", words::text(&time));
    }
    request_fields(scope, &mut route.request, notes);
    cache(scope, route, notes);
    if let Some(gzip) = scope.last("gzip").filter(|it| it.word(0) == "on") {
        if has_key(&["route", "compress"]) {
            route.set("compress", words::list(&["gzip"]));
        } else {
            notes.add(gzip, "responses are not compressed by this version");
        }
    }
}

fn request_fields(scope: &Scope<'_>, edit: &mut Edit, notes: &mut Notes) {
    for field in scope.all("proxy_set_header") {
        let (name, value) = (field.word(0), field.word(1));
        let lower = name.to_ascii_lowercase();
        match (lower.as_str(), value) {
            // As it is in any case.
            ("host", "$host" | "$http_host" | "$server_name")
            | ("connection" | "upgrade" | "te" | "keep-alive", _)
            | ("x-forwarded-for", "$proxy_add_x_forwarded_for" | "$remote_addr")
            | ("x-forwarded-proto", "$scheme")
            | ("x-forwarded-host", "$host" | "$http_host")
            | ("x-request-id", "$request_id") => {}
            (_, "") => edit.remove.push(name.to_owned()),
            ("host", value) if value.contains('$') => {
                notes.add(
                    field,
                    "the endpoint gets the Host that the client asked for",
                );
            }
            _ => match words::template(value) {
                Ok(value) => edit.set.push((name.to_owned(), words::text(&value))),
                Err(variable) => notes.add(field, format!("`{variable}` has no like here")),
            },
        }
    }
}

pub(super) fn added(scope: &Scope<'_>, edit: &mut Edit, notes: &mut Notes) {
    for field in scope.all("add_header") {
        match words::template(field.word(1)) {
            Ok(value) => edit
                .add
                .push((field.word(0).to_owned(), words::text(&value))),
            Err(variable) => notes.add(field, format!("`{variable}` has no like here")),
        }
    }
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
