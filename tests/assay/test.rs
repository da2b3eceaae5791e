//! `openclaw test`.

use serde_json::Value;

use super::openclaw_in;
use crate::support::{Folder, Shape, mmdb};

const CONFIG: &str = r#"
[listener.web]
bind = ["127.0.0.1:443"]
protocols = ["h1", "h2", "h3"]
tls = { self_signed = ["www.example.com"] }

[shield]
allow = ["198.51.100.0/24"]
block = ["203.0.113.0/24", "2001:db8:bad::/48"]
lists = [{ name = "drop", file = "drop.netset" }, { name = "feed", url = "https://lists.invalid/x" }]

[upstream.app]
endpoints = ["127.0.0.1:9001"]

[[route]]
name = "static"
match = { host = "*.example.com", path = "/static" }
to = "app"
"#;

fn folder(tests: &str) -> Folder {
    let folder = Folder::new();
    folder.write("drop.netset", "192.0.2.0/25\n198.51.100.7\n");
    folder.write("openclaw.toml", format!("{CONFIG}{tests}"));
    folder
}

/// Tests of packets, each with its verdict and reason.
fn packets(rows: &[(&str, &str, &str)]) -> String {
    let tests = rows.iter().map(|(packet, verdict, reason)| {
        format!("[[test]]\npacket = \"{packet}\"\nexpect = {{ verdict = \"{verdict}\", reason = \"{reason}\" }}\n")
    });
    tests.collect()
}

#[test]
fn requests_and_packets_are_decided_without_a_socket() {
    let rows = [
        ("tcp 203.0.113.9 -> :443 syn", "drop", "shield.block"),
        ("tcp 192.0.2.9 -> :443 syn", "drop", "shield.block"),
        ("tcp 192.0.2.200 -> :443 syn", "pass", "shield.pass"),
        ("tcp 198.51.100.7 -> :443", "pass", "shield.allow"),
        (
            "udp 2001:db8:bad::1 -> :443 initial",
            "drop",
            "shield.block",
        ),
        ("udp 2001:db8::1 -> :443 initial", "pass", "shield.pass"),
        ("udp 2001:db8::1 -> :443 short", "drop", "shield.quic_short"),
        ("udp 2001:db8::1 -> :53 short", "pass", "shield.pass"),
        ("tcp 192.0.2.200 -> :443 none", "drop", "shield.bad_flags"),
        ("tcp 192.0.2.200 -> 192.0.2.200:443", "drop", "shield.land"),
        ("tcp 192.0.2.200 -> :0", "drop", "shield.zero_port"),
        (
            "tcp 192.0.2.200 -> :443 ack fragment",
            "drop",
            "shield.fragment",
        ),
        ("tcp 127.0.0.1 -> :443", "pass", "shield.pass"),
        ("icmp 192.0.2.200 -> 192.0.2.1", "pass", "shield.pass"),
    ];
    let request = "[[test]]\nname = \"pictures\"\nrequest = \"GET https://www.example.com/static/a.png\"\nfrom = \"192.0.2.200\"\nexpect = { route = \"static\", status = 200 }\n";
    let folder = folder(&format!("{request}{}", packets(&rows)));
    let output = openclaw_in(&folder, &["test"]);
    assert_eq!(output.code, 0, "{}", output.text());
    assert_eq!(output.text(), "openclaw.toml: ok (15 passed)\n");
    assert_eq!(
        output.stderr,
        "warning: the list `feed` is not in a file: it counts as empty\n"
    );
    let some = openclaw_in(&folder, &["test", "--filter", "pict"]).ok();
    assert_eq!(some.text(), "openclaw.toml: ok (1 passed)\n");
}

#[test]
fn a_filter_that_takes_no_test_is_a_failure() {
    let folder = folder(&packets(&[(
        "tcp 203.0.113.9 -> :443 syn",
        "drop",
        "shield.block",
    )]));
    let none = openclaw_in(&folder, &["test", "--filter", "pictuer"]);
    assert_eq!(none.code, 1);
    assert_eq!(
        none.text(),
        "openclaw.toml: none of 1 tests is called like this\n"
    );
    let json = openclaw_in(&folder, &["-o", "json", "test", "--filter", "pictuer"]);
    assert_eq!(json.code, 1);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (&json["ok"], &json["passed"], &json["failed"]),
        (&false.into(), &0.into(), &0.into())
    );
}

#[test]
fn a_test_over_what_no_listener_speaks_fails() {
    let config = "[listener.web]\nbind = [\"127.0.0.1:80\"]\n\
                  [[route]]\nname = \"all\"\nrespond = { status = 200 }\n";
    let failing = |asks: &str, why: &str| {
        let folder = Folder::new();
        folder.write(
            "openclaw.toml",
            format!("{config}[[test]]\n{asks}\nexpect = {{ status = 200 }}\n"),
        );
        let output = openclaw_in(&folder, &["test"]);
        assert_eq!(output.code, 1, "{asks}");
        assert!(output.text().contains(why), "{}", output.text());
        let json = openclaw_in(&folder, &["-o", "json", "test"]);
        assert_eq!(json.code, 1, "{asks}");
        let json: Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(json["tests"][0]["got"]["verdict"], "nowhere");
        assert_eq!(json["tests"][0]["got"]["reason"], Value::Null);
    };
    failing(
        "request = \"GET http://a.test/\"\nprotocol = \"h3\"",
        "no listener speaks h3",
    );
    failing(
        "request = \"GET https://a.test/\"\nprotocol = \"h1\"",
        "no listener speaks h1 for https URLs",
    );
}

#[test]
fn countries_floods_and_trials_are_known() {
    let always = "\n[shield]\nsyn = { mode = \"always\" }\nblock = [\"203.0.113.0/24\"]\nblock_action = \"monitor\"\ngeo = { database = \"country.mmdb\", deny = [\"DE\"] }\n";
    let config = format!(
        "[listener.web]\nbind = [\"127.0.0.1:80\"]\n{always}{}",
        packets(&[
            ("tcp 192.0.2.1 -> :80 syn", "tx", "shield.syn_cookie"),
            ("tcp 192.0.2.1 -> :81 syn", "pass", "shield.pass"),
            ("tcp 192.0.2.1 -> :80 ack", "pass", "shield.pass"),
            (
                "icmp 203.0.113.9 -> 192.0.2.1",
                "pass",
                "shield.would_block"
            ),
            ("tcp 5.0.0.1 -> :80 syn", "drop", "shield.geo"),
        ])
    );
    let folder = Folder::new();
    folder.write(
        "country.mmdb",
        mmdb(Shape::Nested, 1_700_000_000, &[("5.0.0.0/8", "DE")]),
    );
    folder.write("openclaw.toml", config);
    let output = openclaw_in(&folder, &["test"]);
    assert_eq!(output.code, 0, "{}", output.text());
}

#[test]
fn a_failure_names_its_place_and_the_way_that_led_there() {
    let tests = "[[test]]\nname = \"pictures\"\nrequest = \"GET https://www.example.com/stetic/a.png\"\nexpect = { route = \"static\", status = 200 }\n\n[[test]]\npacket = \"tcp 203.0.113.9 -> :443 syn\"\nexpect = { verdict = \"pass\" }\n";
    let folder = folder(tests);
    let output = openclaw_in(&folder, &["test"]);
    assert_eq!(output.code, 1);
    insta::assert_snapshot!(output.text(), @r#"
    error: pictures: route is none, not static
      --> openclaw.toml:22:20
       |
    22 | expect = { route = "static", status = 200 }
       |                    ^^^^^^^^
       = key: test[0].expect.route
    error: pictures: status is 404, not 200
      --> openclaw.toml:22:39
       |
    22 | expect = { route = "static", status = 200 }
       |                                       ^^^
       = key: test[0].expect.status
      GET www.example.com/stetic/a.png from 127.0.0.1
        no route takes it: 404, route.none
        not static: does not match: path

    error: tcp 203.0.113.9 -> :443 syn: verdict is drop, not pass
      --> openclaw.toml:26:22
       |
    26 | expect = { verdict = "pass" }
       |                      ^^^^^^
       = key: test[1].expect.verdict
      tcp 203.0.113.9 -> :443 syn
        dropped, shield.block

    openclaw.toml: 2 failed, 0 passed
    "#);
    let json = openclaw_in(&folder, &["-o", "json", "test", "openclaw.toml"]);
    assert_eq!(json.code, 1);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (&json["ok"], &json["passed"], &json["failed"]),
        (&false.into(), &0.into(), &2.into())
    );
    let first = &json["tests"][0];
    assert_eq!(first["name"], "pictures");
    assert_eq!(first["place"]["line"], 19);
    assert_eq!(first["failures"][0]["key"], "route");
    assert_eq!(first["failures"][0]["got"], "none");
    assert_eq!(first["failures"][1]["expected"], "200");
    assert_eq!(first["got"]["reason"], "route.none");
    assert_eq!(json["tests"][1]["got"]["verdict"], "drop");
}

#[test]
fn a_wrong_file_is_told_as_everywhere() {
    let broken = folder("[[test]]\nrequest = \"GET /\"\nexpect = { stats = 200 }\n");
    let output = openclaw_in(&broken, &["test"]);
    assert_eq!(output.code, 2);
    assert!(
        output.stderr.contains("did you mean `status`?"),
        "{}",
        output.stderr
    );
    let none = folder("");
    let output = openclaw_in(&none, &["test"]).ok();
    assert_eq!(
        output.text(),
        "openclaw.toml: no tests; write them as [[test]]\n"
    );
}
