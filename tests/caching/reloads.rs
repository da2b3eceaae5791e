//! What a new configuration makes of the store, and what one that is refused does not.

use std::net::TcpListener;

use serde_json::Value;

use super::disk::stage;
use super::{Stage, config, status};
use crate::control::changes::change;

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
