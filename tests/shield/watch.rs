//! `openclaw blocklist watch`: what comes to the lists and goes from them is told as it happens.

use std::process::Command;

use serde_json::Value;

use crate::control::answering;
use crate::support::{Child, Folder, PATIENCE, Proxy, openclaw};

/// `openclaw blocklist watch`, or of the allow lists, until dropped.
pub(super) fn watch(proxy: &Proxy, arguments: &[&str]) -> Child {
    let child = Child::start(
        Command::new(env!("CARGO_BIN_EXE_openclaw"))
            .arg("--socket")
            .arg(proxy.socket())
            .args(arguments),
        "the watcher",
    );
    let first = child.stdout.line(PATIENCE, |line| line.contains("watch"));
    assert!(first.is_some(), "{}", child.stderr.text());
    child
}

/// The first event with that name behind what was told so far.
pub(super) fn event(watcher: &Child, name: &str, prefix: Option<&str>) -> Value {
    let is_it = |line: &str| {
        serde_json::from_str::<Value>(line)
            .is_ok_and(|told| told["event"] == name && told["prefix"].as_str() == prefix)
    };
    let line = watcher.stdout.line(PATIENCE, is_it);
    let line = line.unwrap_or_else(|| panic!("no {name}:\n{}", watcher.stdout.text()));
    serde_json::from_str(&line).unwrap()
}

#[test]
fn what_comes_and_goes_is_told_with_its_end_and_reason_and_an_import_in_one_line() {
    let mut proxy = Proxy::start(&answering("hello"));
    let mut watcher = watch(&proxy, &["blocklist", "watch", "-o", "json"]);
    let text = watch(&proxy, &["blocklist", "watch"]);
    let allowed = watch(&proxy, &["allowlist", "watch"]);
    let add = ["203.0.113.7", "--ttl", "2h", "--reason", "scanner"];
    proxy.cli(&[&["blocklist", "add"], &add[..]].concat()).ok();
    let added = event(&watcher, "add", Some("203.0.113.7"));
    assert_eq!(
        (&added["kind"], &added["list"], &added["reason"]),
        (&"block".into(), &"manual".into(), &"scanner".into())
    );
    assert_eq!(
        (&added["ttl"], &added["counts"]),
        (&7200.into(), &Value::Null)
    );
    let words = " add 203.0.113.7 list manual for 2h: scanner";
    let line = text.stdout.line(PATIENCE, |line| line.ends_with(words));
    assert!(line.is_some(), "{}", text.stdout.text());

    proxy.cli(&["blocklist", "add", "203.0.113.7"]).ok();
    let updated = event(&watcher, "update", Some("203.0.113.7"));
    assert_eq!(
        (&updated["ttl"], &updated["reason"]),
        (&Value::Null, &Value::Null)
    );
    proxy.cli(&["blocklist", "del", "203.0.113.7"]).ok();
    event(&watcher, "delete", Some("203.0.113.7"));
    proxy
        .cli(&["blocklist", "add", "2001:db8::/32", "--ttl", "1s"])
        .ok();
    event(&watcher, "expire", Some("2001:db8::/32"));

    let folder = Folder::new();
    let lines = (0..100)
        .map(|n| format!("198.51.100.{n}\n"))
        .collect::<Vec<_>>()
        .concat();
    let file = folder.write("feed.txt", &lines);
    let file = file.to_str().unwrap();
    proxy
        .cli(&["blocklist", "import", file, "--list", "feed", "--dry-run"])
        .ok();
    proxy
        .cli(&["blocklist", "import", file, "--list", "feed"])
        .ok();
    let imported = event(&watcher, "import", None);
    assert_eq!(imported["list"], "feed");
    assert_eq!(
        imported["counts"],
        serde_json::json!({ "added": 100, "updated": 0, "removed": 0 })
    );
    proxy.cli(&["blocklist", "flush", "--list", "feed"]).ok();
    assert_eq!(event(&watcher, "flush", None)["counts"]["removed"], 100);
    let told = watcher.stdout.text();
    assert!(!told.contains("198.51.100."), "{told}");
    assert_eq!(told.matches("\"import\"").count(), 1, "{told}");

    // Of the other kind nothing was told.
    proxy.cli(&["allowlist", "add", "192.0.2.7"]).ok();
    let line = allowed.stdout.line(PATIENCE, |line| {
        line.ends_with(" add 192.0.2.7 list manual")
    });
    assert!(line.is_some(), "{}", allowed.stdout.text());
    let told = allowed.stdout.text();
    // Addresses of this host come and go with other tests.
    let own = |line: &&str| !line.contains(" list protected");
    assert_eq!(told.lines().filter(own).count(), 2, "{told}");
    assert!(!watcher.stdout.text().contains("192.0.2.7"));

    proxy.signal("TERM");
    proxy.wait();
    let ended = watcher.wait(PATIENCE);
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    let said = watcher.stderr.to_the_end(PATIENCE);
    assert_eq!(said, "the proxy has ended, and the watch with it\n");
    let alone = proxy.cli(&["blocklist", "watch"]);
    assert_eq!(alone.code, 1);
    assert!(
        alone.stderr.contains("no openclaw is running"),
        "{}",
        alone.stderr
    );
    assert_eq!(alone.stderr.lines().count(), 1, "{}", alone.stderr);
    assert_eq!(openclaw(&["blocklist", "watch", "--ttl"]).code, 2);
}

#[test]
fn a_watcher_that_does_not_read_is_told_what_it_lost_and_holds_nobody_up() {
    let proxy = Proxy::start(&answering("hello"));
    let mut watcher = watch(&proxy, &["blocklist", "watch", "-o", "json"]);
    watcher.signal("STOP");
    let many: Vec<String> = (0..100).map(|n| format!("198.51.100.{n}")).collect();
    let mut add = vec!["blocklist", "add"];
    add.extend(many.iter().map(String::as_str));
    let long = "x".repeat(200);
    add.extend(["--reason", &long]);
    for _ in 0..40 {
        proxy.cli(&add).ok();
    }
    watcher.signal("CONT");
    let lost = event(&watcher, "lost", None)["lost"].as_u64().unwrap();
    let told = watcher.stdout.text().matches("198.51.100.").count() as u64;
    assert_eq!(lost + told, 4000);
}
