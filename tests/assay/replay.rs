//! `openclaw replay`: what a proxy has logged, asked again.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::openclaw_in;
use crate::support::{Folder, Origin, Proxy, RawClient};

fn config(endpoint: &str, shop: &str) -> String {
    format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\n[upstream.app]\nendpoints = [\"{endpoint}\"]\n\
         [[route]]\nname = \"shop\"\nmatch = {{ host = \"www.example.com\", path = \"{shop}\" }}\nto = \"app\"\n\
         [[route]]\nname = \"teapot\"\nmatch = {{ path = \"/teapot\" }}\nrespond = {{ status = 418 }}\n"
    )
}

/// Serves a few requests; the folder has their log, and files to ask.
fn served(format: &str) -> Folder {
    let origin = Origin::serving("app");
    let endpoint = origin.address().to_string();
    let folder = Folder::new();
    let log = folder.path().join("access.log");
    let access = format!(
        "[log]\naccess = {{ to = \"{}\", format = \"{format}\" }}\n",
        log.display()
    );
    let proxy = Proxy::start(&format!("{}{access}", config(&endpoint, "/shop")));
    let web = crate::control::address(&proxy, "web");
    // Over one connection: two workers may write their lines in any order.
    let mut client = RawClient::connect(web);
    for path in ["/shop", "/shop/cart?a=b", "/shop/x", "/teapot", "/none"] {
        client.send(format!(
            "GET {path} HTTP/1.1\r\nHost: www.example.com\r\n\r\n"
        ));
        client.response();
    }
    proxy.cli(&["stop"]).ok();
    folder.write("same.toml", config(&endpoint, "/shop"));
    folder.write("other.toml", config(&endpoint, "/shop/cart"));
    folder
}

#[test]
fn a_log_of_json_tells_what_a_change_would_do() {
    let folder = served("json");
    let same = openclaw_in(&folder, &["replay", "access.log", "--against", "same.toml"]).ok();
    assert_eq!(
        same.text(),
        "5 requests against same.toml: 5 the same, 0 would change, 0 cannot be told, 0 broken lines\n"
    );
    let other = openclaw_in(
        &folder,
        &["replay", "access.log", "--against", "other.toml"],
    );
    assert_eq!(other.code, 1);
    let expected = "5 requests against other.toml: 3 the same, 2 would change, 0 cannot be told, 0 broken lines\n  \
                    2: route shop, to app -> refused with 404, route.none\n    such as GET www.example.com/shop (line 1)\n";
    assert_eq!(other.text(), expected);
}

/// What is said of a log of these lines, as text and as JSON.
fn said(log: &str) -> (i32, String, Value) {
    let folder = Folder::new();
    folder.write("access.log", log);
    folder.write("some.toml", config("127.0.0.1:9", "/shop"));
    let arguments = ["replay", "access.log", "--against", "some.toml"];
    let text = openclaw_in(&folder, &arguments);
    let json = openclaw_in(&folder, &[&["-o", "json"], &arguments[..]].concat());
    assert_eq!(text.code, json.code, "{log}");
    let value = serde_json::from_slice(&json.stdout).unwrap();
    (text.code, text.text(), value)
}

#[test]
fn a_log_of_which_nothing_is_understood_is_a_failure() {
    let counts = "0 requests against some.toml: 0 the same, 0 would change, 0 cannot be told";
    let (code, text, json) = said("half a li\n");
    assert_eq!(code, 1);
    let why = "no line is one of our access log: replay reads its JSON and the combined format";
    assert_eq!(text, format!("{counts}, 1 broken line\n{why}\n"));
    assert_eq!(
        (&json["ok"], &json["problem"]),
        (&false.into(), &why.into())
    );
    let ecs = "{\"@timestamp\":\"2026-11-01T00:00:00.000Z\",\"ecs\":{\"version\":\"8.11\"}}\n";
    let (code, text, json) = said(&ecs.repeat(2));
    assert_eq!(code, 1);
    let why = "this is the ecs format, which replay does not read: it reads our JSON and the combined format";
    assert_eq!(text, format!("{counts}, 2 broken lines\n{why}\n"));
    assert_eq!(
        (&json["ok"], &json["problem"]),
        (&false.into(), &why.into())
    );
    let (code, text, json) = said("");
    assert_eq!(code, 0);
    assert_eq!(text, format!("{counts}, 0 broken lines\n"));
    assert_eq!(
        (&json["ok"], &json["problem"]),
        (&true.into(), &Value::Null)
    );
    let line =
        "192.0.2.1 - - [01/Nov/2026:00:00:00 +0000] \"GET /teapot HTTP/1.1\" 418 5 \"-\" \"-\"\n";
    let (code, text, _) = said(&format!("{line}half a li\n"));
    assert_eq!(code, 0);
    assert_eq!(
        text,
        "1 request against some.toml: 1 the same, 0 would change, 0 cannot be told, 1 broken line\n"
    );
}

#[test]
fn a_log_from_a_pipe_may_have_broken_lines() {
    let folder = served("combined");
    let mut log = std::fs::read(folder.path().join("access.log")).unwrap();
    log.extend(b"half a li\n\n");
    log.extend(vec![b'x'; 3 << 20]);
    log.extend(b"\n\xff\xfe\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_openclaw"));
    let arguments = [
        "-o",
        "json",
        "replay",
        "-",
        "--against",
        "other.toml",
        "--host",
        "www.example.com",
    ];
    command.args(arguments).current_dir(folder.path());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&log).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&json["requests"], &json["changed"], &json["broken"]),
        (&5.into(), &2.into(), &3.into())
    );
    assert_eq!(json["changes"][0]["after"], "refused with 404, route.none");
    let none = openclaw_in(
        &folder,
        &[
            "replay",
            "access.log",
            "--against",
            "other.toml",
            "--host",
            "www.example.com",
            "--limit",
            "0",
        ],
    );
    assert!(none.text().contains("and 1 more kinds"), "{}", none.text());
    let missing = openclaw_in(
        &folder,
        &["replay", "missing.log", "--against", "other.toml"],
    );
    assert_eq!(missing.code, 1);
    assert!(
        missing.stderr.contains("cannot read missing.log"),
        "{}",
        missing.stderr
    );
}
