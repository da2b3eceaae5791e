//! `openclaw explain request` says what becomes of a request.

use std::process::Command;

use crate::support::{Folder, Output};

const CONFIG: &str = r#"
[listener.web]
bind = ["127.0.0.1:0"]

[upstream.v1]
endpoints = ["127.0.0.1:9001"]

[upstream.v2]
endpoints = ["127.0.0.1:9002"]

[[route]]
name = "split"
match = { path_regex = '^/s/(.*)$' }
rewrite = { to = "/$1" }
to = [{ upstream = "v1", weight = 1 }, { upstream = "v2", weight = 1 }]

[[route]]
name = "tls"
match = { scheme = "http" }
redirect = { to = "https://{host}{uri}" }
"#;

fn explain(arguments: &[&str]) -> String {
    let folder = Folder::new();
    folder.write("openclaw.toml", CONFIG);
    let mut command = Command::new(env!("CARGO_BIN_EXE_openclaw"));
    command.args(["explain", "request", "GET"]).args(arguments);
    Output::of(command.current_dir(folder.path()), "the proxy")
        .ok()
        .text()
}

#[test]
fn the_variant_the_path_and_the_place_are_told() {
    let one = explain(&["http://a.test/s/x?y", "--from", "192.0.2.1"]);
    assert!(
        one.contains("route split: to one of v1 (1), v2 (1)"),
        "{one}"
    );
    assert!(one.contains("  as /x?y\n"), "{one}");
    assert_eq!(
        one,
        explain(&["http://a.test/s/x?y", "--from", "192.0.2.1"])
    );
    let told = |client: u32| {
        let text = explain(&[
            "/s/x",
            "-H",
            "Host: a",
            "--from",
            &format!("192.0.2.{client}"),
        ]);
        text.contains("for this client: v2\n")
    };
    let second = (0..16).filter(|client| told(*client)).count();
    assert!((1..16).contains(&second), "{second}");
    let sent = explain(&["http://a.test/x?y"]);
    assert!(
        sent.contains("redirects to https://a.test/x?y with 307"),
        "{sent}"
    );
    let no_more = explain(&["https://a.test/x?y"]);
    assert!(
        no_more.contains("not tls: does not match: scheme"),
        "{no_more}"
    );
}
