//! `--confirm`: what is added is taken back unless somebody confirms it in time.

use serde_json::Value;

use super::lists::json;
use crate::control::{address, answering};
use crate::support::{Folder, Proxy, curl, wait_until};

fn entries(proxy: &Proxy) -> Vec<Value> {
    let listed = json(&proxy.cli(&["-o", "json", "blocklist", "list"]).ok());
    listed["entries"].as_array().cloned().unwrap()
}

#[test]
fn an_addition_is_taken_back_unless_it_is_confirmed() {
    let proxy = Proxy::start(&answering("hello"));
    let url = format!("http://{}/", address(&proxy, "web"));
    let get = || curl(&["--interface", "127.0.0.2", &url]).code;
    let alone = proxy.cli(&["blocklist", "confirm"]);
    assert_eq!(alone.code, 1);
    let words = "nothing on the block lists waits for a confirmation";
    assert!(alone.stderr.contains(words), "{}", alone.stderr);

    proxy
        .cli(&["blocklist", "add", "127.0.0.2", "--confirm", "1s"])
        .ok();
    assert!(matches!(get(), 0 | 52 | 56));
    wait_until("it is taken back", || entries(&proxy).is_empty());
    assert_eq!(get(), 0);
    assert_eq!(proxy.cli(&["blocklist", "confirm"]).code, 1);

    let add = ["127.0.0.2", "--confirm", "10m", "--reason", "loud"];
    let added = proxy
        .cli(&[&["blocklist", "add"], &add[..]].concat())
        .ok()
        .text();
    assert!(
        added.starts_with("block list `manual`: 1 added\nit is taken back at 2"),
        "{added}"
    );
    assert!(
        added.ends_with(" unless `openclaw blocklist confirm` comes before\n"),
        "{added}"
    );
    let listed = proxy.cli(&["blocklist", "list"]).ok().text();
    assert!(listed.contains(" unless confirmed "), "{listed}");
    assert!(entries(&proxy)[0]["confirm_by"].is_string());
    let again = proxy.cli(&["blocklist", "add", "127.0.0.2", "--confirm", "10m"]);
    assert_eq!(again.code, 1);
    assert!(
        again.stderr.contains("is on the list `manual` already"),
        "{}",
        again.stderr
    );
    // The other kind has its own.
    assert_eq!(proxy.cli(&["allowlist", "confirm"]).code, 1);
    let confirmed = proxy.cli(&["blocklist", "confirm"]).ok().text();
    assert_eq!(confirmed, "block list `manual`: 1 confirmed\n");
    let entry = &entries(&proxy)[0];
    assert_eq!(
        (&entry["expires"], &entry["confirm_by"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(entry["reason"], "loud");
    assert!(matches!(get(), 52 | 56));
    let wrong = proxy.cli(&["blocklist", "add", "203.0.113.7", "--confirm", "2d"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
}

#[test]
fn what_waits_for_a_confirmation_does_so_over_a_restart_and_ends_without_a_proxy() {
    let mut proxy = Proxy::start(&answering("hello"));
    let folder = Folder::new();
    let file = folder.write("feed.csv", "203.0.113.8,2h\n203.0.113.9,5m\n");
    let file = file.to_str().unwrap();
    let import = [
        "blocklist",
        "import",
        file,
        "--list",
        "feed",
        "--confirm",
        "10m",
    ];
    let imported = proxy.cli(&import).ok().text();
    assert!(
        imported.starts_with("block list `feed`: 2 added\nit is taken back at"),
        "{imported}"
    );
    proxy
        .cli(&["blocklist", "add", "203.0.113.7", "--confirm", "1s"])
        .ok();
    proxy.kill();
    wait_until("it is taken back", || entries(&proxy).len() == 2);
    proxy.start_again();
    let waiting = entries(&proxy);
    let left = |entry: &Value| entry["expires_in"].as_u64().unwrap();
    assert_eq!(waiting[0]["address"], "203.0.113.8");
    assert!(waiting[0]["confirm_by"].is_string() && left(&waiting[0]) <= 600);
    // This one ends before by itself.
    assert!(waiting[1]["confirm_by"].is_null() && left(&waiting[1]) <= 300);
    let confirmed = json(&proxy.cli(&["-o", "json", "blocklist", "confirm"]).ok());
    assert_eq!(confirmed["confirmed"], 1);
    let kept = entries(&proxy);
    assert!((7000..=7200).contains(&left(&kept[0])), "{kept:?}");
    assert!(left(&kept[1]) <= 300);
    proxy.kill();
    proxy.start_again();
    assert_eq!(proxy.cli(&["blocklist", "confirm"]).code, 1);
    assert_eq!(entries(&proxy).len(), 2);
}
