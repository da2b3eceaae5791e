//! `[[route]]`: which request goes where, and what happens to it on the way.

use std::sync::Arc;

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Item, Section, Unread};
use super::tree::{Node, Place, Value};
use super::{HeaderEdits, Limit, Matcher, Respond, headers, limit, matcher, respond, values};

#[derive(Clone, Debug)]
pub struct Route {
    pub name: Arc<str>,
    pub matcher: Matcher,
    pub action: Action,
    pub limit: Option<Limit>,
    /// The largest request body; `None`: no limit.
    pub max_body: Option<u64>,
    pub headers: HeaderEdits,
    pub strip_prefix: Option<String>,
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
}

#[derive(Clone, Debug)]
pub struct Redirect {
    pub to: String,
    pub status: u16,
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
        .fields(&REDIRECT),
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
            "limit",
            "table",
            "{ rate = \"10/min\", burst = 5, key = \"client_ip\" }",
            "How many requests it takes. More are answered with 429 and Retry-After; every answer says in RateLimit fields what is left.",
        )
        .fields(&limit::KEYS),
        Key::default(
            "max_body",
            "size or \"none\"",
            "\"none\"",
            "The largest request body.",
        )
        .example("\"10m\""),
    ],
    later: &[
        ("cache", "caching (`cache`)"),
        ("compress", "compression (`compress`)"),
    ],
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

static REDIRECT: keys::Section = keys::Section {
    name: "route.redirect",
    doc: "Where the client is sent.",
    keys: &[
        Key::required(
            "to",
            "URL",
            "\"https://www.example.com/new\"",
            "An absolute URL, or a path on the same host.",
        ),
        Key::default("status", "number", "307", "301, 302, 303, 307 or 308."),
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
    let action = read_action(section, upstreams);
    let headers = section
        .section("headers")
        .and_then(|section| headers::read(&section));
    let limit = section
        .section("limit")
        .map(|section| limit::read(&section));
    let strip_prefix = section.optional("strip_prefix", strip_prefix);
    let max_body = section.value("max_body", |node| match values::string(node) {
        Ok("none") => Ok(None),
        Ok(_) | Err(_) => values::size(node).map(Some),
    });
    let name = name.ok()?.unwrap_or_else(|| format!("route-{number}"));
    Some(Named {
        place: section.place_of("name"),
        route: Route {
            name: Arc::from(name),
            matcher: matcher?,
            action: action?,
            limit: match limit {
                Some(limit) => Some(limit?),
                None if section.has("limit") => return None,
                None => None,
            },
            max_body: max_body?,
            headers: headers?,
            strip_prefix: strip_prefix.ok()?,
        },
    })
}

fn read_action(section: &Section<'_>, upstreams: &[String]) -> Option<Action> {
    let forward = section
        .items("to")
        .map(|items| read_targets(section, items, upstreams));
    let respond = section
        .section("respond")
        .map(|section| respond::read(&section));
    let redirect = section
        .section("redirect")
        .map(|section| read_redirect(&section));
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
            Complaint::new(format!("`{first}` and `{second}` exclude each other")),
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
        section.complain("to", Complaint::new("this list names no upstream"));
        return None;
    }
    let read: Vec<Option<Target>> = items
        .into_iter()
        .map(|item| read_target(section, item, upstreams))
        .collect();
    let targets: Vec<Target> = read.into_iter().collect::<Option<_>>()?;
    if targets.iter().all(|target| target.weight == 0) {
        let complaint = Complaint::new("the weights of all upstreams are 0: none would be picked");
        section.complain("to", complaint);
    }
    Some(targets)
}

fn read_target(section: &Section<'_>, item: Item, upstreams: &[String]) -> Option<Target> {
    let find = |node: &Node| find_upstream(values::string(node)?, upstreams);
    if !matches!(item.node.value, Value::Table(_)) {
        let upstream = section.parse(&item.path, &item.node, find)?;
        return Some(Target {
            upstream,
            weight: 1,
        });
    }
    let section = section.item_section("to", item)?;
    let upstream = section.value("upstream", find);
    let weight = section.value("weight", values::count(0, 65_535));
    Some(Target {
        upstream: upstream?,
        weight: weight?,
    })
}

pub(super) fn find_upstream(name: &str, upstreams: &[String]) -> Result<usize, Unread> {
    upstreams
        .iter()
        .position(|upstream| upstream == name)
        .ok_or_else(|| {
            Complaint::new(format!("there is no upstream `{name}`"))
                .hint(format!("add [upstream.{name}]"))
                .maybe_hint(keys::did_you_mean(
                    name,
                    upstreams.iter().map(String::as_str),
                ))
                .into()
        })
}

fn read_redirect(section: &Section<'_>) -> Option<Redirect> {
    let to = section.value("to", |node| {
        let to = values::text(node)?;
        let absolute = ["http://", "https://", "/"];
        let valid = to.bytes().all(|byte| byte > b' ' && byte < 0x7f);
        if !valid || !absolute.iter().any(|start| to.starts_with(start)) {
            return Err(Complaint::new(format!("`{to}` is not a URL"))
                .hint("write \"https://host/path\" or \"/path\"")
                .into());
        }
        Ok(to)
    });
    let status = section.value("status", |node| {
        let status = values::integer(i64::MIN, i64::MAX)(node)?;
        [301_u16, 302, 303, 307, 308]
            .into_iter()
            .find(|redirect| i64::from(*redirect) == status)
            .ok_or_else(|| {
                Complaint::new(format!("{status} does not redirect"))
                    .hint("write 301, 302, 303, 307 or 308")
                    .into()
            })
    });
    Some(Redirect {
        to: to?,
        status: status?,
    })
}

fn strip_prefix(node: &Node) -> Result<String, Unread> {
    let path = matcher::path(node)?;
    match path.trim_end_matches('/') {
        "" => Err(Complaint::new("there is nothing to strip").into()),
        trimmed => Ok(trimmed.to_owned()),
    }
}
