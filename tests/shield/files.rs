//! Lists without XDP: at accept, over restarts, from files.

use std::fs;

use super::lists::json;
use super::rig::PinDir;
use crate::control::{address, answering, sample};
use crate::support::{Folder, Proxy, curl, openclaw};

#[test]
fn without_xdp_the_lists_hold_where_connections_are_accepted() {
    let proxy = Proxy::start(&answering("hello"));
    let server = address(&proxy, "web");
    let loopback = "127.0.0.2";
    let get = || curl(&["--interface", loopback, &format!("http://{server}/")]).code;
    assert_eq!(get(), 0);
    proxy.cli(&["blocklist", "add", loopback]).ok();
    assert!(matches!(get(), 52 | 56), "closed at once");
    let refused = sample(&proxy, "openclaw_refusals_total{reason=\"shield.block\"}");
    assert_eq!(refused.as_deref(), Some("1"));
    let status = proxy.cli(&["shield", "status"]).ok().text();
    assert!(
        status.contains("block lists are applied when connections are accepted"),
        "{status}"
    );
    proxy.cli(&["blocklist", "flush"]).ok();
    assert_eq!(get(), 0);
}

#[test]
fn lists_come_back_after_a_restart_and_a_damaged_file_is_set_aside() {
    let config = answering("hello");
    let mut proxy = Proxy::start(&config);
    proxy
        .cli(&[
            "blocklist",
            "add",
            "203.0.113.7",
            "--ttl",
            "2h",
            "--reason",
            "scanner",
        ])
        .ok();
    proxy
        .cli(&["allowlist", "add", "2001:db8::/32", "--list", "office"])
        .ok();
    proxy.signal("TERM");
    proxy.wait();
    // The same state, without a proxy.
    let listed = json(&proxy.cli(&["-o", "json", "blocklist", "list"]).ok());
    let entry = &listed["entries"][0];
    assert_eq!(
        (&entry["address"], &entry["reason"]),
        (&"203.0.113.7".into(), &"scanner".into())
    );
    assert!(
        (7100..=7200).contains(&entry["expires_in"].as_u64().unwrap()),
        "{entry}"
    );
    let allowed = proxy
        .cli(&["allowlist", "export", "--list", "office"])
        .ok()
        .text();
    assert_eq!(allowed, "# list office\n2001:db8::/32\n");
    let file = proxy.folder().path().join("state/lists.json");
    fs::write(&file, "{\"version\":1,\"lists\":[{").unwrap();
    let listed = proxy.cli(&["blocklist", "list"]).ok();
    assert_eq!(listed.text(), "no block entries\n");
    assert!(
        listed.stderr.contains("is damaged and was moved to"),
        "{}",
        listed.stderr
    );
    assert!(!file.exists());
}

#[test]
fn a_file_goes_in_but_for_its_wrong_lines() {
    let folder = Folder::new();
    let file = folder.write(
        "feed.netset",
        "# a feed\n203.0.113.0/24\nnonsense\n127.0.0.1\n2001:db8::1/32\n",
    );
    let file = file.to_str().unwrap();
    let proxy = Proxy::start(&answering("hello"));
    let rehearsed = proxy
        .cli(&["blocklist", "import", file, "--list", "feed", "--dry-run"])
        .ok();
    assert_eq!(rehearsed.text(), "dry run: block list `feed`: 2 added\n");
    assert_eq!(
        proxy.cli(&["blocklist", "list"]).ok().text(),
        "no block entries\n"
    );
    let imported = proxy
        .cli(&["blocklist", "import", file, "--list", "feed", "--ttl", "1h"])
        .ok();
    insta::assert_snapshot!(imported.text() + &imported.stderr, @r"
    block list `feed`: 2 added
    line 3: not understood: `nonsense` is not an address or prefix, such as 203.0.113.7 or 2001:db8::/32
    line 4: refused: 127.0.0.1 cannot be blocked: it is this host itself
    line 5: note: 2001:db8::1/32 is taken as 2001:db8::/32
    ");
    let csv = proxy
        .cli(&["blocklist", "export", "--format", "csv"])
        .ok()
        .text();
    assert!(
        csv.starts_with("address,ttl,reason,list\n203.0.113.0/24,36")
            || csv.contains("203.0.113.0/24,35"),
        "{csv}"
    );
    let other = folder.write("other.csv", "203.0.113.9,,x\n");
    let other = other.to_str().unwrap();
    let replaced = proxy
        .cli(&["blocklist", "import", other, "--list", "feed", "--replace"])
        .ok();
    assert_eq!(replaced.text(), "block list `feed`: 1 added, 2 removed\n");
    for unusable in ["<html>\n", "", "# nothing today\n", "127.0.0.1\n"] {
        let file = folder.write("error.txt", unusable);
        let file = file.to_str().unwrap();
        let kept = proxy.cli(&["blocklist", "import", file, "--list", "feed", "--replace"]);
        assert_eq!(kept.code, 1, "{unusable:?}");
        let words = "the list stays as it is (`flush` empties it)";
        assert!(kept.stderr.contains(words), "{}", kept.stderr);
    }
    let limited = proxy
        .cli(&["blocklist", "list", "--limit", "0"])
        .ok()
        .text();
    assert_eq!(limited, "… and 1 more (--limit shows them)\n");
    assert_eq!(openclaw(&["blocklist", "import", "/nonexistent"]).code, 1);
    assert_eq!(openclaw(&["blocklist", "add"]).code, 2);
}

#[test]
fn what_is_acknowledged_outlives_the_process() {
    let mut proxy = Proxy::start(&answering("hello"));
    // The second comes while a save of the clock's own would still wait.
    for address in ["203.0.113.7", "203.0.113.8"] {
        proxy.cli(&["blocklist", "add", address]).ok();
    }
    proxy.cli(&["blocklist", "del", "203.0.113.7"]).ok();
    proxy.kill();
    let kept = proxy.cli(&["blocklist", "export"]).ok().text();
    assert_eq!(kept, "# list manual\n203.0.113.8\n");
}

#[test]
fn what_cannot_be_saved_is_acknowledged_with_a_warning() {
    let proxy = Proxy::start(&answering("hello"));
    fs::create_dir_all(proxy.folder().path().join("state/lists.json/in-the-way")).unwrap();
    let added = proxy.cli(&["blocklist", "add", "203.0.113.7"]).ok();
    assert!(
        added.stderr.contains("cannot save the lists"),
        "{}",
        added.stderr
    );
}

#[test]
fn a_state_directory_belongs_to_one_proxy() {
    let folder = Folder::new();
    let state = folder.path().join("state");
    let config = format!(
        "{}[server]\nstate_dir = \"{}\"\nworkers = 1\n",
        answering("hello"),
        state.display()
    );
    let mut first = Proxy::start(&config);
    let words = format!(
        "the state directory {} is in use by another openclaw (process {})",
        state.display(),
        first.pid()
    );
    let (ended, said) = Proxy::refuse(&config);
    assert_eq!(ended.code(), Some(1));
    assert!(said.contains(&words), "{said}");
    // Nor does a command line that finds no proxy where it looks change the lists behind the proxy's back.
    let socket = folder.path().join("none.sock");
    let socket = socket.to_str().unwrap();
    let path = first.config().to_str().unwrap().to_owned();
    let offline = [
        "-c",
        &path,
        "--socket",
        socket,
        "blocklist",
        "add",
        "203.0.113.7",
    ];
    let refused = openclaw(&offline);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains(&words), "{}", refused.stderr);
    first.kill();
    openclaw(&offline).ok();
    let successor = Proxy::start(&config);
    let kept = successor.cli(&["blocklist", "export"]).ok().text();
    assert_eq!(kept, "# list manual\n203.0.113.7\n");
}

#[test]
fn what_the_shield_cannot_do_as_configured_is_told() {
    let pins = PinDir::new();
    let shield = format!(
        "[shield]\ninterfaces = [\"no-such-if\"]\nblock = [\"127.0.0.0/8\", \"203.0.113.0/24\"]\npin_dir = \"{}\"\n",
        pins.0.display()
    );
    let config = answering("hello") + &shield;
    let proxy = Proxy::start(&config);
    let block = "shield.block: 127.0.0.0/8 meets 127.0.0.1, which is this host itself";
    let said = proxy.stderr();
    assert!(said.contains(block), "{said}");
    assert!(!said.contains("shield.block: 203"), "{said}");
    assert!(said.contains("the shield is NOT on no-such-if: "), "{said}");
    let check = proxy.cli(&["check"]).ok().stderr;
    let missing = "warning: there is no network interface `no-such-if`\n";
    assert!(check.contains(missing) && check.contains(block), "{check}");
    // With the place where it is named, and a hint.
    let place = check.split(missing).nth(1).unwrap_or_default();
    let place = place.lines().next().unwrap_or_default();
    assert!(place.contains("openclaw.toml:"), "{check}");
    let hint = "^^^^^^^^^^^^ `ip link` lists those that there are\n";
    assert!(check.contains(hint), "{check}");
    assert!(check.contains("= key: shield.interfaces[0]"), "{check}");
    let text = proxy.cli(&["check", "--text-only"]).ok().stderr;
    assert_eq!(text, "");
    let reloaded = proxy.cli(&["reload"]).ok().stderr;
    assert!(reloaded.contains(block), "{reloaded}");
    let attached = proxy.cli(&["shield", "attach", "nor-this"]);
    assert_eq!(attached.code, 1);
    let words = "there is no network interface `nor-this`; `ip link` lists";
    assert!(attached.stderr.contains(words), "{}", attached.stderr);
    let status = proxy.cli(&["shield", "status"]).ok().text();
    assert!(status.contains("no-such-if"), "{status}");
    assert!(!status.contains("nor-this"), "{status}");
    proxy.rewrite(&config.replace(&pins.0.display().to_string(), "/nowhere/pins"));
    let check = proxy.cli(&["check"]).ok().stderr;
    let words = "warning: shield.pin_dir: /nowhere/pins is not on a BPF file system";
    assert!(check.contains(words), "{check}");
}

#[test]
fn an_export_brings_every_list_back() {
    let proxy = Proxy::start(&answering("hello"));
    let more = ["--list", "scanners", "--reason", "loud, and often"];
    proxy.cli(&["blocklist", "add", "203.0.113.7"]).ok();
    proxy
        .cli(&[&["blocklist", "add", "198.51.100.0/24"], &more[..]].concat())
        .ok();
    for format in ["plain", "netset", "csv", "json"] {
        let exported = proxy.cli(&["blocklist", "export", "--format", format]).ok();
        let file = proxy.folder().write("exported", &exported.stdout);
        let file = file.to_str().expect("a path in UTF-8");
        proxy.cli(&["blocklist", "flush"]).ok();
        let imported = proxy.cli(&["blocklist", "import", file]).ok();
        assert_eq!(imported.text(), "block lists: 2 added\n", "{format}");
        let again = proxy.cli(&["blocklist", "export", "--format", format]).ok();
        assert_eq!(again.text(), exported.text());
    }
    let file = proxy.folder().path().join("exported");
    let file = file.to_str().expect("a path in UTF-8");
    let one = proxy
        .cli(&["blocklist", "import", file, "--list", "one"])
        .ok();
    assert_eq!(one.text(), "block list `one`: 2 added\n");
}
