//! The examples that come with the program, with origins in place of the addresses in them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::Stage;
use crate::control::address;
use crate::support::{Message, Origin, Proxy, RawClient, eventually};

/// An example; `10.0.0.N:8080` is the origin that stands beside N.
fn stage(name: &str, origins: &[(u8, &Origin)]) -> Stage {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/examples");
    let mut text = fs::read_to_string(folder.join(name)).expect("the example is there");
    for (number, origin) in origins {
        let written = format!("10.0.0.{number}:8080");
        assert!(text.contains(&written), "{written} in {name}");
        text = text.replace(&written, &origin.address().to_string());
    }
    assert!(!text.contains("10.0.0."), "{name} has another endpoint");
    let believed = "bind = [\"127.0.0.1:0\"]\ntrusted_proxies = [\"127.0.0.1/32\"]";
    text = text.replace("bind = [\"0.0.0.0:80\"]", believed);
    text = text.replace("bind = [\"0.0.0.0:443\"]", "bind = [\"127.0.0.1:0\"]");
    let proxy = Proxy::start(&text);
    Stage {
        web: address(&proxy, "web"),
        proxy,
    }
}

fn two() -> [Origin; 2] {
    ["one", "two"].map(Origin::serving)
}

/// A line for a client of its own.
fn from(client: u32) -> String {
    format!("X-Forwarded-For: 192.0.2.{client}\r\n")
}

#[test]
fn canary() {
    let [old, next] = two();
    let also_old = Origin::serving("one");
    let stage = stage("canary.toml", &[(11, &old), (12, &also_old), (21, &next)]);
    assert_eq!(stage.ask("/", "X-Version: next\r\n").text(), "two");
    assert_eq!(stage.ask("/", "Cookie: version=next\r\n").text(), "two");
    let new = (0..200).filter(|client| stage.ask("/", &from(*client)).text() == "two");
    let new: Vec<u32> = new.collect();
    assert!((1..=25).contains(&new.len()), "{new:?}");
    assert!(
        new.iter()
            .all(|client| stage.ask("/", &from(*client)).text() == "two")
    );
}

#[test]
fn ab_test() {
    let [a, b] = two();
    let stage = stage("ab-test.toml", &[(11, &a), (21, &b)]);
    let mut seen = BTreeSet::new();
    for user in 0..16 {
        let ask = |client| stage.ask("/", &format!("{}Cookie: user={user}\r\n", from(client)));
        let answer = ask(1);
        let expected = if answer.text() == "one" { "a" } else { "b" };
        assert_eq!(answer.header("x-variant"), Some(expected));
        assert_eq!(ask(2).text(), answer.text(), "from another device");
        seen.insert(expected);
    }
    assert_eq!(seen.len(), 2);
    assert_eq!(a.requests()[0].header("x-variant"), Some("a"));
}

#[test]
fn api_versions() {
    let [one, two] = two();
    let origins = [(11, &one), (21, &two)];
    let check = |stage: &Stage, target: &str, lines: &str, expected: &str| {
        let answer = stage.ask(target, lines);
        let got = match answer.status() {
            200 => answer.text(),
            status => status.to_string(),
        };
        assert_eq!(got, expected, "{target} {lines}");
        answer
    };
    let by_path = stage("api-versions-path.toml", &origins);
    check(&by_path, "/v1/users?q", "", "one");
    check(&by_path, "/v2/users", "", "two");
    let sent = check(&by_path, "/users?q", "", "307");
    assert_eq!(sent.header("location"), Some("/v2/users?q"));
    assert_eq!(one.requests()[0].start, "GET /users?q HTTP/1.1");
    let by_header = stage("api-versions-header.toml", &origins);
    check(&by_header, "/api/x", "X-Api-Version: 2\r\n", "two");
    check(
        &by_header,
        "/api/x",
        "Accept: application/vnd.example.v2+json\r\n",
        "two",
    );
    check(&by_header, "/api/x", "X-Api-Version: 1\r\n", "one");
    check(&by_header, "/api/x", "X-Api-Version: 3\r\n", "406");
    let plain = check(&by_header, "/api/x", "", "one");
    assert_eq!(plain.header("vary"), Some("X-Api-Version, Accept"));
    let by_query = stage("api-versions-query.toml", &origins);
    check(&by_query, "/api/x?version=2&a", "", "two");
    check(&by_query, "/api/x?a&version=1", "", "one");
    check(&by_query, "/api/x?a", "", "one");
    check(&by_query, "/api/x?version=3", "", "404");
}

#[test]
fn mirror() {
    let [app, next] = two();
    let stage = stage("mirror.toml", &[(11, &app), (21, &next)]);
    for _ in 0..200 {
        assert_eq!(stage.ask("/", "").text(), "one");
    }
    let count = eventually("copies", || {
        Some(next.requests().len()).filter(|count| *count > 0)
    });
    assert!(count < 80, "{count}");
    assert!(
        next.requests()
            .iter()
            .all(|copy| copy.start == "GET / HTTP/1.1")
    );
}

#[test]
fn rewrite() {
    let app = Origin::serving("app");
    let stage = stage("rewrite.toml", &[(11, &app)]);
    let webs = address(&stage.proxy, "webs");
    let ask = |target: &str| -> Message {
        let mut client = RawClient::connect_tls(webs, "www.example.com", &["http/1.1"]);
        client.exchange(format!(
            "GET {target} HTTP/1.1\r\nHost: www.example.com\r\n\r\n"
        ))
    };
    let plain = "GET /a?b HTTP/1.1\r\nHost: www.example.com\r\n\r\n";
    let sent = RawClient::connect(stage.web).exchange(plain);
    assert_eq!(
        (sent.status(), sent.header("location")),
        (308, Some("https://www.example.com/a?b"))
    );
    let post = ask("/blog/2024/hello?x");
    assert_eq!(
        (post.status(), post.header("location")),
        (301, Some("/posts/2024-hello?x"))
    );
    assert_eq!(ask("/users/ann/profile?x=1").status(), 200);
    assert_eq!(ask("/a?b").status(), 200);
    let starts: Vec<_> = app
        .requests()
        .into_iter()
        .map(|request| request.start)
        .collect();
    assert_eq!(
        starts,
        [
            "GET /profile?user=ann&x=1 HTTP/1.1",
            "GET /site/a?b HTTP/1.1"
        ]
    );
}

#[test]
fn sticky() {
    let [one, two] = two();
    let stage = stage("sticky.toml", &[(11, &one), (12, &two)]);
    let first = stage.ask("/", "");
    let set = first
        .header("set-cookie")
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    for _ in 0..8 {
        assert_eq!(
            stage.ask("/", &format!("Cookie: {set}\r\n")).text(),
            first.text()
        );
    }
}

#[test]
fn compress() {
    let app = Origin::start(|peer| {
        while let Some(request) = peer.request()? {
            let is_data = request.start.contains("/api");
            let media = if is_data {
                "application/json"
            } else {
                "text/html"
            };
            let body = "{\"a\": 1}".repeat(1000);
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ))?;
        }
        Ok(())
    });
    let stage = stage("compress.toml", &[(11, &app)]);
    let coding = |path: &str| {
        let answer = stage.ask(path, "Accept-Encoding: gzip, br, zstd\r\n");
        let of_cache = answer.header("cache-status").map(str::to_owned);
        (
            answer.header("content-encoding").map(str::to_owned),
            of_cache,
        )
    };
    for (path, expected) in [
        ("/static/a.css", Some("br")),
        ("/account", None),
        ("/api/users", Some("zstd")),
        ("/", Some("br")),
    ] {
        assert_eq!(coding(path).0.as_deref(), expected, "{path}");
    }
    let (again, of_cache) = coding("/static/a.css");
    assert_eq!(again.as_deref(), Some("br"));
    assert!(of_cache.is_some_and(|told| told.contains("hit")));
}
