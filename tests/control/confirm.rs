//! Configurations that are gone back from: because nobody confirmed them, or because the operator says so.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{address, answering, fetch, status};
use crate::support::{Proxy, free_port, wait_until};

/// A listener on a port of its own, and the answer in a file that the configuration includes.
fn including(port: u16) -> String {
    format!("include = [\"answer.toml\"]\n[listener.web]\nbind = [\"127.0.0.1:{port}\"]\n")
}

fn answer(proxy: &Proxy, body: &str) {
    let text = format!("[[route]]\nrespond = {{ body = \"{body}\" }}\n");
    fs::write(proxy.folder().path().join("answer.toml"), text).unwrap();
}

#[test]
fn without_a_confirmation_the_configuration_before_serves_again() {
    let proxy = Proxy::start(&answering("old"));
    let web = address(&proxy, "web");
    proxy.rewrite(&answering("new"));
    let said = proxy.cli(&["reload", "--confirm", "1s"]).ok().text();
    assert!(
        said.starts_with("reloaded: generation 2; without"),
        "{said}"
    );
    assert_eq!(fetch(web), "new");
    let history = &status(&proxy)["config"]["history"];
    assert_eq!(history["unconfirmed"]["seconds_left"], 0, "{history}");
    let shown = proxy.cli(&["status"]).ok().text();
    assert!(shown.contains("UNCONFIRMED: the configuration before serves again in 0 s"));
    wait_until("the old one serves again", || fetch(web) == "old");
    proxy.wait_for("nobody has confirmed the configuration");
    proxy.wait_for("audit: config.unconfirmed done");
    let status = status(&proxy);
    let history = &status["config"]["history"];
    assert!(history["unconfirmed"].is_null(), "{history}");
    assert_eq!(history["is_rolled_back"], true);
    assert_eq!(status["config"]["generation"], 3);
    assert!(proxy.cli(&["status"]).ok().text().contains("ROLLED BACK"));
    let late = proxy.cli(&["confirm"]);
    assert_eq!(late.code, 1);
    assert!(
        late.stderr.contains("no configuration waits"),
        "{}",
        late.stderr
    );
    proxy.cli(&["reload"]).ok();
    assert_eq!(fetch(web), "new", "the file is as it was");
}

#[test]
fn a_confirmed_one_stays_and_can_be_rolled_back_by_hand() {
    let proxy = Proxy::start(&answering("first"));
    let web = address(&proxy, "web");
    let nothing = proxy.cli(&["rollback"]);
    assert_eq!(nothing.code, 1);
    assert!(nothing.stderr.contains("no configuration is known"));
    proxy.rewrite(&answering("second"));
    proxy.cli(&["reload", "--confirm", "1m"]).ok();
    proxy.rewrite(&answering("third"));
    for again in [&["reload"][..], &["reload", "--confirm", "2m"]] {
        let refused = proxy.cli(again);
        assert_eq!(refused.code, 1);
        assert!(refused.stderr.contains("waits for its confirmation"));
    }
    assert_eq!(fetch(web), "second");
    let confirmed = proxy.cli(&["confirm"]).ok().text();
    assert_eq!(confirmed, "confirmed: generation 2\n");
    proxy.cli(&["reload"]).ok();
    assert_eq!(fetch(web), "third");
    for (serves, steps) in [("second", 1), ("first", 0)] {
        let said = proxy.cli(&["rollback"]).ok().text();
        assert!(said.starts_with("rolled back: generation"), "{said}");
        assert_eq!(fetch(web), serves);
        let history = &status(&proxy)["config"]["history"];
        assert_eq!(history["steps_back"], steps);
    }
    assert_eq!(proxy.cli(&["rollback"]).code, 1);
    assert_eq!(fetch(web), "first");
}

#[test]
fn a_rollback_need_not_wait_for_the_time_to_confirm_in() {
    let proxy = Proxy::start(&answering("old"));
    let web = address(&proxy, "web");
    proxy.rewrite(&answering("new"));
    proxy.cli(&["reload", "--confirm", "1h"]).ok();
    assert_eq!(fetch(web), "new");
    proxy.cli(&["rollback"]).ok();
    assert_eq!(fetch(web), "old");
    assert_eq!(proxy.cli(&["confirm"]).code, 1, "nothing waits any more");
}

#[test]
fn a_time_that_is_none_is_wrong_usage() {
    let proxy = Proxy::start(&answering("old"));
    for time in ["soon", "0s", "25h"] {
        assert_eq!(proxy.cli(&["reload", "--confirm", time]).code, 2, "{time}");
    }
}

#[test]
fn a_process_that_dies_before_the_confirmation_starts_with_the_configuration_before() {
    let mut proxy = Proxy::start(&answering("old"));
    proxy.rewrite(&answering("new"));
    proxy.cli(&["reload", "--confirm", "1h"]).ok();
    assert_eq!(fetch(address(&proxy, "web")), "new");
    proxy.kill();
    proxy.start_again();
    proxy.wait_for("never confirmed: this starts with the configuration before it");
    assert_eq!(fetch(address(&proxy, "web")), "old");
    assert_eq!(status(&proxy)["config"]["history"]["is_rolled_back"], true);
    proxy.cli(&["reload"]).ok();
    assert_eq!(fetch(address(&proxy, "web")), "new");
    proxy.kill();
    proxy.start_again();
    assert_eq!(fetch(address(&proxy, "web")), "new");
    proxy.cli(&["rollback"]).ok();
    assert_eq!(fetch(address(&proxy, "web")), "old");
    // Another file than the one that was gone back from is what somebody wants now.
    proxy.kill();
    proxy.rewrite(&answering("newest"));
    proxy.start_again();
    assert_eq!(fetch(address(&proxy, "web")), "newest");
}

#[test]
fn what_was_included_is_kept_over_a_restart() {
    let port = free_port();
    let folderless = answering("nothing yet");
    let mut proxy = Proxy::start(&folderless);
    answer(&proxy, "old");
    proxy.rewrite(&including(port));
    proxy.cli(&["reload"]).ok();
    let web = address(&proxy, "web");
    assert_eq!(fetch(web), "old");
    answer(&proxy, "new");
    proxy.cli(&["reload"]).ok();
    assert_eq!(fetch(web), "new");
    proxy.signal("TERM");
    assert!(proxy.wait().success());
    let kept = proxy.folder().path().join("state/history.json");
    let mode = fs::metadata(kept).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "a configuration may hold passwords");
    proxy.start_again();
    assert_eq!(fetch(web), "new");
    proxy.cli(&["rollback"]).ok();
    assert_eq!(fetch(web), "old");
    proxy.cli(&["rollback"]).ok();
    assert_eq!(fetch(address(&proxy, "web")), "nothing yet");
}

#[test]
fn listeners_and_kept_changes_come_back_with_the_configuration() {
    let (one, two) = (free_port(), free_port());
    let config = |port: u16| {
        format!(
            "[listener.web]\nbind = [\"127.0.0.1:{port}\"]\n[upstream.app]\nendpoints = [\"127.0.0.1:9\"]\n\
             [[route]]\nname = \"all\"\nto = \"app\"\n"
        )
    };
    let proxy = Proxy::start(&config(one));
    let add = ["upstream", "add", "app", "127.0.0.1:10", "--persist"];
    proxy.cli(&add).ok();
    proxy.rewrite(&config(two));
    proxy.cli(&["reload", "--confirm", "1s"]).ok();
    assert_eq!(address(&proxy, "web").port(), two);
    wait_until("the first address serves again", || {
        address(&proxy, "web").port() == one
    });
    let upstreams = proxy.cli(&["upstream", "list"]).ok().text();
    assert!(upstreams.contains("127.0.0.1:10"), "{upstreams}");
}
