//! `[[route]]`: which request goes where, and what happens to it on the way.

use std::sync::Arc;
use std::time::Duration;

use regex::bytes::Regex;

use super::error_pages::{self, ErrorPage};
use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Item, Section, Unread};
use super::tree::{Node, Place, Value};
use super::{
    HeaderEdits, Limit, Matcher, Mirror, Redirect, Respond, Rewrite, SplitBy, caching, compress,
    headers, limit, matcher, mirror, redirect, respond, rewrite, split, values,
};
use crate::balance;
use crate::caching::Rule;
use crate::coding;

#[derive(Clone, Debug)]
pub struct Route {
    pub name: Arc<str>,
    /// Under what it goes on over a reload: its name, or what it takes. Its place in the file is another one after the next edit.
    pub lasting: Arc<str>,
    pub matcher: Matcher,
    pub action: Action,
    /// Among the upstreams of a forwarding action.
    pub split_by: SplitBy,
    pub limit: Option<Limit>,
    /// `None`: nothing is stored.
    pub cache: Option<Rule>,
    /// `None`: responses go as they came.
    pub compress: Option<coding::Rule>,
    /// The largest request body; `None`: no limit.
    pub max_body: Option<u64>,
    /// For the whole exchange.
    pub timeout: Option<Duration>,
    /// In place of the upstream's.
    pub response_timeout: Option<Duration>,
    pub headers: HeaderEdits,
    pub strip_prefix: Option<String>,
    pub add_prefix: Option<String>,
    pub rewrite: Option<Rewrite>,
    pub mirror: Option<Mirror>,
    /// What clients read of refusals of this route, before what the listener has for that.
    pub error_pages: Vec<ErrorPage>,
    /// Locations in which an endpoint names itself are as seen from outside.
    pub rewrite_location: bool,
}

#[derive(Clone, Debug)]
pub enum Action {
    /// Never empty; the weights' sum is positive.
    Forward(Vec<Target>),
    Respond(Respond),
    Redirect(Redirect),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Index into `Config::upstreams`.
    pub upstream: usize,
    pub weight: u32,
    /// Of its name, by which clients are split: they stay where they are when others come before it in the file.
    pub name: balance::Key,
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "route",
    doc: "Which request goes where. Host: exact, then the longest wildcard, then any. Inside a host: exact path, then regex in file order, then the longest prefix; of equal ones the one with more conditions, then file order.",
    keys: &[
        Key::optional(
            "name",
            "name",
            "\"api\"",
            "Stands in logs and metrics. Absent: route-N, counted from 1.",
        ),
        Key::default("match", "table", "{}", "What it takes. Absent: everything.")
            .example("{ host = \"www.example.com\", path = \"/api\" }")
            .fields(&matcher::KEYS),
        Key::optional(
            "to",
            "upstream",
            "\"app\"",
            "The upstream, or several with weights: [{ upstream = \"v1\", weight = 95 }, { upstream = \"v2\", weight = 5 }]. A route has exactly one of to, respond and redirect.",
        )
        .fields(&TARGET),
        Key::default(
            "split_by",
            "word",
            "\"client_ip\"",
            "Who sees the same of several upstreams: client_ip (IPv6 by /64), cookie:NAME or header:NAME (without it: by client_ip), or random for each request anew. A changed weight moves no more clients than it has to.",
        ),
        Key::optional(
            "respond",
            "table",
            "{ status = 200, body = \"hello\\n\", content_type = \"text/plain\" }",
            "Answers without an upstream.",
        )
        .fields(&respond::KEYS),
        Key::optional(
            "redirect",
            "table",
            "{ to = \"https://www.example.com/new\", status = 308 }",
            "Sends the client elsewhere.",
        )
        .fields(&redirect::KEYS),
        Key::default("headers", "table", "{}", "Edits of header fields.")
            .example("{ response = { set = { \"X-Frame-Options\" = \"DENY\" } } }")
            .fields(&headers::KEYS),
        Key::optional(
            "strip_prefix",
            "path",
            "\"/api\"",
            "Taken off the path before the request goes on: /api/x becomes /x.",
        ),
        Key::optional(
            "add_prefix",
            "path",
            "\"/v2\"",
            "Put before the path before the request goes on, after strip_prefix: /x becomes /v2/x.",
        ),
        Key::optional(
            "rewrite",
            "table",
            "{ regex = '^/v1/(.*)$', to = \"/api/$1\" }",
            "Another path for the endpoint, in place of strip_prefix and add_prefix.",
        )
        .fields(&rewrite::KEYS),
        Key::optional(
            "mirror",
            "table",
            "{ to = \"app\", percent = 10 }",
            "Copies requests for another upstream, whose answers nobody sees.",
        )
        .fields(&mirror::KEYS),
        Key::default(
            "rewrite_location",
            "boolean",
            "true",
            "A Location in which an endpoint names itself, by its address or by the Host that the route sets, becomes a path on the host that the client asked, with the prefixes put back.",
        ),
        Key::optional(
            "limit",
            "table",
            "{ rate = \"10/min\", burst = 5, key = \"client_ip\" }",
            "How many requests it takes. More are answered with 429 and Retry-After; every answer says in RateLimit fields what is left.",
        )
        .fields(&limit::KEYS),
        Key::optional(
            "cache",
            "table",
            "{ ttl = \"24h\", status = [200], vary = [\"Accept-Encoding\"], stale_while_revalidate = \"1h\" }",
            "Stores responses and answers with them. Every answer says in Cache-Status (RFC 9211) what came of it.",
        )
        .fields(&caching::RULE),
        Key::optional(
            "compress",
            "list of codings or table",
            "[\"br\", \"zstd\", \"gzip\"]",
            "Compresses responses for clients that take it: the codings, best first, or a table that says more. Who can put words into a page that has secrets in it can guess these by its length (BREACH): leave pages out that do both.",
        )
        .fields(&compress::RULE),
        Key::default(
            "max_body",
            "size or \"none\"",
            "\"none\"",
            "The largest request body. A route that answers itself reads none, and goes by the length that is told.",
        )
        .example("\"10m\""),
        Key::optional(
            "timeout",
            "duration",
            "\"10s\"",
            "How long an exchange with an endpoint may take in all, tries and body included; then 504 upstream.timeout. What has become a tunnel has tunnel_timeout instead. Absent: no limit.",
        ),
        Key::optional(
            "response_timeout",
            "duration",
            "\"5m\"",
            "In place of the upstream's.",
        ),
        error_pages::OF_ROUTE,
    ],
    later: &[],
};

pub(super) static TARGET: keys::Section = keys::Section {
    name: "route.to",
    doc: "An upstream with a weight.",
    keys: &[
        Key::required("upstream", "upstream", "\"app\"", "The upstream."),
        Key::default(
            "weight",
            "number",
            "1",
            "Its share of the requests, relative to the others.",
        ),
    ],
    later: &[],
};

/// A route, and where its name stands for the check of duplicates.
pub(super) struct Named {
    pub(super) route: Route,
    pub(super) place: Place,
}

/// `number` counts from 1.
pub(super) fn read(number: usize, section: &Section<'_>, upstreams: &[String]) -> Option<Named> {
    let name = section.optional("name", |node| Ok(values::name(values::string(node)?)?));
    let matcher = section
        .section("match")
        .and_then(|section| matcher::read(&section));
    let groups = matcher.as_ref().and_then(Matcher::path_regex);
    let action = read_action(section, upstreams, groups);
    let split_by = section.value("split_by", split::read);
    let headers = section
        .section("headers")
        .and_then(|section| headers::read(&section));
    let limit = section
        .section("limit")
        .map(|section| limit::read(&section));
    let cache = caching::of_route(section);
    let strip_prefix = section.optional("strip_prefix", rewrite::prefix);
    let add_prefix = section.optional("add_prefix", rewrite::prefix);
    let rewrite = rewrite::of_route(section, groups);
    let compress = compress::of_route(section);
    let mirror = section
        .section("mirror")
        .map(|section| mirror::read(&section, upstreams));
    let rewrite_location = section.value("rewrite_location", values::boolean);
    let max_body = section.value("max_body", max_body);
    let timeout = section.optional("timeout", values::duration);
    let response_timeout = section.optional("response_timeout", values::duration);
    let error_pages = error_pages::read(section);
    let (name, matcher, headers) = (name.ok()?, matcher?, headers?);
    let cache = cache.ok()?.map(|rule| Rule {
        owner: matcher::lasting(name.as_deref(), &(&matcher, &rule.query, &rule.vary)),
        filled: headers.request.filled_by_client(),
        ..rule
    });
    let lasting = matcher::lasting(name.as_deref(), &matcher);
    let name = name.unwrap_or_else(|| format!("route-{number}"));
    Some(Named {
        place: section.place_of("name"),
        route: Route {
            name: Arc::from(name),
            lasting,
            matcher,
            action: action?,
            split_by: split_by?,
            limit: match limit {
                Some(limit) => Some(limit?),
                None if section.has("limit") => return None,
                None => None,
            },
            cache,
            compress: compress.ok()?,
            max_body: max_body?,
            timeout: timeout.ok()?,
            response_timeout: response_timeout.ok()?,
            headers,
            strip_prefix: strip_prefix.ok()?,
            add_prefix: add_prefix.ok()?,
            rewrite: rewrite?,
            rewrite_location: rewrite_location?,
            error_pages: error_pages?,
            mirror: match mirror {
                Some(mirror) => Some(mirror?),
                None if section.has("mirror") => return None,
                None => None,
            },
        },
    })
}

/// `None`: as large as it is.
fn max_body(node: &Node) -> Result<Option<u64>, Unread> {
    match values::string(node) {
        Ok("none") => Ok(None),
        Ok(text) if !text.starts_with(|first: char| first.is_ascii_digit()) => {
            let complaint = Complaint::new(format!("`{text}` is not a size"));
            Err(complaint
                .hint("write a size such as \"10m\", or \"none\"")
                .into())
        }
        Ok(_) | Err(_) => values::size(node).map(Some),
    }
}

fn read_action(
    section: &Section<'_>,
    upstreams: &[String],
    groups: Option<&Regex>,
) -> Option<Action> {
    let forward = section
        .items("to")
        .map(|items| read_targets(section, items, upstreams));
    let respond = section
        .section("respond")
        .map(|section| respond::read(&section));
    let redirect = section
        .section("redirect")
        .map(|section| redirect::read(&section, groups));
    let written: Vec<&str> = ["to", "respond", "redirect"]
        .into_iter()
        .filter(|key| section.has(key))
        .collect();
    match written.as_slice() {
        [] => {
            let hint = "add to = \"UPSTREAM\", respond = { … } or redirect = { … }";
            section.complain("to", Complaint::new("this route does nothing").hint(hint));
        }
        [first, second, ..] => section.reader.conflict(
            section.place_of(first),
            section.place_of(second),
            &section.key_path(second),
            Complaint::new(format!("`{first}` and `{second}` exclude each other"))
                .hint("keep one of them, or write two routes"),
        ),
        [_] => {}
    }
    if let Some(targets) = forward {
        return targets.map(Action::Forward);
    }
    match respond {
        Some(respond) => respond.map(Action::Respond),
        None => redirect?.map(Action::Redirect),
    }
}

pub(super) fn read_targets(
    section: &Section<'_>,
    items: Vec<Item>,
    upstreams: &[String],
) -> Option<Vec<Target>> {
    if items.is_empty() {
        section.complain(
            "to",
            Complaint::new("this list names no upstream").hint("write to = \"UPSTREAM\""),
        );
        return None;
    }
    let read: Vec<Option<Target>> = items
        .into_iter()
        .map(|item| read_target(section, item, upstreams))
        .collect();
    let targets: Vec<Target> = read.into_iter().collect::<Option<_>>()?;
    if targets.iter().all(|target| target.weight == 0) {
        let complaint = Complaint::new("the weights of all upstreams are 0: none would be picked")
            .hint("give one a weight of 1 or more");
        section.complain("to", complaint);
    }
    Some(targets)
}

fn read_target(section: &Section<'_>, item: Item, upstreams: &[String]) -> Option<Target> {
    let find = |node: &Node| find_upstream(values::string(node)?, upstreams);
    if !matches!(item.node.value, Value::Table(_)) {
        let upstream = section.parse(&item.path, &item.node, find)?;
        return Some(target(upstream, 1, upstreams));
    }
    let section = section.item_section("to", item)?;
    let upstream = section.value("upstream", find);
    let weight = section.value("weight", values::count(0, 65_535));
    Some(target(upstream?, weight?, upstreams))
}

fn target(upstream: usize, weight: u32, upstreams: &[String]) -> Target {
    let name = upstreams.get(upstream).map_or("", String::as_str);
    Target {
        upstream,
        weight,
        name: balance::Key::of_bytes(name.as_bytes()),
    }
}

pub(super) fn find_upstream(name: &str, upstreams: &[String]) -> Result<usize, Unread> {
    upstreams
        .iter()
        .position(|upstream| upstream == name)
        .ok_or_else(|| {
            Complaint::new(format!("there is no upstream `{name}`"))
                .or_hint(keys::did_you_mean(
                    name,
                    upstreams.iter().map(String::as_str),
                ))
                .or_hint(Some(if name.contains("://") {
                    format!(
                        "add [upstream.NAME] with endpoints = [\"{name}\"], and write that name"
                    )
                } else {
                    format!("add [upstream.{name}]")
                }))
                .into()
        })
}
