//! What is changed by a request is not answered from the store any more, whichever route has carried the change out.

use super::{Stage, config, ok, status};
use crate::control::address;
use crate::support::{Origin, Proxy};

/// A route that stores, by the page alone, and one for changes that does not.
fn stage() -> Stage {
    let origin = Origin::start(|peer| {
        while let Some(request) = peer.request()? {
            let refused = request.header("x-refuse").is_some();
            peer.send(if refused {
                "HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n".to_owned()
            } else {
                ok("Cache-Control: max-age=60\r\nLocation: /list\r\n", "body")
            })?;
        }
        Ok(())
    });
    let storing = config("memory = \"64m\"", "key = { query = [\"page\"] }", &origin);
    let storing = storing.replace(
        "name = \"all\"",
        "name = \"all\"\nmatch = { method = \"GET\" }",
    );
    let others = "[[route]]\nname = \"all-of-the-query\"\nmatch = { path = \"/list\" }\ncache = {}\nto = \"app\"\n\
                  [[route]]\nname = \"changes\"\nto = \"app\"\n";
    let proxy = Proxy::start(&format!("{storing}{others}"));
    let web = address(&proxy, "web");
    Stage { proxy, web, origin }
}

#[test]
fn a_route_without_a_cache_changes_what_others_have_stored() {
    let stage = stage();
    let is_stored = |path: &str| status(&stage.get(path, "")).starts_with("openclaw; hit");
    for path in ["/a?page=2", "/b", "/list"] {
        assert!(!is_stored(path) && is_stored(path), "{path}");
    }
    let change = |lines: &str| {
        let lines = format!("{lines}Content-Length: 0\r\n");
        let changed = stage.ask("PUT", "/a?by=me&page=2", &lines);
        assert_eq!(changed.header("cache-status"), None);
        changed.status()
    };
    assert_eq!(change("X-Refuse: 1\r\n"), 409);
    assert!(is_stored("/a?page=2") && is_stored("/list"));
    assert_eq!(change(""), 200);
    assert!(!is_stored("/a?page=2") && !is_stored("/list"));
    assert!(is_stored("/b"));
}

#[test]
fn what_a_change_names_is_forgotten_under_all_of_its_keys() {
    let stage = Stage::start("key = { query = [\"id\"] }", |request, before| {
        if request.start.starts_with("POST") {
            return "HTTP/1.1 201 Created\r\nLocation: //A.test/list?from=b&id=1#top\r\nContent-Length: 0\r\n\r\n".into();
        }
        ok("Cache-Control: max-age=60\r\n", &before.to_string())
    });
    let list = || stage.get("/list?id=1&by=me", "").text();
    assert_eq!((list(), list()), ("0".into(), "0".into()));
    stage.ask("POST", "/b", "Content-Length: 0\r\n");
    assert_eq!(list(), "2");
}
