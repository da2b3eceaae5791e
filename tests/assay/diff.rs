//! `openclaw diff`.

use serde_json::Value;

use super::openclaw_in;
use crate::support::Folder;

const OLD: &str = r#"
[listener.web]
bind = ["127.0.0.1:80"]

[shield]
block = ["203.0.113.0/24"]

[upstream.app]
endpoints = ["127.0.0.1:9001", "127.0.0.1:9002"]

[[route]]
name = "shop"
match = { path = "/shop" }
to = "app"

[[route]]
name = "old"
match = { path = "/old" }
redirect = { to = "/shop" }

[[test]]
request = "GET http://www.example.com/shop/cart"
expect = { route = "shop" }

[[test]]
packet = "tcp 203.0.113.9 -> :80 syn"
expect = { verdict = "drop" }
"#;

const NEW: &str = r#"
[listener.web]
bind = ["127.0.0.1:80", "127.0.0.1:81"]

[upstream.app]
endpoints = ["127.0.0.1:9001"]

[[route]]
name = "shop"
match = { path = "/shop" }
limit = { rate = "10/s" }
respond = { status = 503, body = "soon\n" }

[[route]]
name = "again"
match = { path = "/shop/" }
to = "app"

[[test]]
request = "GET http://www.example.com/shop/cart"
expect = { route = "shop" }
"#;

#[test]
fn what_two_files_do_is_compared() {
    let folder = Folder::new();
    folder.write("old.toml", OLD);
    folder.write("new.toml", NEW);
    // The same, written otherwise.
    let same = OLD.replace("[\"127.0.0.1:80\"]", "\"127.0.0.1:80\" # as it was");
    folder.write("same.toml", format!("{same}\n[log]\nlevel = \"info\"\n"));
    folder.write("broken.toml", "[listener.web]\n");
    let equal = openclaw_in(&folder, &["diff", "old.toml", "same.toml"]).ok();
    assert_eq!(equal.text(), "they do the same\n");
    let output = openclaw_in(&folder, &["diff", "old.toml", "new.toml"]);
    assert_eq!(output.code, 1);
    insta::assert_snapshot!(output.text(), @r"
    ~ listener web
        bind: + 127.0.0.1:81
    ~ route shop
        to: [{ upstream = app }] -> absent
        respond: absent -> { status = 503, body = soon\n }
        limit: absent -> { rate = 10/s }
    - route old: { name = old, match = { path = /old }, redirect = { to = /shop } }
    + route again: { name = again, match = { path = /shop/ }, to = [{ upstream = app }] }
    ~ upstream app
        endpoints: - { address = 127.0.0.1:9002 }
    ~ shield
        block: - 203.0.113.0/24
    ! no request comes to the route again any more: shop takes all that it would take
    ? GET http://www.example.com/shop/cart
        route shop, to app
        -> route shop, answers 503 itself
    ? tcp 203.0.113.9 -> :80 syn
        dropped, shield.block
        -> passes, shield.pass
    ");
    let json = openclaw_in(&folder, &["-o", "json", "diff", "old.toml", "new.toml"]);
    assert_eq!(json.code, 1);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["ok"], false);
    assert_eq!(json["changes"][0]["what"], "listener web");
    assert_eq!(json["unreachable"][0]["route"], "again");
    assert_eq!(json["tests"][1]["new"]["verdict"], "pass");
    let broken = openclaw_in(&folder, &["diff", "old.toml", "broken.toml"]);
    assert_eq!(broken.code, 2);
    assert!(
        broken.stderr.contains("missing key `bind`"),
        "{}",
        broken.stderr
    );
    let missing = openclaw_in(&folder, &["diff", "missing.toml", "old.toml"]);
    assert_eq!(missing.code, 2, "{}", missing.stderr);
    assert!(
        missing.stderr.contains("missing.toml"),
        "{}",
        missing.stderr
    );
}
