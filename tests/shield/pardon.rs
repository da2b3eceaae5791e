//! A ban that an operator takes back counts for nothing.

use super::closing::{ANSWER, SMUGGLED, Stage};
use crate::support::Folder;

#[test]
fn the_next_ban_of_a_peer_that_was_forgiven_is_a_first_one() {
    let folder = Folder::new();
    let config = format!(
        "{ANSWER}[server]\nworkers = 2\nstate_dir = \"{}\"\n[autoban]\nafter = {{ protocol = 1 }}\n",
        folder.path().display()
    );
    let mut stage = Stage::start(&config);
    let first = "autoban: http.smuggling once, ban 1";
    let ban = |stage: &Stage| {
        stage.from(2).send(SMUGGLED);
        assert_eq!(stage.wait_for_ban(2)["reason"], first);
    };
    let del = ["blocklist", "del", "127.0.0.2"];
    ban(&stage);
    stage.proxy.cli(&del).ok();
    ban(&stage);
    // Without a proxy it is no less forgiven.
    stage.proxy.signal("TERM");
    assert!(stage.proxy.wait().success());
    stage.proxy.cli(&del).ok();
    let stage = Stage::start(&config);
    ban(&stage);
}
