//! The cache in the hands of its operator.

use serde_json::{Value, json};

use super::{Stage, ok};
use crate::support::RawClient;

fn stage() -> Stage {
    Stage::start("", |request, before| {
        let path = request.start.split(' ').nth(1).unwrap_or_default();
        let tag = path
            .trim_start_matches('/')
            .split('/')
            .next()
            .unwrap_or_default();
        ok(
            &format!("Cache-Control: max-age=60\r\nSurrogate-Key: {tag} all\r\n"),
            &before.to_string(),
        )
    })
}

#[test]
fn a_purge_takes_what_it_names_from_all_workers() {
    let stage = stage();
    let purge = |arguments: &[&str]| {
        let arguments = [&["cache", "purge"], arguments].concat();
        stage.proxy.cli(&arguments).ok().text()
    };
    let fill = || {
        for path in ["/one/a", "/one/b", "/two/a"] {
            stage.get(path, "");
        }
        stage.asked()
    };
    let before = fill();
    assert_eq!(fill(), before);
    assert_eq!(purge(&["http://a.test/one/a"]), "1 response purged\n");
    assert_eq!(fill(), before + 1);
    assert_eq!(
        purge(&["--prefix", "http://A.test:80/one/"]),
        "2 responses purged\n"
    );
    assert_eq!(fill(), before + 3);
    assert_eq!(purge(&["--tag", "two"]), "1 response purged\n");
    assert_eq!(fill(), before + 4);
    assert_eq!(purge(&["--all"]), "3 responses purged\n");
    assert_eq!(fill(), before + 7);
    assert_eq!(purge(&["http://b.test/"]), "nothing of that is stored\n");
    assert_eq!(purge(&["--soft", "--tag", "all"]), "3 responses purged\n");
    assert_eq!(fill(), before + 10);
    let wrong = stage.proxy.cli(&["cache", "purge", "/one/a"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("is not a URL"), "{}", wrong.stderr);
    assert_eq!(stage.proxy.cli(&["cache", "purge"]).code, 2);
}

#[test]
fn figures_say_what_is_saved() {
    let stage = stage();
    for _ in 0..4 {
        stage.get("/a", "");
    }
    stage.ask("POST", "/b", "Content-Length: 0\r\n");
    let stats = stage.proxy.cli(&["cache", "stats"]).ok().text();
    assert!(stats.starts_with("1 URI in "), "{stats}");
    let row = stats.lines().find(|line| line.starts_with("all")).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    // Three of one byte, of those and a fetched one and the answer to the POST.
    let expected = "all 75.0 % 3 B 5 B 3 0 0 1 1";
    assert_eq!(cells, expected.split(' ').collect::<Vec<_>>());
    let json = stage.proxy.cli(&["-o", "json", "cache", "stats"]).ok();
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    let row = &json["routes"][0];
    assert_eq!((&row["hit"], &row["miss"]), (&json!(3), &json!(1)));
    assert_eq!(
        (&row["bytes_saved"], &row["bytes_sent"]),
        (&json!(3), &json!(5))
    );
    assert_eq!(json["evicted"], 0);
    let request = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let page = RawClient::connect(stage.proxy.metrics())
        .exchange(request)
        .text();
    for labels in [
        "requests_total{result=\"hit\"}",
        "route_requests_total{route=\"all\",result=\"hit\"}",
    ] {
        let line = format!("openclaw_cache_{labels} 3\n");
        assert!(page.contains(&line), "{page}");
    }
    for (result, bytes) in [("hit", 3), ("miss", 1), ("bypass", 1)] {
        let line = format!(
            "openclaw_cache_sent_bytes_total{{route=\"all\",result=\"{result}\"}} {bytes}\n"
        );
        assert!(page.contains(&line), "{page}");
    }
    assert!(page.contains("openclaw_cache_uris 1\n"), "{page}");
}

#[test]
fn a_reload_keeps_what_is_stored() {
    let stage = stage();
    assert_eq!(stage.get("/a", "").text(), "0");
    stage.proxy.cli(&["reload"]).ok();
    assert_eq!(stage.get("/a", "").text(), "0");
}

#[test]
fn without_a_cache_there_is_nothing_to_see() {
    let proxy = crate::support::Proxy::start(
        "[listener.web]\nbind = \"127.0.0.1:0\"\n[[route]]\nrespond = { body = \"a\" }\n",
    );
    let stats = proxy.cli(&["cache", "stats"]);
    assert_eq!(stats.code, 1);
    assert!(
        stats.stderr.contains("no route has a cache"),
        "{}",
        stats.stderr
    );
}
