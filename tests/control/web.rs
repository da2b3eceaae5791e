//! The page for browsers, as raw bytes on its address: what it shows to whom, and who may change something.

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::control::{forwarding, status};
use crate::support::{Message, Origin, Output, PATIENCE, Proxy, RawClient};

const TOKEN: &str = "a-token-of-letters";
const ASSETS: [&str; 5] = ["/", "/style.css", "/figures.js", "/page.js", "/icon.svg"];

/// A proxy before an origin, with these keys in `[admin]`.
fn proxy(origin: &Origin, admin: &str) -> Proxy {
    let listener = forwarding(origin.address());
    Proxy::start(&format!("{listener}\n[admin]\n{admin}\n"))
}

fn page(proxy: &Proxy) -> SocketAddr {
    let status = status(proxy);
    let address = status["web"].as_str().expect("an address");
    address.parse().expect("an address")
}

/// One request on a connection of its own; `fields` are whole lines.
fn send(page: SocketAddr, line: &str, fields: &str, body: &str) -> Message {
    let mut client = RawClient::connect(page);
    let length = body.len();
    let request = format!("{line} HTTP/1.1\r\n{fields}content-length: {length}\r\n\r\n{body}");
    client.exchange(request)
}

fn ask(page: SocketAddr, line: &str) -> Message {
    send(page, line, "host: localhost\r\n", "")
}

fn order(page: SocketAddr, token: &str, order: &Value) -> Message {
    let fields = format!(
        "host: localhost\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n"
    );
    send(page, "POST /api/change", &fields, &order.to_string())
}

fn read(message: &Message) -> Value {
    serde_json::from_slice(&message.body).expect("an answer is JSON")
}

#[test]
fn the_page_is_part_of_the_program_and_closed_to_whatever_is_outside() {
    let origin = Origin::serving("x");
    let proxy = proxy(&origin, "web = \"127.0.0.1:0\"");
    let page = page(&proxy);
    let mut all: Vec<(u16, Message)> = Vec::new();
    for asset in ASSETS {
        let answer = ask(page, &format!("GET {asset}"));
        assert!(answer.body.len() > 100, "{asset}");
        all.push((200, answer));
    }
    for (line, status) in [
        ("GET /?x=1", 200),
        ("GET /api/top", 200),
        ("GET /api/bans", 200),
        ("GET /api/access", 200),
        ("GET /nowhere", 404),
        ("GET /status", 404),
        ("GET /api/", 404),
        ("GET /assets/page.html", 404),
        ("POST /", 405),
        ("POST /api/top", 405),
        ("GET /api/change", 405),
        ("OPTIONS /api/change", 405),
    ] {
        all.push((status, ask(page, line)));
    }
    for (status, answer) in all {
        assert_eq!(answer.status(), status, "{answer:?}");
        let field = |name| answer.header(name).unwrap_or_default().to_owned();
        let policy = field("content-security-policy");
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(rule), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(field("x-frame-options"), "DENY");
        assert_eq!(field("x-content-type-options"), "nosniff");
        assert_eq!(field("cache-control"), "no-store");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    let banner = format!("page       http://{page}/");
    assert!(proxy.stderr().contains(&banner), "{}", proxy.stderr());
}

#[test]
fn a_name_that_only_points_here_is_not_answered() {
    let origin = Origin::serving("x");
    let proxy = proxy(
        &origin,
        "web = \"127.0.0.1:0\"\nweb_names = [\"proxy.test\"]",
    );
    let page = page(&proxy);
    for (host, status) in [
        ("127.0.0.1", 200),
        ("[::1]:9465", 200),
        ("localhost:9465", 200),
        ("proxy.test", 200),
        ("Proxy.Test:80", 200),
        ("evil.test", 403),
        ("localhost.evil.test", 403),
        ("127.0.0.1.evil.test", 403),
        ("", 403),
    ] {
        for path in ["/", "/page.js", "/api/top"] {
            let answer = send(
                page,
                &format!("GET {path}"),
                &format!("host: {host}\r\n"),
                "",
            );
            assert_eq!(answer.status(), status, "{host} {path}");
        }
    }
    for fields in ["", "host: localhost\r\nhost: localhost\r\n"] {
        let status = send(page, "GET /api/top", fields, "").status();
        assert!([400, 403].contains(&status), "{fields:?}: {status}");
    }
    let absolute = ask(page, "GET http://evil.test/api/top");
    assert_eq!(absolute.status(), 403);
}

#[test]
fn it_shows_what_top_shows_and_changes_nothing_without_a_token() {
    let origin = Origin::serving("x");
    let proxy = proxy(&origin, "web = \"127.0.0.1:0\"");
    let page = page(&proxy);
    let shown = read(&ask(page, "GET /api/top"));
    let told: Value = serde_json::from_str(&proxy.cli(&["-o", "json", "top"]).ok().text()).unwrap();
    let keys =
        |sample: &Value| -> Vec<String> { sample.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(keys(&shown), keys(&told));
    assert_eq!(shown["pid"], proxy.pid());
    assert_eq!(shown["upstreams"], told["upstreams"]);
    assert_eq!(
        read(&ask(page, "GET /api/access")),
        json!({ "changes": false, "known": false })
    );
    let drain = json!({ "verb": "drain", "upstream": "app", "endpoint": origin.address() });
    for token in [TOKEN, ""] {
        let answer = order(page, token, &drain);
        assert_eq!(answer.status(), 401, "{answer:?}");
    }
    let bare = ask(page, "POST /api/change");
    assert_eq!(bare.status(), 403);
    let again = read(&ask(page, "GET /api/top"));
    assert_eq!(again["upstreams"][0]["endpoints"][0]["state"], "up");
    // Bans as they happen, to whoever asks from then on.
    let first = read(&ask(page, "GET /api/bans"));
    assert_eq!(first, json!({ "watched": true, "last": 0, "events": [] }));
    proxy.cli(&["blocklist", "add", "203.0.113.7"]).ok();
    let second = read(&ask(page, "GET /api/bans?after=0"));
    assert_eq!(second["events"][0]["prefix"], "203.0.113.7");
    assert_eq!(second["last"], 1);
    let third = read(&ask(page, "GET /api/bans?after=1"));
    assert_eq!(third["events"], json!([]));
}

#[test]
fn who_knows_the_token_may_give_a_few_orders_and_the_security_log_tells() {
    let origins = Origin::siblings(2);
    let endpoints: Vec<String> = origins
        .iter()
        .map(|one| format!("\"{}\"", one.address()))
        .collect();
    let proxy = Proxy::start(&format!(
        "[listener.web]\nbind = \"127.0.0.1:0\"\n[upstream.app]\nendpoints = [{}]\n[[route]]\nto = \"app\"\n\
         [log]\naccess = {{ to = \"off\" }}\nsecurity = {{ to = \"security.log\" }}\n\
         [admin]\nweb = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n",
        endpoints.join(", ")
    ));
    let page = page(&proxy);
    let state =
        || read(&ask(page, "GET /api/top"))["upstreams"][0]["endpoints"][0]["state"].clone();
    let endpoint = origins[0].address();
    let endpoint = |verb: &str| json!({ "verb": verb, "upstream": "app", "endpoint": endpoint });
    assert_eq!(order(page, TOKEN, &endpoint("drain")).status(), 200);
    assert_eq!(state(), "draining");
    assert_eq!(order(page, TOKEN, &endpoint("enable")).status(), 200);
    assert_eq!(state(), "up");
    let block = json!({ "verb": "block", "address": "203.0.113.9", "ttl": "1h", "reason": "seen" });
    assert_eq!(order(page, TOKEN, &block).status(), 200);
    let listed = || proxy.cli(&["blocklist", "list"]).text();
    assert!(listed().contains("203.0.113.9"), "{}", listed());
    let unblock = json!({ "verb": "unblock", "address": "203.0.113.9" });
    assert_eq!(order(page, TOKEN, &unblock).status(), 200);
    assert!(!listed().contains("203.0.113.9"), "{}", listed());
    let purge = order(page, TOKEN, &json!({ "verb": "purge_all" }));
    assert_eq!(
        (purge.status(), &read(&purge)["error"]),
        (409, &"no route has a cache".into())
    );
    // What this page cannot be told.
    for wrong in [
        endpoint("del"),
        json!({ "verb": "stop" }),
        json!({ "verb": "block" }),
    ] {
        assert_eq!(order(page, TOKEN, &wrong).status(), 400, "{wrong}");
    }
    // What another site can make a browser send.
    let form =
        format!("host: localhost\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: text/plain\r\n");
    let drain = endpoint("drain").to_string();
    assert_eq!(send(page, "POST /api/change", &form, &drain).status(), 415);
    let json = "host: localhost\r\ncontent-type: application/json\r\n";
    for line in [
        "POST /api/change".to_owned(),
        format!("POST /api/change?token={TOKEN}"),
    ] {
        let answer = send(page, &line, json, &drain);
        assert_eq!(answer.status(), 401);
        let scheme = answer.header("www-authenticate").unwrap_or_default();
        assert!(scheme.starts_with("Bearer"), "{scheme}");
    }
    assert_eq!(
        order(page, "a-token-of-letterz", &endpoint("drain")).status(),
        401
    );
    assert_eq!(state(), "up");
    let log = || fs::read_to_string(proxy.folder().path().join("security.log")).unwrap_or_default();
    // Written by a thread of its own.
    let end = std::time::Instant::now() + PATIENCE;
    while !log().contains("wrong_token") {
        assert!(std::time::Instant::now() < end, "{}", log());
        std::thread::yield_now();
    }
    let changes: Vec<Value> = log()
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["event"] == "change")
        .collect();
    let action = |index: usize| changes[index]["action"].as_str().unwrap().to_owned();
    assert_eq!(action(0), "upstream.drain");
    assert_eq!(changes[0]["detail"]["verb"], "drain");
    assert!(
        changes[0]["peer"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1:")
    );
    assert_eq!(action(2), "blocklist.add");
    assert!(!log().contains(TOKEN), "{}", log());
}

#[test]
fn beyond_this_machine_reading_needs_the_token_that_may_be_in_a_file() {
    let origin = Origin::serving("x");
    let folder = crate::support::Folder::new();
    let file = folder.write("token", format!("{TOKEN}\n"));
    let proxy = proxy(
        &origin,
        &format!("web = \"0.0.0.0:0\"\ntoken_file = \"{}\"", file.display()),
    );
    let page = SocketAddr::from(([127, 0, 0, 1], page(&proxy).port()));
    let with = |token: &str, path: &str| {
        let fields = format!("host: localhost\r\nauthorization: Bearer {token}\r\n");
        send(page, &format!("GET {path}"), &fields, "").status()
    };
    for path in ["/api/top", "/api/bans", "/api/access"] {
        assert_eq!(ask(page, &format!("GET {path}")).status(), 401, "{path}");
        assert_eq!(with(TOKEN, path), 200, "{path}");
    }
    // Whoever has no token sees where to write it.
    assert_eq!(ask(page, "GET /").status(), 200);
    folder.write("token", "another-token-of-letters");
    assert_eq!(with(TOKEN, "/api/top"), 401);
    assert_eq!(with("another-token-of-letters", "/api/top"), 200);
    fs::remove_file(&file).unwrap();
    assert_eq!(with(TOKEN, "/api/top"), 503);
}

#[test]
fn without_its_token_or_with_an_open_address_it_does_not_start() {
    for (admin, said) in [
        ("web = \"0.0.0.0:0\"", "bind it to 127.0.0.1"),
        (
            "web = \"127.0.0.1:0\"\ntoken_file = \"nowhere\"",
            "cannot read the token of the page in",
        ),
    ] {
        let config = crate::control::answering("x");
        let (status, told) = Proxy::refuse(&format!("{config}\n[admin]\n{admin}\n"));
        assert!(!status.success() && told.contains(said), "{told}");
    }
}

#[test]
fn browsers_that_stand_still_make_way_for_one_that_asks() {
    let origin = Origin::serving("x");
    let proxy = proxy(
        &origin,
        &format!("web = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\""),
    );
    let page = page(&proxy);
    let half = format!(
        "POST /api/change HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\nhalf"
    );
    let mut silent: Vec<RawClient> = (0..64)
        .map(|index| {
            let mut client = RawClient::connect(page);
            // Of each kind: in the middle of a body, and in the middle of a head.
            client.send(if index % 2 == 0 { &half } else { "GET / HT" });
            client
        })
        .collect();
    assert_eq!(ask(page, "GET /api/top").status(), 200);
    // The first one has said something since it came.
    match silent[1].try_read_to_end() {
        Ok(answer) => assert_eq!(answer, b"", "the oldest makes way"),
        // Where not all that it said had been read.
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[test]
fn the_page_goes_on_with_the_process_that_takes_over() {
    let origin = Origin::serving("x");
    let proxy = proxy(&origin, "web = \"127.0.0.1:0\"");
    let page = page(&proxy);
    let config = fs::read_to_string(proxy.config()).unwrap();
    // Port 0 would be another one.
    let fixed = config.replacen("web = \"127.0.0.1:0\"", &format!("web = \"{page}\""), 1);
    fs::write(proxy.config(), fixed).unwrap();
    let successor = proxy.upgrade(&[]);
    assert_eq!(read(&ask(page, "GET /api/top"))["pid"], successor);
    let status: Output = proxy.cli(&["status"]).ok();
    assert!(
        status.text().contains(&page.to_string()),
        "{}",
        status.text()
    );
}
