//! The targets that endpoints get of routes that change the beginning of paths.

use super::read;
use crate::assay::{Asked, Open, World};

/// The target of a route at `/api` with these keys, or `None` where another route takes the request.
fn target(keys: &str, path: &str) -> Option<String> {
    let config = read(&format!(
        "[listener.web]\nbind = [\"127.0.0.1:80\"]\n[upstream.app]\nendpoints = [\"127.0.0.1:9001\"]\n\
         [[route]]\nname = \"api\"\nmatch = {{ path = \"/api\" }}\nto = \"app\"\n{keys}\n\
         [[route]]\nname = \"other\"\nto = \"app\"\n"
    ));
    let url = format!("http://a.test{path}");
    let asked = Asked::new("GET", &url, &[]).unwrap();
    let fate = World::new(&config, &Open).fate(&asked);
    fate.target.filter(|_| fate.route.as_deref() == Some("api"))
}

#[test]
fn an_endpoint_is_asked_below_the_prefix_whatever_form_the_path_has() {
    let both = "strip_prefix = \"/api\"\nadd_prefix = \"/v1\"";
    let rows = [
        ("/api/x?q=/..", Some("/v1/x?q=/..")),
        ("/api", Some("/v1/")),
        ("/api?q", Some("/v1/?q")),
        // In the form that came, where that leads to the same.
        ("/api/a%20b%2Fc", Some("/v1/a%20b%2Fc")),
        ("/api/x/../y", Some("/v1/x/../y")),
        ("/api//x", Some("/v1//x")),
        // Anew, where it would not.
        ("/api/../api/secret", Some("/v1/secret")),
        ("/api/%2e%2e/api/secret?q", Some("/v1/secret?q")),
        ("/api/x/../../api/y", Some("/v1/y")),
        ("//api/z", Some("/v1/z")),
        ("/x/../api/z", Some("/v1/z")),
        ("/%61pi/a%20%3Fb", Some("/v1/a%20%3Fb")),
        ("/api%2Fz", Some("/v1/z")),
        ("/api/../x", None),
    ];
    for (path, expected) in rows {
        assert_eq!(target(both, path).as_deref(), expected, "{path}");
    }
}

#[test]
fn one_prefix_alone_holds_as_well() {
    let add = "add_prefix = \"/v1\"";
    assert_eq!(target(add, "/../api/x").as_deref(), Some("/v1/api/x"));
    assert_eq!(target(add, "/api/x").as_deref(), Some("/v1/api/x"));
    let strip = "strip_prefix = \"/api\"";
    assert_eq!(target(strip, "/./api/x").as_deref(), Some("/x"));
    assert_eq!(target(strip, "/api/../api/x").as_deref(), Some("/x"));
    let other = "strip_prefix = \"/other\"";
    assert_eq!(target(other, "//api/x").as_deref(), Some("//api/x"));
}
