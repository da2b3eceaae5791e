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
