//! Where endpoints come from: what is accepted, and what is not.

use std::path::Path;

use crate::config::{Consul, Kubernetes, Registry};

use super::{accepted, rejected};

fn text(keys: &str) -> String {
    format!("[listener.web]\nbind = [\"127.0.0.1:80\"]\n[upstream.app]\n{keys}\n")
}

fn source(discover: &str) -> Registry {
    let config = accepted(&text(&format!("discover = {{ {discover} }}")));
    assert!(config.upstreams[0].endpoints.is_empty());
    config.upstreams[0].discover.clone().unwrap().registry
}

fn wrong(keys: &str, message: &str) {
    let problems = rejected(&text(keys));
    let told: Vec<&str> = problems.0.iter().map(|p| p.message.as_str()).collect();
    assert!(
        told.len() == 1 && told[0].contains(message),
        "{keys}\n{told:#?}"
    );
}

#[test]
fn names_and_services_are_sources() {
    assert_eq!(
        source("dns = \"App.internal:8080\""),
        Registry::Dns {
            host: "app.internal".to_owned(),
            port: 8080,
            resolver: None
        }
    );
    assert_eq!(
        source("srv = \"_http._tcp.app.internal.\", resolver = \"127.0.0.1\""),
        Registry::Srv {
            name: "_http._tcp.app.internal".to_owned(),
            resolver: Some(([127, 0, 0, 1], 53).into())
        }
    );
    let both =
        "endpoints = [\"127.0.0.1:1\"]\ndiscover = { dns = \"a:80\", resolver = \"[::1]:5353\" }";
    let config = accepted(&text(both));
    assert_eq!(config.upstreams[0].endpoints.len(), 1);
    accepted(&text("endpoints = []\ndiscover = { dns = \"a:80\" }"));
}

#[test]
fn files_and_registries_are_sources() {
    let Registry::File { path } = source("file = \"a/endpoints.json\"") else {
        panic!("a file");
    };
    assert_eq!(path, Path::new("a/endpoints.json"));
    let Registry::Consul(consul) = source(
        "consul = \"http://127.0.0.1:8500/\", service = \"app\", tag = \"v2\", token = \"t\", datacenter = \"eu\"",
    ) else {
        panic!("a Consul");
    };
    let Consul {
        url,
        service,
        tag,
        token,
        datacenter,
    } = consul;
    assert_eq!((&*url, &*service), ("http://127.0.0.1:8500", "app"));
    assert_eq!(tag.as_deref(), Some("v2"));
    assert_eq!(datacenter.as_deref(), Some("eu"));
    let token = token.unwrap();
    assert_eq!(
        (token.expose(), format!("{token:?}")),
        ("t", "ApiKey".to_owned())
    );
    assert_eq!(
        source("kubernetes = { service = \"app\", port = \"http\" }"),
        Registry::Kubernetes(Kubernetes {
            service: "app".to_owned(),
            namespace: "default".to_owned(),
            port: Some("http".to_owned()),
            api: None,
            token_file: None,
            ca: None,
        })
    );
    assert_eq!(
        source("eureka = \"http://127.0.0.1:8761/eureka\", app = \"APP\""),
        Registry::Eureka {
            url: "http://127.0.0.1:8761/eureka".to_owned(),
            app: "APP".to_owned()
        }
    );
    for (written, expected) in [
        ("", [false, true]),
        (", keep_on_empty = false", [false, false]),
        (", keep_on_empty = true", [true, true]),
    ] {
        let config = accepted(&text(&format!("discover = {{ dns = \"a:80\"{written} }}")));
        let discover = config.upstreams[0].discover.as_ref().unwrap();
        let keeps = [discover.keep_on_empty, discover.keep_on_denial];
        assert_eq!(keeps, expected, "{written}");
    }
}

#[test]
fn there_is_exactly_one_source() {
    wrong("", "missing key `endpoints`");
    wrong("endpoints = []", "at least one endpoint");
    wrong("discover = {}", "nothing is said about where");
    wrong("discover = { resolver = \"127.0.0.1\" }", "nothing is said");
    wrong(
        "discover = { dns = \"a:80\", srv = \"a\" }",
        "`dns` and `srv` exclude each other",
    );
    wrong(
        "discover = { dnss = \"a:80\", dns = \"a:80\" }",
        "unknown key `dnss`",
    );
    wrong("discover = \"a:80\"", "expected a table");
    wrong(
        "discover = { dns = \"a:80\", tag = \"a\" }",
        "`tag` does not go with `dns`",
    );
    wrong("discover = { tag = \"a\" }", "nothing is said");
    wrong(
        "discover = { consul = \"http://a\" }",
        "missing key `service`",
    );
    wrong("discover = { eureka = \"http://a\" }", "missing key `app`");
    wrong("discover = { kubernetes = {} }", "missing key `service`");
}

#[test]
fn a_source_is_named_in_full() {
    wrong("discover = { dns = \"a\" }", "it has no port");
    wrong(
        "discover = { dns = \"127.0.0.1:80\" }",
        "no name to ask for",
    );
    wrong(
        "discover = { dns = \"builtin:demo\" }",
        "no name to ask for",
    );
    wrong("discover = { srv = \"a:80\" }", "not the name of a service");
    wrong("discover = { srv = 5 }", "expected a string");
    let consul = |rest: &str| format!("discover = {{ consul = \"http://a\", {rest} }}");
    wrong(&consul("service = \"a b\""), "cannot be a name here");
    wrong(
        &consul("service = \"a\", token = \"a b\""),
        "cannot be a key",
    );
    wrong(
        "discover = { consul = \"a\", service = \"a\" }",
        "not a URL",
    );
    wrong(
        "discover = { consul = \"http://a/?b\", service = \"a\" }",
        "cannot have a query",
    );
    wrong(
        "discover = { kubernetes = { service = \"a/b\" } }",
        "a name in Kubernetes",
    );
    wrong("discover = { file = \"\" }", "must not be empty");
    for resolver in ["a", "127.0.0.1:0", "a:53", ""] {
        let keys = format!("discover = {{ dns = \"a:80\", resolver = \"{resolver}\" }}");
        wrong(&keys, "not the address of a name server");
    }
}
