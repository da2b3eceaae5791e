//! What an operator has put on a list stays there, whatever comes between.

use std::fs;

use crate::control::answering;
use crate::support::{Folder, Proxy};

#[test]
fn lists_that_cannot_be_read_are_put_aside_and_not_written_over() {
    let mut proxy = Proxy::start(&answering("hello"));
    proxy.signal("TERM");
    proxy.wait();
    // Root reads everything but a directory.
    let state = proxy.folder().path().join("state");
    let _ = fs::remove_file(state.join("lists.json"));
    fs::create_dir_all(state.join("lists.json/precious")).unwrap();
    proxy.start_again();
    proxy.wait_for("lists.json, which was moved to");
    proxy.cli(&["blocklist", "add", "203.0.113.7"]).ok();
    assert!(state.join("lists.json").is_file());
    let aside = fs::read_dir(&state).unwrap();
    let mut aside = aside.map(|entry| entry.unwrap().path().join("precious"));
    assert!(aside.any(|kept| kept.exists()), "it is gone");
}

#[test]
fn a_block_that_is_allowed_for_a_while_outlives_a_restart() {
    let mut proxy = Proxy::start(&answering("hello"));
    proxy.cli(&["blocklist", "add", "203.0.113.7"]).ok();
    let plain = fs::read_to_string(proxy.config()).unwrap();
    let allowing = plain.replace("[shield]\n", "[shield]\nallow = [\"203.0.113.0/24\"]\n");
    assert_ne!(allowing, plain);
    for config in [&allowing, &plain] {
        proxy.signal("TERM");
        proxy.wait();
        fs::write(proxy.config(), config).unwrap();
        proxy.start_again();
        let kept = proxy.cli(&["blocklist", "export"]).ok().text();
        assert_eq!(kept, "# list manual\n203.0.113.7\n");
    }
    let tested = proxy.cli(&["blocklist", "test", "203.0.113.7"]);
    assert!(tested.text().contains("blocked"), "{}", tested.text());
}

#[test]
fn what_an_import_put_on_a_list_holds_though_another_list_takes_nothing() {
    let folder = Folder::new();
    let feed = folder.write("feed.txt", "192.0.2.1\n");
    let config = format!(
        "{}[[shield.lists]]\nname = \"zdrop\"\nfile = \"{}\"\n",
        answering("hello"),
        feed.display()
    );
    let proxy = Proxy::start(&config);
    let both = "address,ttl,reason,list\n127.0.0.2,,x,manual\n203.0.113.9,,x,zdrop\n";
    let both = folder.write("both.csv", both);
    let imported = proxy.cli(&["blocklist", "import", both.to_str().unwrap()]);
    assert_eq!(imported.code, 1, "{}", imported.stderr);
    let status = proxy.cli(&["explain", "ip", "127.0.0.2"]).ok().text();
    assert!(status.contains("drop"), "{status}");
    let web = crate::control::address(&proxy, "web");
    let client = crate::support::RawClient::try_connect_from([127, 0, 0, 2].into(), web);
    let is_served = client.is_ok_and(|mut client| {
        client.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").is_ok()
            && client.try_response("GET").is_ok()
    });
    assert!(!is_served, "a client is served that `manual` blocks");
}
