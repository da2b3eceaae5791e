//! What the admin API says of its answers, held against them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::control::{address, fetch};
use crate::support::{Origin, Proxy, curl, free_port};

/// What is no part of any answer here: no program is attached, and every id is another one.
const NOT_HERE: [&str; 6] = [
    "Exchange.earlier",
    "Top.stages.bytes",
    "Top.stages.interface",
    "Top.stages.packets",
    "Top.stages.reason",
    "Top.stages.verdict",
];

/// The schemas of the document, and which of their keys answers had.
struct Schemas<'a> {
    document: &'a Value,
    seen: BTreeSet<String>,
}

impl Schemas<'_> {
    /// Follows references: the schema, and what it is called.
    fn resolve<'a>(&'a self, schema: &'a Value, called: &str) -> (&'a Value, String) {
        let Some(reference) = schema["$ref"].as_str() else {
            return (schema, called.to_owned());
        };
        let found = self.document.pointer(reference.trim_start_matches('#'));
        let found = found.unwrap_or_else(|| panic!("{called}: there is no {reference}"));
        (found, reference.rsplit('/').next().unwrap().to_owned())
    }

    fn hold(&mut self, schema: &Value, value: &Value, called: &str) {
        let (schema, called) = self.resolve(schema, called);
        let schema = schema.clone();
        let kind = &schema["type"];
        let one = kind.is_string().then(|| kind.clone());
        let several = kind.as_array().cloned();
        let kinds = several.unwrap_or_else(|| one.into_iter().collect());
        let fits = kinds.is_empty() || kinds.iter().any(|kind| is_a(value, kind));
        assert!(fits, "{called}: {value} is none of {kinds:?}");
        if let Some(words) = schema["enum"].as_array() {
            assert!(words.contains(value), "{called}: {value} in {words:?}");
        }
        for item in value.as_array().into_iter().flatten() {
            self.hold(&schema["items"], item, &called);
        }
        let Some(object) = value.as_object() else {
            return;
        };
        for required in schema["required"].as_array().into_iter().flatten() {
            let required = required.as_str().unwrap();
            assert!(object.contains_key(required), "{called}.{required}");
        }
        for (key, value) in object {
            let known = schema["properties"].get(key);
            let called = format!("{called}.{key}");
            if let Some(known) = known {
                self.seen.insert(called.clone());
                self.hold(known, value, &called);
            } else if let Some(any) = schema.get("additionalProperties") {
                self.hold(any, value, &called);
            } else {
                let is_open = schema.get("properties").is_none();
                assert!(is_open, "{called} is in no schema");
            }
        }
    }

    /// The keys that a schema has.
    fn keys(&self, schema: &Value, called: &str, keys: &mut BTreeSet<String>) {
        let (schema, called) = self.resolve(schema, called);
        if let Some(items) = schema.get("items") {
            self.keys(items, &called, keys);
        }
        for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
            let called = format!("{called}.{key}");
            if keys.insert(called.clone()) {
                self.keys(schema, &called, keys);
            }
        }
    }
}

fn is_a(value: &Value, kind: &Value) -> bool {
    match kind.as_str().expect("a type is a word") {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        kind => panic!("there is no type {kind}"),
    }
}

/// Something of everything that is told.
fn everything(origin: &Origin) -> String {
    let (here, closed) = (origin.address(), free_port());
    let port = here.port();
    format!(
        r#"[server]
state_dir = "state"
[cache]
memory = "1m"
disk = {{ path = "cache", max = "10m" }}
[listener.web]
bind = ["127.0.0.1:0"]
[listener.secure]
bind = ["127.0.0.1:0"]
tls = {{ self_signed = ["a.test"] }}
[upstream.app]
endpoints = ["{here}", "127.0.0.1:{closed}"]
[upstream.named]
endpoints = ["localhost:{port}"]
[upstream.gone]
endpoints = ["127.0.0.1:{closed}"]
[[route]]
name = "few"
match = {{ path_exact = "/few", method = ["GET"], client = ["127.0.0.0/8"] }}
limit = {{ rate = "1/h", burst = 1 }}
respond = {{ body = "few" }}
[[route]]
name = "old"
match = {{ path_regex = "^/old", header = {{ x-old = "1" }}, cookie = {{ old = true }}, query = {{ old = false }} }}
redirect = {{ to = "https://a.test/new", status = 308 }}
[[route]]
name = "gone"
match = {{ host = "127.0.0.1", path = "/gone" }}
to = "gone"
[[route]]
name = "all"
cache = {{ ttl = "1m" }}
to = [{{ upstream = "app", weight = 9 }}, {{ upstream = "named", weight = 1 }}]
"#
    )
}

#[test]
fn every_answer_of_the_admin_api_is_as_its_schema_says() {
    let origin = Origin::serving("x");
    let proxy = Proxy::start(&everything(&origin));
    // First of all: limits and what was changed begin anew with it.
    proxy.cli(&["reload", "--confirm", "1h"]).ok();
    let web = address(&proxy, "web");
    fetch(web);
    for _ in 0..4 {
        curl(&[&format!("http://{web}/few")]).ok();
    }
    let failed = curl(&["-i", &format!("http://{web}/gone")]).ok().text();
    let mut lines = failed.lines();
    let id = lines.find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("x-request-id").then_some(value)
    });
    let id = id.expect("an answer has an id").trim();
    let here = origin.address().to_string();
    proxy.cli(&["upstream", "del", "app", &here]).ok();

    let socket = proxy.socket().to_str().expect("a path of ours");
    let ask = |path: &str| -> Value {
        let url = format!("http://openclaw{path}");
        let text = curl(&["--fail-with-body", "--unix-socket", socket, &url]);
        serde_json::from_slice(&text.ok().stdout).expect("it is JSON")
    };
    let document = ask("/openapi.json");
    let mut schemas = Schemas {
        document: &document,
        seen: BTreeSet::new(),
    };
    let mut keys = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().expect("there are paths") {
        let content = &operations["get"]["responses"]["200"]["content"];
        let Some(content) = content.get("application/json") else {
            continue;
        };
        let schema = &content["schema"];
        assert!(schema.is_object(), "{path} has no schema");
        let query = match &**path {
            "/exchanges/explain" => format!("?id={id}"),
            _ => String::new(),
        };
        schemas.hold(schema, &ask(&format!("{path}{query}")), path);
        schemas.keys(schema, path, &mut keys);
    }
    let unseen: Vec<&String> = keys.difference(&schemas.seen).collect();
    assert_eq!(unseen, NOT_HERE, "keys that no answer has");
}
