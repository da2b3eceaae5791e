//! Nodes behind each other and beside each other, by the examples: a process each.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::{ok, status};
use crate::control::address;
use crate::support::{Message, Origin, Proxy, RawClient, free_port};

const TOKEN: &str = "a-token-of-letters";

/// An example before another address.
fn node(name: &str, behind: SocketAddr) -> Proxy {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/examples");
    let text = fs::read_to_string(folder.join(name)).unwrap();
    assert!(text.contains("10.0.0.11:8080"), "{name}");
    let text = text
        .replace("10.0.0.11:8080", &behind.to_string())
        .replace("0.0.0.0:80\"", "127.0.0.1:0\"")
        .replace("0.0.0.0:443\"", "127.0.0.1:0\"")
        .replace("127.0.0.1:9465", &format!("127.0.0.1:{}", free_port()))
        .replace("\"10.0.0.0/8\"", "\"127.0.0.1\"")
        .replace("${OPENCLAW_TOKEN:-write-a-long-secret-here}", TOKEN);
    Proxy::start(&text)
}

fn get(node: &Proxy, path: &str, lines: &str) -> Message {
    let request = format!("GET {path} HTTP/1.1\r\nHost: www.example.com\r\n{lines}\r\n");
    RawClient::connect(address(node, "web")).exchange(request)
}

/// What a node says to an order by its token.
fn order(node: &Proxy, order: &Value) -> Message {
    const NAME: &str = "node-1.example.net";
    let body = order.to_string();
    RawClient::connect_tls(address(node, "webs"), NAME, &["http/1.1"]).exchange(format!(
        "POST /api/change HTTP/1.1\r\nhost: {NAME}\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
}

/// An application with a version that a release changes.
fn application() -> Origin {
    Origin::start(|peer| {
        let mut asked = 0;
        while let Some(request) = peer.request()? {
            asked += 1;
            let tag = if request.start.contains("/pages/") {
                "pages"
            } else {
                "pictures"
            };
            let lines = format!(
                "Cache-Control: max-age=60\r\nCDN-Cache-Control: max-age=600\r\nSurrogate-Key: {tag}\r\n"
            );
            peer.send(ok(&lines, &format!("{asked}")))?;
        }
        Ok(())
    })
}

#[test]
fn a_purge_reaches_two_nodes_and_the_shield_behind_them() {
    let origin = application();
    let shield = node("origin-shield.toml", origin.address());
    let behind = address(&shield, "web");
    let nodes = [0; 2].map(|_| node("two-nodes.toml", behind));
    let fill = || {
        for path in ["/pages/a", "/pages/b", "/pictures/a"] {
            for node in &nodes {
                assert_eq!(get(node, path, "").status(), 200);
            }
        }
        origin.requests().len()
    };
    // The shield asks once for both.
    assert_eq!(fill(), 3);
    assert_eq!(fill(), 3);
    let hit = get(&nodes[0], "/pages/a", "");
    let told = hit.headers.iter().map(|(_, value)| &**value);
    assert!(
        told.clone()
            .any(|value| value.starts_with("openclaw; hit; ttl="))
    );
    let purge = |by: &Value| {
        let told = shield.cli(&["cache", "purge", "--tag", "pages"]).ok();
        assert_eq!(told.text(), "2 responses purged\n");
        for node in &nodes {
            let told = order(node, by);
            assert_eq!(told.status(), 200, "{}", told.text());
            assert!(told.text().contains("\"purged\":2"), "{}", told.text());
        }
    };
    purge(&json!({ "verb": "purge_tag", "tag": "pages" }));
    assert_eq!(fill(), 5);
    purge(&json!({ "verb": "purge_prefix", "url": "http://www.example.com/pages/" }));
    assert_eq!(fill(), 7);
    for node in &nodes {
        node.cli(&["cache", "purge", "--all"]).ok();
    }
    // The shield has it still.
    assert_eq!(fill(), 7);
    let unknown = order(&nodes[0], &json!({ "verb": "purge_tag" }));
    assert_eq!(unknown.status(), 400);
}

#[test]
fn a_shield_answers_for_an_application_that_is_away_or_slow_to_be_asked() {
    let is_away = Arc::new(AtomicBool::new(false));
    let of_origin = Arc::clone(&is_away);
    let origin = Origin::start(move |peer| {
        while peer.request()?.is_some() {
            peer.send(if of_origin.load(Ordering::Relaxed) {
                "HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n".to_owned()
            } else {
                ok("Cache-Control: max-age=60\r\nCache-Tag: pages\r\n", "1")
            })?;
        }
        Ok(())
    });
    let shield = node("origin-shield.toml", origin.address());
    assert_eq!(get(&shield, "/pages/a", "").text(), "1");
    // A reload of a client, or of an edge, stays here.
    let again = get(&shield, "/pages/a", "Cache-Control: no-cache\r\n");
    assert_eq!(again.text(), "1");
    assert!(status(&again).contains("hit"), "{}", status(&again));
    shield
        .cli(&["cache", "purge", "--soft", "--tag", "pages"])
        .ok();
    is_away.store(true, Ordering::Relaxed);
    let stale = get(&shield, "/pages/a", "");
    assert_eq!((stale.status(), &*stale.text()), (200, "1"));
    assert_eq!(get(&shield, "/account", "").status(), 503);
    assert_eq!(origin.requests().len(), 3);
}
