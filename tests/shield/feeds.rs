//! Lists that others keep: files that change, and URLs that answer well, badly and not at all.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::lists::json;
use crate::control::{answering, sample};
use crate::support::{Folder, Origin, Peer, Proxy, wait_until};

pub(super) fn config(lists: &str, folder: &Folder) -> String {
    let (state, pins) = (folder.path().join("state"), folder.path().join("pins"));
    format!(
        "{}[server]\nstate_dir = \"{}\"\n[shield]\npin_dir = \"{}\"\nlists = [{lists}]\n",
        answering("hello"),
        state.display(),
        pins.display(),
    )
}

/// The addresses of a list.
pub(super) fn addresses(proxy: &Proxy, list: &str) -> Vec<String> {
    let listed = json(
        &proxy
            .cli(&["-o", "json", "blocklist", "list", "--list", list])
            .ok(),
    );
    let entries = listed["entries"].as_array().expect("a list").iter();
    entries
        .map(|entry| entry["address"].as_str().expect("an address").to_owned())
        .collect()
}

/// Figures of a list's source.
pub(super) fn feed(proxy: &Proxy, list: &str) -> Value {
    let stats = json(&proxy.cli(&["-o", "json", "blocklist", "stats"]).ok());
    let lists = stats["lists"].as_array().expect("a list").iter();
    let mut lists = lists.filter(|one| one["name"] == list);
    lists.next().expect("the list is there")["feed"].clone()
}

#[test]
fn a_file_is_followed_and_nothing_in_it_locks_the_host_out() {
    let folder = Folder::new();
    let file = folder.write("drop.netset", "# x\n203.0.113.7\n2001:db8::/32\n");
    let list = format!("{{ name = \"drop\", file = \"{}\" }}", file.display());
    let proxy = Proxy::start(&config(&list, &folder));
    assert_eq!(addresses(&proxy, "drop"), ["203.0.113.7", "2001:db8::/32"]);
    let refused = proxy.cli(&["blocklist", "add", "203.0.113.8", "--list", "drop"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("follows its file or url"),
        "{}",
        refused.stderr
    );

    folder.write("new", "198.51.100.0/24\n0.0.0.0/0\n127.0.0.1\n");
    std::fs::rename(folder.path().join("new"), &file).unwrap();
    wait_until("the new file is read", || {
        addresses(&proxy, "drop") == ["198.51.100.0/24"]
    });
    let error = feed(&proxy, "drop")["last_error"].to_string();
    assert!(
        error.contains("2 lines left out; line 2: 0.0.0.0/0 cannot be blocked"),
        "{error}"
    );

    folder.write("drop.netset", "<html>\n");
    wait_until("the page is refused", || {
        feed(&proxy, "drop")["last_error"]
            .to_string()
            .contains("no line of it can be used")
    });
    assert_eq!(addresses(&proxy, "drop"), ["198.51.100.0/24"]);
    std::fs::remove_file(&file).unwrap();
    wait_until("the missing file is told", || {
        feed(&proxy, "drop")["last_error"]
            .to_string()
            .contains("cannot read")
    });
    assert_eq!(addresses(&proxy, "drop"), ["198.51.100.0/24"]);
    assert_eq!(proxy.cli(&["check"]).code, 2);

    proxy.rewrite(&config("", &folder));
    proxy.cli(&["reload"]).ok();
    assert_eq!(
        proxy.cli(&["blocklist", "list"]).ok().text(),
        "no block entries\n"
    );
}

/// An origin whose answers are chosen by their number, each on a connection of its own.
fn origin(
    answer: impl Fn(usize, &str) -> Vec<u8> + Send + Sync + 'static,
) -> (Origin, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let origin = Origin::start(move |peer: &mut Peer| -> io::Result<()> {
        let request = peer.read_until(b"\r\n\r\n")?;
        let number = counted.fetch_add(1, Ordering::SeqCst);
        peer.send(answer(number, &String::from_utf8_lossy(&request)))?;
        peer.finish()
    });
    (origin, count)
}

fn ok(body: &str, more: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n{more}\r\n{body}").into_bytes()
}

#[test]
fn a_url_is_asked_for_what_is_new_and_bad_answers_change_nothing() {
    let (origin, count) = origin(|number, request| match number {
        0 => b"HTTP/1.1 302 Found\r\nlocation: /list\r\ncontent-length: 0\r\n\r\n".to_vec(),
        1 => {
            assert!(request.starts_with("GET /list HTTP/1.1\r\n"), "{request}");
            ok("203.0.113.7\n", "etag: \"one\"\r\n")
        }
        2 => b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec(),
        3 => b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n203.0.113.1\n".to_vec(),
        4 => b"HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n".to_vec(),
        5 => ok("<html>maintenance\n", ""),
        6 => b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n".to_vec(),
        _ => ok("198.51.100.0/24\n127.0.0.0/8\n", "etag: \"two\"\r\n"),
    });
    let folder = Folder::new();
    let list = format!(
        "{{ name = \"feed\", url = \"http://{}/start\", every = \"1s\" }}",
        origin.address()
    );
    let proxy = Proxy::start(&config(&list, &folder));
    wait_until("the list is there", || {
        addresses(&proxy, "feed") == ["203.0.113.7"]
    });
    for (number, told) in [
        (4, "the answer was cut short"),
        (5, "answered 503"),
        (6, "no line of it can be used"),
        (7, "larger than 64 MiB"),
    ] {
        let line = proxy.wait_for(told);
        assert!(line.contains("the list stays as it is"), "{number}: {line}");
    }
    wait_until("the new list is there", || {
        addresses(&proxy, "feed") == ["198.51.100.0/24"]
    });
    assert!(count.load(Ordering::SeqCst) >= 8);
    let asked = origin.received();
    let asked: Vec<String> = asked
        .iter()
        .map(|bytes| String::from_utf8_lossy(bytes).to_ascii_lowercase())
        .collect();
    assert!(!asked[1].contains("if-none-match"), "{}", asked[1]);
    for request in &asked[2..7] {
        assert!(request.contains("if-none-match: \"one\"\r\n"), "{request}");
    }
    let failures = sample(
        &proxy,
        "openclaw_list_failures_total{kind=\"block\",list=\"feed\"}",
    );
    assert_eq!(failures.as_deref(), Some("4"));
}

#[test]
fn a_dead_feed_ends_and_a_start_without_a_network_has_the_last_copy() {
    let (origin, _) = origin(|_, _| ok("203.0.113.7\n", ""));
    let folder = Folder::new();
    let list = |ttl: &str| {
        format!(
            "{{ name = \"feed\", url = \"http://{}/\", every = \"1s\"{ttl} }}",
            origin.address()
        )
    };
    let text = config(&list(""), &folder);
    let mut proxy = Proxy::start(&text);
    wait_until("the list is there", || {
        addresses(&proxy, "feed") == ["203.0.113.7"]
    });
    proxy.signal("TERM");
    proxy.wait();
    let (short, long) = (
        config(&list(", ttl = \"4s\""), &folder),
        config(&list(", ttl = \"1h\""), &folder),
    );
    drop(origin);

    let mut proxy = Proxy::start(&long);
    assert_eq!(addresses(&proxy, "feed"), ["203.0.113.7"]);
    wait_until("the failure is told", || {
        feed(&proxy, "feed")["last_error"].is_string()
    });
    assert_eq!(addresses(&proxy, "feed"), ["203.0.113.7"]);
    proxy.rewrite(&short);
    proxy.cli(&["reload"]).ok();
    wait_until("the entries end", || addresses(&proxy, "feed").is_empty());
    assert_eq!(feed(&proxy, "feed")["expired"], true);
    let expired = sample(
        &proxy,
        "openclaw_list_expired{kind=\"block\",list=\"feed\"}",
    );
    assert_eq!(expired.as_deref(), Some("1"));
    proxy.signal("TERM");
    proxy.wait();
}
