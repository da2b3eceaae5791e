//! What is a difference between two configurations, and what is not.

use crate::assay::{Difference, Kind, Open, Side, World, difference};
use crate::config::{Loaded, NoFiles, Source, load};

const OLD: &str = r#"
[listener.web]
bind = "0.0.0.0:80"
header_timeout = "60s"

[shield]
block = ["203.0.113.0/24"]

[upstream.app]
endpoints = ["10.0.0.1:80", { address = "10.0.0.2:80", weight = 3 }]

[upstream.next]
endpoints = "10.0.0.3:80"

[[route]]
name = "api"
match = { path = "/api" }
to = "app"

[[route]]
name = "first"
match = { path_regex = "^/y" }
to = "app"

[[route]]
name = "second"
match = { path_regex = "^/z" }
to = "app"

[[route]]
match = { path = "/unnamed" }
to = "app"

[[test]]
request = "GET http://a.test/api/x"
expect = { route = "api" }
"#;

fn loaded(text: &str) -> Loaded {
    let source = Source {
        name: "test.toml",
        text,
        files: &NoFiles,
        variable: &|_| None,
    };
    load(&source).unwrap_or_else(|told| panic!("{told}"))
}

fn between(old: &str, new: &str) -> Difference {
    let (old, new) = (loaded(old), loaded(new));
    let worlds = [&old.config, &new.config].map(|config| World::new(config, &Open));
    let (one, other) = (old.places.plain(), new.places.plain());
    let side = |world, plain| Side { world, plain };
    difference(side(&worlds[0], &one), side(&worlds[1], &other))
}

/// What a replacement in the text changes: sentences, signs before what is new or gone.
fn check(from: &str, to: &str, expected: &[&str]) -> Difference {
    assert!(OLD.contains(from), "{from}");
    let found = between(OLD, &OLD.replace(from, to));
    let mut told = Vec::new();
    for change in &found.changes {
        match change.kind {
            Kind::Added => told.push(format!("+ {}", change.what)),
            Kind::Removed => told.push(format!("- {}", change.what)),
            Kind::Changed => {
                told.extend(
                    change
                        .keys
                        .iter()
                        .map(|key| format!("{}.{key}", change.what)),
                );
            }
        }
    }
    assert_eq!(told, expected, "{from} -> {to}");
    found
}

#[test]
fn how_it_is_written_is_no_difference() {
    let same = |from: &str, to: &str| {
        let found = check(from, to, &[]);
        assert!(found.is_empty(), "{found:?}");
    };
    same("\"60s\"", "\"1m\"");
    same("\"0.0.0.0:80\"", "[\"0.0.0.0:80\"]");
    same(
        "\"10.0.0.1:80\"",
        "{ address = \"10.0.0.1:80\", weight = 1 }",
    );
    same("to = \"app\"", "to = [{ upstream = \"app\" }]");
    same("[shield]", "[shield]\nmode = \"auto\" # the default");
    same("[upstream.app]", "[server]\n[upstream.app]");
    same(
        "match = { path = \"/api\" }",
        "match = { path = \"/api\", method = [] }",
    );
    // Where nothing is asked in an order, there is none.
    let found = between(OLD, &swapped("api", "first"));
    assert!(found.is_empty(), "{found:?}");
}

/// With two routes in each other's place.
fn swapped(one: &str, other: &str) -> String {
    let route = |name: &str| {
        let line = format!("name = \"{name}\"");
        let mut parts = OLD.split("\n\n");
        parts.find(|part| part.contains(&line)).unwrap()
    };
    let (one, other) = (route(one), route(other));
    let marked = OLD.replace(one, "@").replace(other, one);
    marked.replace('@', other)
}

#[test]
fn each_part_says_what_is_new_and_what_is_gone() {
    check(
        "\"60s\"",
        "\"10s\"",
        &["listener web.header_timeout: 60s -> 10s"],
    );
    check(
        "header_timeout = \"60s\"\n",
        "",
        &["listener web.header_timeout: 60s -> 10s"],
    );
    check(
        "\"0.0.0.0:80\"",
        "\"0.0.0.0:81\"",
        &[
            "listener web.bind: - 0.0.0.0:80",
            "listener web.bind: + 0.0.0.0:81",
        ],
    );
    check(
        "[\"203.0.113.0/24\"]",
        "[\"203.0.113.0/24\", \"192.0.2.0/24\"]",
        &["shield.block: + 192.0.2.0/24"],
    );
    check(
        "weight = 3",
        "weight = 4",
        &["upstream app.endpoints[10.0.0.2:80].weight: 3 -> 4"],
    );
    check(
        "[\"10.0.0.1:80\", ",
        "[",
        &["upstream app.endpoints: - { address = 10.0.0.1:80 }"],
    );
    let cache = "match = { path = \"/api\" }\ncache = { ttl = \"1h\" }";
    check(
        "match = { path = \"/api\" }",
        cache,
        &["route api.cache: absent -> { ttl = 1h }"],
    );
    check(
        "[upstream.next]\nendpoints",
        "[upstream.other]\nendpoints",
        &["- upstream next", "+ upstream other"],
    );
    check(
        "name = \"first\"",
        "name = \"thirst\"",
        &["- route first", "+ route thirst"],
    );
    check(
        "[[route]]\nname = \"api\"\nmatch = { path = \"/api\" }\nto = \"app\"\n",
        "",
        &[
            "- route api",
            "route route-4.its name in logs: route-4 -> route-3",
        ],
    );
    check(
        "[upstream.app]",
        "[listener.two]\nbind = \"0.0.0.0:81\"\n[upstream.app]",
        &["+ listener two"],
    );
}

#[test]
fn a_test_tells_of_what_something_else_becomes() {
    let found = check(
        "name = \"api\"\nmatch = { path = \"/api\" }\nto = \"app\"",
        "name = \"api\"\nmatch = { path = \"/api\" }\nto = \"next\"",
        &[
            "route api.to: - { upstream = app }",
            "route api.to: + { upstream = next }",
        ],
    );
    let turned: Vec<String> = found
        .tests
        .iter()
        .map(|it| format!("{}: {} -> {}", it.asks, it.old, it.new))
        .collect();
    assert_eq!(
        turned,
        ["GET http://a.test/api/x: route api, to app -> route api, to next"]
    );
    // The tests of the newer one are asked as well.
    let new = OLD.replace("/api/x", "/none").replace(
        "name = \"api\"\nmatch = { path = \"/api\" }",
        "name = \"api\"",
    );
    let found = between(OLD, &new);
    assert_eq!(found.tests.len(), 1, "{:?}", found.tests);
    assert_eq!(
        found.tests[0].old.to_string(),
        "refused with 404, route.none"
    );
}

#[test]
fn routes_move_and_are_hidden() {
    let found = between(OLD, &swapped("first", "second"));
    assert_eq!(found.changes, []);
    assert_eq!(found.moved.len(), 1, "{:?}", found.moved);
    assert_eq!(found.moved[0].route, "first");
    assert_eq!(found.moved[0].other.as_deref(), Some("second"));
    let hiding = format!(
        "{OLD}\n[[route]]\nname = \"late\"\nmatch = {{ path = \"/api/\" }}\nto = \"next\"\n"
    );
    let found = between(OLD, &hiding);
    assert_eq!(found.unreachable[0].route, "late");
    assert_eq!(found.unreachable[0].other.as_deref(), Some("api"));
}
