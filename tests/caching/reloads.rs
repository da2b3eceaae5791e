//! What a new configuration makes of the store, and what one that is refused does not.

use std::net::TcpListener;

use serde_json::Value;

use super::disk::stage;
use super::{Stage, config, ok, status};
use crate::control::address;
use crate::control::changes::change;
use crate::support::{Origin, Proxy, RawClient, wait_until};

fn stats(stage: &Stage) -> Value {
    let output = stage.proxy.cli(&["-o", "json", "cache", "stats"]).ok();
    serde_json::from_slice(&output.stdout).expect("the figures are JSON")
}

#[test]
fn a_refused_reload_leaves_memory_and_disk_as_they_are() {
    let stage = stage("10m", "Cache-Control: max-age=600\r\n");
    stage.get("/large", "");
    stage.wait_for_files(1);
    let guard = TcpListener::bind("127.0.0.1:0").unwrap();
    let more = format!(
        "[listener.more]\nbind = \"{}\"\n",
        guard.local_addr().unwrap()
    );
    let without = config("memory = \"2m\"", "", &stage.origin);
    stage.proxy.rewrite(&format!("{without}{more}"));
    let check = || {
        let stats = stats(&stage);
        assert_eq!(stats["capacity"], 1 << 20, "{stats}");
        assert_eq!(stats["disk"]["objects"], 1, "{stats}");
        let again = stage.get("/large", "");
        assert!(status(&again).starts_with("openclaw; hit; ttl="));
    };
    let refused = stage.proxy.cli(&["reload"]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    check();
    // What serves is put together anew, without the file.
    let origin = stage.origin.address();
    change(&stage.proxy, "weight", origin, &["2"]);
    check();
    // The same, when it is taken.
    stage.proxy.rewrite(&without);
    stage.proxy.cli(&["reload"]).ok();
    let stats = stats(&stage);
    assert_eq!(stats["capacity"], 2 << 20, "{stats}");
    assert_eq!(stats["disk"], Value::Null);
}

/// A route without a name for those who have a key, before one for all others.
fn two_routes(origins: [&Origin; 2]) -> (String, String) {
    let head = "[listener.web]\nbind = \"127.0.0.1:0\"\n[cache]\nmemory = \"64m\"\ndisk = { path = \"cache\", max = \"10m\" }\n";
    let upstream = |name, origin: &Origin| {
        let address = origin.address();
        format!("[upstream.{name}]\nendpoints = \"{address}\"\n")
    };
    let upstreams = upstream("inside", origins[0]) + &upstream("outside", origins[1]);
    let inside = "[[route]]\nmatch = { header = { X-Key = \"1\" } }\ncache = {}\nto = \"inside\"\n";
    let outside = "[[route]]\ncache = {}\nto = \"outside\"\n";
    (
        format!("{head}{upstreams}{inside}{outside}"),
        format!("{head}{upstreams}{outside}"),
    )
}

#[test]
fn a_route_without_a_name_has_its_own_and_no_other_ones() {
    let [inside, outside] = ["inside", "outside"]
        .map(|body| Origin::answering(ok("Cache-Control: max-age=600\r\n", body)));
    let (both, one) = two_routes([&inside, &outside]);
    let mut proxy = Proxy::start(&both);
    proxy.wait_for("the cache on disk is known");
    let get = |proxy: &Proxy, path: &str, lines: &str| {
        let mut client = RawClient::connect(address(proxy, "web"));
        client.send(format!(
            "GET {path} HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"
        ));
        client.response()
    };
    assert_eq!(get(&proxy, "/a", "X-Key: 1\r\n").text(), "inside");
    assert_eq!(get(&proxy, "/b", "").text(), "outside");
    let stats = || proxy.cli(&["cache", "stats"]).ok().text();
    wait_until("both are on the disk", || {
        stats().contains("on disk: 2 responses")
    });
    // Now the second one is where the first one was.
    proxy.rewrite(&one);
    proxy.cli(&["reload"]).ok();
    let check = |proxy: &Proxy| {
        let own = get(proxy, "/b", "");
        assert!(
            status(&own).starts_with("openclaw; hit"),
            "{}",
            status(&own)
        );
    };
    check(&proxy);
    proxy.kill();
    proxy.wait();
    proxy.start_again();
    proxy.wait_for("the cache on disk is known");
    check(&proxy);
    assert_eq!(get(&proxy, "/a", "").text(), "outside");
}
