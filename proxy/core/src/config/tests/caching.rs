//! `[cache]`, and `cache` of routes.

use std::time::Duration;

use super::{accepted, rejected};
use crate::caching::Query;

fn route(keys: &str) -> String {
    format!(
        "[listener.web]\nbind = \"127.0.0.1:80\"\n[upstream.app]\nendpoints = \"127.0.0.1:81\"\n[[route]]\nto = \"app\"\n{keys}\n"
    )
}

#[test]
fn a_route_says_what_is_kept_and_for_how_long() {
    let config = accepted(&route("cache = {}"));
    assert_eq!(config.cache.memory, 64 << 20);
    let rule = config.routes[0].cache.clone().unwrap_or_default();
    assert_eq!(
        (rule.ttl, rule.max_object, rule.obeys_requests),
        (None, 8 << 20, true)
    );
    let keys = "cache = { ttl = \"24h\", status = [200, 404], vary = [\"Accept-Encoding\"], stale_while_revalidate = \"1h\" }";
    let config = accepted(&route(keys));
    let rule = config.routes[0].cache.clone().unwrap_or_default();
    assert_eq!(rule.ttl, Some(Duration::from_hours(24)));
    assert_eq!(rule.status, [200, 404]);
    assert_eq!(rule.vary, ["accept-encoding"]);
    assert!(accepted(&route("")).routes[0].cache.is_none());
}

#[test]
fn a_disk_is_named_with_its_bounds() {
    let config = accepted(&route(
        "cache = {}\n[cache]\ndisk = { path = \"/a\", max = \"10g\" }",
    ));
    let disk = config.cache.disk.unwrap();
    assert_eq!((disk.max, disk.index), (10 << 30, 64 << 20));
    assert_eq!(disk.path, std::path::Path::new("/a"));
    assert!(accepted(&route("cache = {}")).cache.disk.is_none());
}

#[test]
fn a_key_is_made_of_parts() {
    let rule = |keys: &str| {
        accepted(&route(&format!("cache = {{ {keys} }}"))).routes[0]
            .cache
            .clone()
            .unwrap()
    };
    let parts = rule("key = { query = [\"id\"], headers = [\"X-A\"], cookies = [\"Lang\"] }");
    assert_eq!(parts.query, Query::Only(vec!["id".to_owned()]));
    assert_eq!(parts.vary, ["x-a", "cookie:Lang"]);
    assert_eq!(
        rule("key = { query = \"none\" }").query,
        Query::Only(vec![])
    );
    assert_eq!(rule("key = {}").query, Query::All);
    assert_eq!(
        rule("bypass = [\"cookie:Session\", \"header:X-Preview\"]").bypass,
        ["cookie:Session", "header:x-preview"]
    );
}

#[test]
fn a_guess_is_made_where_the_route_says_so() {
    let rule = |keys: &str| {
        let config = accepted(&route(&format!("cache = {{ {keys} }}")));
        let rule = config.routes[0].cache.clone().unwrap();
        (rule.heuristic, rule.heuristic_max)
    };
    let day = Duration::from_hours(24);
    assert_eq!(rule(""), (None, day));
    assert_eq!(rule("heuristic = \"10%\""), (Some(10), day));
    let short = rule("heuristic = \"20%\", heuristic_max = \"1h\"");
    assert_eq!(short, (Some(20), Duration::from_hours(1)));
}

#[test]
fn what_cannot_be_is_told() {
    let check = |keys: &str, message: &str| {
        let told = rejected(&route(keys)).to_string();
        assert!(told.contains(message), "{keys}\n{told}");
    };
    check("cache = { status = [206] }", "is not stored");
    check("cache = { status = [99] }", "out of range");
    check("cache = { vary = [\"a b\"] }", "is no name of a field");
    check(
        "cache = { bypass = [\"session\"] }",
        "write header:NAME or cookie:NAME",
    );
    check(
        "cache = { key = { cookies = [\"a b\"] } }",
        "is no name of a cookie",
    );
    check("cache = { heuristic = 10 }", "did you mean \"10%\"?");
    check("cache = { heuristic = \"101%\" }", "is not a share");
    check("cache = { heuristic_max = \"0s\" }", "longer than zero");
    check("cache = { tll = \"1h\" }", "did you mean `ttl`?");
    check(
        "cache = {}\nmirror = { to = \"app\" }",
        "exclude each other",
    );
    check("[cache]\nmemory = \"10k\"", "keeps nothing");
    check("[cache]\ndisk = { path = \"/a\" }", "`max`");
    check(
        "[cache]\ndisk = { path = \"/a\", max = \"1k\" }",
        "keeps nothing",
    );
}
