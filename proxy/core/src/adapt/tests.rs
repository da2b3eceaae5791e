//! What becomes of nginx.conf.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod alike;
mod captures;
mod guards;
mod nested;
mod places;

use std::collections::BTreeMap;

use super::words::{Given, duration, name, rate, size, template, text};
use super::{Adapted, nginx};
use crate::assay::{Asked, Open, World};
use crate::config::{Config, Files, NoFiles, Source, load};

fn adapted(text: &str) -> Adapted {
    nginx("nginx.conf", text, &NoFiles).unwrap_or_else(|error| panic!("{error}"))
}

/// What it says in our words, which are always right.
fn ours(text: &str) -> Config {
    let adapted = adapted(text);
    let source = Source {
        name: "openclaw.toml",
        text: &adapted.text,
        files: &NoFiles,
        variable: &|_| None,
    };
    let loaded = load(&source).unwrap_or_else(|told| panic!("{told}\n{}", adapted.text));
    loaded.config
}

/// Lines with what is not carried over.
fn notes(text: &str) -> Vec<String> {
    let notes = adapted(text).notes.into_iter();
    notes
        .map(|note| format!("{}: {}", note.line, note.directive))
        .collect()
}

/// What becomes of requests.
fn fates(text: &str, rows: &[(&str, &str)]) {
    let config = ours(text);
    let world = World::new(&config, &Open);
    for (url, expected) in rows {
        let asked = Asked::new("GET", url, &[]).unwrap();
        let fate = world.fate(&asked);
        let target = fate
            .target
            .clone()
            .map_or_else(String::new, |it| format!(" as {it}"));
        assert_eq!(
            format!("{}{target}", fate.does()),
            *expected,
            "{url}\n{}",
            adapted(text).text
        );
    }
}

const SITE: &str = r#"
user www-data;
worker_processes 2;
events { worker_connections 768; }
http {
    sendfile on;
    include mime.types;
    log_format main '$remote_addr - "$request"';
    access_log /var/log/nginx/access.log;
    keepalive_timeout 65;
    gzip on;
    limit_req_zone $binary_remote_addr zone=login:10m rate=10r/m;
    proxy_cache_path /var/cache/nginx levels=1:2 keys_zone=pages:10m max_size=1g;

    upstream app {
        least_conn;
        server 10.0.0.1:8080 weight=3;
        server 10.0.0.2:8080;
        server 10.0.0.3:8080 backup;
        keepalive 32;
    }

    server {
        listen 80 default_server;
        listen [::]:80 default_server;
        server_name www.example.com example.com;
        return 301 https://$host$request_uri;
    }

    server {
        listen 443 ssl http2;
        server_name www.example.com;
        ssl_certificate /etc/ssl/a.pem;
        ssl_certificate_key /etc/ssl/a.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        client_max_body_size 20M;
        add_header Strict-Transport-Security "max-age=31536000" always;

        location / {
            proxy_pass http://app;
            proxy_set_header Host $host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_read_timeout 1m30s;
        }
        location /login {
            limit_req zone=login burst=5 nodelay;
            proxy_pass http://app;
        }
        location /api/ {
            proxy_pass http://10.0.0.9:9000/v2/;
        }
        location ~* \.(png|css)$ {
            proxy_cache pages;
            proxy_cache_valid 200 302 10m;
            proxy_pass http://app;
        }
        location = /health { return 200 "ok\n"; }
        location /private/ { deny all; proxy_pass http://app; }
        rewrite ^/blog/(.*)$ /posts/$1 permanent;
    }
}
"#;

#[test]
fn a_site_does_what_it_did() {
    fates(
        SITE,
        &[
            (
                "http://www.example.com/a?b",
                "redirects to https://www.example.com/a?b with 301",
            ),
            (
                "http://other.example/a",
                "redirects to https://other.example/a with 301",
            ),
            ("https://www.example.com/a?b", "to app as /a?b"),
            ("https://other.example/a", "to app as /a"),
            (
                "https://www.example.com/api/x?y",
                "to 10-0-0-9-9000 as /v2/x?y",
            ),
            (
                "https://www.example.com/x/LOGO.PNG",
                "to app as /x/LOGO.PNG",
            ),
            ("https://www.example.com/health", "answers 200 itself"),
            (
                "https://www.example.com/blog/x?y",
                "redirects to /posts/x?y with 301",
            ),
        ],
    );
    let config = ours(SITE);
    assert_eq!(config.server.workers.unwrap().get(), 2);
    let binds: Vec<(&str, usize)> = config
        .listeners
        .iter()
        .map(|it| (&*it.name, it.bind.len()))
        .collect();
    assert_eq!(binds, [("http-80", 2), ("https-443", 1)]);
    assert_eq!(config.upstreams[0].endpoints.len(), 2);
    assert_eq!(config.upstreams[0].keepalive, 32);
    let login = config
        .routes
        .iter()
        .find(|it| it.name.ends_with("login"))
        .unwrap();
    assert_eq!(login.limit.as_ref().unwrap().quota.allowance(), 15);
    assert_eq!(login.max_body, Some(20 << 20));
    let root = config
        .routes
        .iter()
        .find(|it| it.name.ends_with("root"))
        .unwrap();
    assert_eq!(root.response_timeout.unwrap().as_secs(), 90);
    assert_eq!(root.headers.request.set[0].0, "X-Real-IP");
    assert_eq!(root.headers.response.add[0].0, "Strict-Transport-Security");
    assert!(config.routes.iter().any(|it| {
        it.cache
            .as_ref()
            .is_some_and(|rule| rule.status == [200, 302])
    }));
}

#[test]
fn what_is_not_carried_over_is_said_with_its_line() {
    let told = notes(SITE);
    for expected in [
        "19: server 10.0.0.3:8080 backup",
        "6: sendfile on",
        "2: user www-data",
        "12: limit_req_zone $binary_remote_addr zone=login:10m rate=10r/m",
        "55: proxy_cache_valid 200 302 10m",
    ] {
        assert!(told.contains(&expected.to_owned()), "{expected}\n{told:#?}");
    }
    let text = "http { server { listen 80; if ($a) { return 403; } location / { root /srv; } location @x { } } lua_load x; }";
    assert_eq!(
        notes(text),
        [
            "1: lua_load x",
            "1: root /srv",
            "1: location /",
            "1: if ($a)",
            "1: location @x"
        ]
    );
}

#[test]
fn servers_are_told_apart_by_host_and_scheme() {
    let text = "server { server_name a.test; location / { proxy_pass http://127.0.0.1:1; } }\n\
                server { listen 80; server_name *.b.test .c.test; location /x { proxy_pass http://127.0.0.1:2; } }\n\
                server { listen 80; listen 443 ssl; server_name d.test; return 204; }";
    fates(
        text,
        &[
            ("http://a.test/", "to 127-0-0-1-1 as /"),
            ("http://unknown.test/", "to 127-0-0-1-1 as /"),
            ("http://x.b.test/x/y", "to 127-0-0-1-2 as /x/y"),
            ("http://x.b.test/y", "answers 404 itself"),
            ("http://c.test/x", "to 127-0-0-1-2 as /x"),
            ("http://x.c.test/x", "to 127-0-0-1-2 as /x"),
            ("http://d.test/", "answers 204 itself"),
            ("https://d.test/", "answers 204 itself"),
            ("https://unknown.test/", "answers 204 itself"),
        ],
    );
}

#[test]
fn proxy_pass_with_a_path_replaces_what_the_location_names() {
    let check = |location: &str, pass: &str, url: &str, expected: &str| {
        let text = format!("server {{ location {location} {{ proxy_pass http://u:81{pass}; }} }}");
        fates(&text, &[(url, &format!("to u-81 as {expected}"))]);
    };
    check("/", "", "http://a/x?y", "/x?y");
    check("/", "/", "http://a/x", "/x");
    check("/", "/v2/", "http://a/x", "/v2/x");
    check("/api/", "/", "http://a/api/x", "/x");
    check("/api/", "/v2/", "http://a/api/x?y", "/v2/x?y");
    check("/api/", "", "http://a/api/x", "/api/x");
    check("= /a", "/b", "http://a/a?q", "/b?q");
    let text =
        "server { location /old/ { rewrite ^/old/(.*)$ /new/$1 break; proxy_pass http://u; } }";
    fates(text, &[("http://a/old/x", "to u as /new/x")]);
}

#[test]
fn files_are_included_where_they_are_named() {
    struct Two;
    impl Files for Two {
        fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
            Ok(match pattern {
                "/etc/nginx/conf.d/*.conf" => vec!["a.conf".to_owned(), "b.conf".to_owned()],
                "/etc/nginx/loop.conf" => vec!["loop.conf".to_owned()],
                _ => Vec::new(),
            })
        }
        fn read(&self, name: &str) -> Result<String, String> {
            let files = BTreeMap::from([
                ("a.conf", "server { server_name a.test; return 200; }"),
                ("b.conf", "server { server_name b.test; return 204; }"),
                ("loop.conf", "include loop.conf;"),
            ]);
            files
                .get(name)
                .map(ToString::to_string)
                .ok_or_else(|| "gone".to_owned())
        }
    }
    let read = |text: &str| nginx("/etc/nginx/nginx.conf", text, &Two);
    let both = read("http { include conf.d/*.conf; include mime.types; }").unwrap();
    assert!(both.text.contains("b.test"), "{}", both.text);
    let check = |text: &str, expected: &str| {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check("include loop.conf;", "too deep");
    check("\ninclude missing.conf;", "nginx.conf:2: there is no file");
    check("http {\n a b", "nginx.conf:2: this directive has no end");
    check("http {", "nginx.conf:1: this block is not closed");
    check("a; }", "closes nothing");
    check("a \"b", "a quote is not closed");
    check("a {} ;", "has no name");
    check("{ }", "has no name");
    check(&"a {".repeat(100), "too deep");
}

#[test]
fn words_are_carried_over() {
    let given = Given {
        server_name: "x".to_owned(),
        groups: Some(1),
        names: vec!["name".to_owned()],
    };
    let check = |theirs: &str, expected: Result<&str, &str>| {
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(template(theirs, &given), expected, "{theirs}");
    };
    check("https://$host$request_uri", Ok("https://{host}{uri}"));
    check(
        "${scheme}s $http_x_a $cookie_b $arg_c $1",
        Ok("{scheme}s {header.x-a} {cookie.b} {query.c} $1"),
    );
    check("a{b}", Ok("a{{b}"));
    check("${name}/$name", Ok("$name/$name"));
    check("$upstream_addr", Err("$upstream_addr"));
    for (theirs, expected) in [
        ("1m30s", Some("90s")),
        ("60", Some("60s")),
        ("500ms", Some("500ms")),
        ("1d", Some("86400s")),
        ("0", None),
        ("1x", None),
        ("99999999999999999999", None),
    ] {
        assert_eq!(duration(theirs).as_deref(), expected, "{theirs}");
    }
    for (theirs, expected) in [
        ("10M", Some("10m")),
        ("8k", Some("8k")),
        ("0", Some("0")),
        ("m", None),
        ("1x", None),
    ] {
        assert_eq!(size(theirs).as_deref(), expected, "{theirs}");
    }
    assert_eq!(rate("rate=5r/s").as_deref(), Some("5/s"));
    assert_eq!(rate("rate=x/s"), None);
    assert_eq!(text("a\"\\\n${b}"), "\"a\\\"\\\\\\n$${b}\"");
    assert_eq!(
        (name("10.0.0.1:80").as_str(), name("~^/").as_str()),
        ("10-0-0-1-80", "x")
    );
}

#[test]
fn whatever_is_written_becomes_something_that_loads() {
    let odd = [
        "server { location ~ ^/(?!a) { return 200; } }",
        "server { location / { return 444; } }",
        "server { location / { return 301 $upstream_addr; } }",
        "server { location / { proxy_pass http://$backend; } }",
        "server { listen unix:/x; listen 80; location /a { proxy_pass http://unix:/x; } }",
        "server { listen 80; listen 80 ssl; }",
        "server { location / { proxy_set_header X-A \"\"; proxy_set_header Host fixed; proxy_pass https://a.test/; } }",
        "upstream a { server unix:/x; } server { location / { proxy_pass http://a; } }",
        "server { location / { limit_req zone=none; proxy_pass http://a; } }",
        "server { location / { proxy_pass http://h/weird2?fixed=1; } }",
        "server { location = /a { proxy_pass http://h/xy?fixed=1; } }",
        "server { location \"/sp ace\" { proxy_pass http://h; } location = \"/sp ace\" { proxy_pass http://h/\"a b\"; } }",
        "server { location ~ ^/c/(.*)$ { rewrite ^ /d/$1? break; proxy_pass http://h; } }",
        "server { location /x { return 301 /y/$1; } }",
        "server { add_header Connection close; add_header \"X Y\" z; location / { proxy_pass http://h; proxy_set_header Transfer-Encoding \"\"; proxy_set_header \"X Y\" z; } }",
        "server { client_max_body_size 99999999999999999999g; location / { proxy_pass http://h; } }",
        "upstream a_b { server 10.0.0.1:8080-8090; server 10.0.0.2; } upstream a-b { server x..y; } server { location / { proxy_pass http://a_b; } location /x { proxy_pass http://a-b; } location /y { proxy_pass https://a_b; } }",
        "server { server_name a:b; return 204 text; } server { server_name c; return 301 nowhere; }",
        "http { keepalive_timeout 99999999d; server { location / { proxy_pass http://h; proxy_read_timeout 99999999d; } } }",
        "server { server_name ~x www.* \"\" _; add_header X-A \"a\\\"${host}\"; return 200 \"${b}\"; }",
    ];
    for text in odd {
        ours(text);
    }
}
