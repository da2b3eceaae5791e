//! The admin API as an `OpenAPI` document, made from its tables: what can be asked stands there, and here only what it means.

use serde_json::{Map, Value, json};

use super::schema;
use super::table::{Route, TABLES};

/// What a call does, and its parameters. A route without words is in the document all the same.
struct Words {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    /// Names, and what they mean; those that must be there end in `!`.
    parameters: &'static [(&'static str, &'static str)],
    answer: Content,
}

#[derive(Clone, Copy)]
enum Content {
    Json,
    /// JSON of the shape of this name.
    Shape(&'static str),
    /// One object a line, for as long as the caller listens.
    Lines,
    Metrics,
}

const fn words(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    parameters: &'static [(&'static str, &'static str)],
) -> Words {
    Words {
        method,
        path,
        summary,
        parameters,
        answer: Content::Json,
    }
}

impl Words {
    const fn answering(mut self, answer: Content) -> Self {
        self.answer = answer;
        self
    }
}

static WORDS: &[Words] = &[
    words("GET", "/status", "What the process is and does.", &[])
        .answering(Content::Shape("Status")),
    words("GET", "/config", "What serves now, by name.", &[]).answering(Content::Shape("Config")),
    words(
        "GET",
        "/top",
        "Everything that is counted, at one time.",
        &[],
    )
    .answering(Content::Shape("Top")),
    words("GET", "/metrics", "The metrics page of Prometheus.", &[]).answering(Content::Metrics),
    words("GET", "/openapi.json", "This document.", &[]).answering(Content::Shape("OpenApi")),
    words(
        "POST",
        "/reload",
        "Takes the configuration anew; 422: it is wrong, 409: it cannot be had now.",
        &[
            (
                "confirm",
                "Goes back after this time unless it is confirmed.",
            ),
            ("spare", "An address: 409 if the shield would drop it then."),
        ],
    ),
    words(
        "POST",
        "/confirm",
        "Keeps the configuration that waits for it.",
        &[],
    ),
    words(
        "POST",
        "/rollback",
        "Goes back to the configuration before.",
        &[],
    ),
    words(
        "POST",
        "/stop",
        "Drains the proxy and ends it.",
        &[("grace", "How long exchanges may go on.")],
    ),
    words(
        "GET",
        "/exchanges/explain",
        "What became of a request that was refused, failed or was slow; 404: nothing is remembered of it.",
        &[("id!", "Its id.")],
    )
    .answering(Content::Shape("Exchange")),
    words(
        "GET",
        "/exchanges/follow",
        "Exchanges as they end.",
        &[
            ("reason", "A code, or its first part."),
            ("listener", "Its name."),
            ("route", "Its name."),
            ("upstream", "Its name."),
            ("host", "As the client wrote it."),
            ("status", "502, 5xx or 400-499."),
            ("client", "An address or a range."),
            ("slow", "At least so long."),
            (
                "errors",
                "Only what was refused, failed or answered with 5xx.",
            ),
        ],
    )
    .answering(Content::Lines),
    words("GET", "/log/level", "How much is said on stderr.", &[])
        .answering(Content::Shape("LogLevel")),
    words(
        "POST",
        "/log/level",
        "Changes that until the next reload.",
        &[("level!", "error, warn, info, debug or trace.")],
    )
    .answering(Content::Shape("LogLevel")),
    words(
        "POST",
        "/log/reopen",
        "Opens the files of the logs anew.",
        &[],
    ),
    words(
        "GET",
        "/limits",
        "Whom the limits of routes refuse.",
        &[
            ("route", "Only this one."),
            ("limit", "How many keys of each."),
        ],
    )
    .answering(Content::Shape("Limits")),
    words(
        "POST",
        "/limits/reset",
        "Lets one who is refused, or all, begin anew.",
        &[("route", "Only on this one."), ("key", "Only this one.")],
    ),
    words(
        "GET",
        "/upstreams",
        "The endpoints of upstreams.",
        &[("upstream", "Only of this one.")],
    )
    .answering(Content::Shape("Upstreams")),
    words(
        "POST",
        "/upstreams/change",
        "Changes an endpoint while the proxy runs.",
        &[
            ("upstream!", "Its upstream."),
            ("endpoint!", "As the configuration has it."),
            ("verb!", "add, del, drain, enable or weight."),
            ("weight", "For add and weight."),
            ("within", "The time to drain."),
            ("zone", "For add: where it stands."),
            ("persist", "Also after a restart."),
        ],
    ),
    words(
        "POST",
        "/upstreams/reset",
        "Forgets what was changed of an upstream's endpoints while the proxy ran.",
        &[("upstream!", "Its name."), ("endpoint", "Only this one.")],
    ),
    words(
        "GET",
        "/routes",
        "The routes, in the order in which they are tried.",
        &[],
    )
    .answering(Content::Shape("Routes")),
    words(
        "POST",
        "/routes/change",
        "Shifts traffic between the upstreams of a route.",
        &[
            ("route!", "Its name."),
            ("weights", "green=100,blue=0"),
            ("switch", "The upstream that gets everything."),
            ("persist", "Also after a restart."),
        ],
    ),
    words(
        "GET",
        "/certificates",
        "The certificates of listeners.",
        &[],
    )
    .answering(Content::Shape("Certificates")),
    words("GET", "/cache", "What the cache holds and saves.", &[])
        .answering(Content::Shape("Cache")),
    words(
        "POST",
        "/cache/purge",
        "Takes things out of the cache; one of `url`, `prefix`, `tag` and `all` says which.",
        &[
            ("url", "One address."),
            ("prefix", "All addresses that begin so."),
            ("tag", "All responses with this tag."),
            ("all", "Everything."),
            ("soft", "1: what goes is stale rather than gone."),
        ],
    ),
    words(
        "POST",
        "/shield",
        "Asks and orders the shield: the body is an object whose `verb` says what.",
        &[],
    ),
    words(
        "GET",
        "/shield/drops",
        "Dropped packets as they come, a sample.",
        &[],
    )
    .answering(Content::Lines),
    words(
        "GET",
        "/shield/watch/{kind}",
        "What comes to the `block` or `allow` lists and goes from them.",
        &[],
    )
    .answering(Content::Lines),
];

/// The whole document.
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for route in TABLES.iter().flat_map(|table| table.iter()) {
        let path = templated(route);
        let methods = paths.entry(path.clone()).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            methods.insert(route.method.to_ascii_lowercase(), operation(route, &path));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "OpenClaw admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "JSON over HTTP on the Unix socket `admin.socket`. Who may open the socket may do everything.",
        },
        "servers": [{ "url": "http://openclaw", "description": "the Unix socket; the host does not matter" }],
        "paths": paths,
        "components": { "schemas": schema::schemas() },
    })
}

/// A path that takes everything below has a parameter there.
fn templated(route: &Route) -> String {
    match route.path.strip_suffix('/') {
        Some(start) => format!("{start}/{{kind}}"),
        None => route.path.to_owned(),
    }
}

fn operation(route: &Route, path: &str) -> Value {
    let mut known = WORDS.iter();
    let words = known.find(|words| words.method == route.method && words.path == path);
    let answer = words.map_or(Content::Json, |words| words.answer);
    let content = match answer {
        Content::Json => json!({ "application/json": {} }),
        Content::Shape(name) => {
            json!({ "application/json": { "schema": schema::reference(name) } })
        }
        Content::Lines => json!({ "application/x-ndjson": {} }),
        Content::Metrics => json!({ "text/plain": {} }),
    };
    let id: String = format!("{}{path}", route.method.to_ascii_lowercase())
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '_'
            }
        })
        .collect();
    let name = format!("{} {path}", route.method);
    let mut operation = json!({
        "operationId": id.trim_end_matches('_'),
        "summary": words.map_or(&*name, |words| words.summary),
        "parameters": parameters(words, path),
        "responses": {
            "200": { "description": "done", "content": content },
            "default": {
                "description": "the answer is no, and why",
                "content": { "application/json": { "schema": schema::reference("Error") } },
            },
        },
    });
    if route.method == "POST"
        && route.path == "/shield"
        && let Some(operation) = operation.as_object_mut()
    {
        let body = json!({ "required": true, "content": { "application/json": { "schema": { "type": "object" } } } });
        operation.insert("requestBody".into(), body);
    }
    operation
}

fn parameters(words: Option<&Words>, path: &str) -> Vec<Value> {
    let text = json!({ "type": "string" });
    let in_path = path.ends_with("{kind}").then(|| {
        json!({ "name": "kind", "in": "path", "required": true, "schema": text, "description": "block or allow" })
    });
    let in_query = words.map_or(&[][..], |words| words.parameters).iter();
    let in_query = in_query.map(|(name, description)| {
        let is_required = name.ends_with('!');
        let name = name.trim_end_matches('!');
        json!({ "name": name, "in": "query", "required": is_required, "schema": text, "description": description })
    });
    in_path.into_iter().chain(in_query).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn every_route_is_in_the_document_and_every_word_is_about_a_route() {
        let document = document();
        let paths = document["paths"].as_object();
        let routes: Vec<&Route> = TABLES.iter().flat_map(|table| table.iter()).collect();
        let mut ids = Vec::new();
        for route in &routes {
            let operation = &document["paths"][templated(route)][route.method.to_ascii_lowercase()];
            assert!(
                operation["summary"].is_string(),
                "{} {}",
                route.method,
                route.path
            );
            ids.push(operation["operationId"].clone());
        }
        let operations = paths
            .into_iter()
            .flat_map(Map::values)
            .filter_map(Value::as_object);
        assert_eq!(operations.map(Map::len).sum::<usize>(), routes.len());
        ids.sort_by_key(Value::to_string);
        ids.dedup();
        assert_eq!(ids.len(), routes.len(), "ids are unique");
        for words in WORDS {
            let known = routes
                .iter()
                .any(|route| route.method == words.method && templated(route) == words.path);
            assert!(known, "there is no {} {}", words.method, words.path);
        }
    }
}
