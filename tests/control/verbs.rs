//! Verbs that need no running proxy.

use serde_json::Value;

use crate::support::{Folder, openclaw};

fn json(arguments: &[&str]) -> Value {
    let output = openclaw(&[&["-o", "json"], arguments].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", output.text()))
}

#[test]
fn every_reason_is_listed_and_explained() {
    let table = openclaw(&["reasons"]).ok().text();
    let list = json(&["reasons"]);
    let codes = list.as_array().unwrap();
    assert!(codes.len() >= 20);
    assert!(
        table.contains("\nshield.geo "),
        "the kernel's are there: {table}"
    );
    for entry in codes {
        let code = entry["code"].as_str().unwrap();
        assert!(table.lines().any(|line| line.starts_with(code)), "{code}");
        let detail = openclaw(&["reasons", code]).ok().text();
        assert!(
            detail.contains(entry["advice"].as_str().unwrap()),
            "{detail}"
        );
    }
    insta::assert_snapshot!(openclaw(&["reasons", "http.smuggling"]).text(), @r"
    http.smuggling
      what   The framing of the message is ambiguous: two parsers could see different requests (RFC 9112 §6.3).
      whose  client
      do     Treat the sender as hostile unless it is a test.
    ");
}

#[test]
fn an_unknown_reason_is_a_no_with_a_suggestion() {
    for (asked, meant) in [
        ("http.smugling", "http.smuggling"),
        ("smuggling", "http.smuggling"),
        ("upstream.conect", "upstream.connect"),
    ] {
        let output = openclaw(&["reasons", asked]);
        assert_eq!(output.code, 1);
        let expected = format!("error: there is no reason `{asked}`; did you mean `{meant}`?\n");
        assert_eq!(output.stderr, expected);
    }
    let far = openclaw(&["reasons", "qqq"]).stderr;
    assert!(far.contains("`openclaw reasons` lists them"), "{far}");
    assert_eq!(json(&["reasons", "qqq"])["ok"], false);
}

#[test]
fn the_version_says_what_is_built_in() {
    let text = openclaw(&["version"]).ok().text();
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        text.starts_with(&format!("openclaw {version}\nxdp object: ")),
        "{text}"
    );
    let json = json(&["version"]);
    assert_eq!(json["version"], version);
    assert!(json["xdp_object"].is_boolean());
}

#[test]
fn a_wrong_command_line_is_told_from_a_failure() {
    for arguments in [
        &["frobnicate"][..],
        &[],
        &["run", "--listen", "127.0.0.1:1"],
        &["run", "--to", "http://127.0.0.1:1", "--listen", "nowhere"],
        &["-c", "a.toml", "run", "--to", "http://127.0.0.1:1"],
        &["run", "--to", "a\"b"],
        &["stop", "--grace", "soon"],
    ] {
        let output = openclaw(arguments);
        assert_eq!(output.code, 2, "{arguments:?}: {}", output.stderr);
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
    assert_eq!(openclaw(&["--help"]).code, 0);
    assert_eq!(openclaw(&["--version"]).code, 0);
}

#[test]
fn nobody_there_is_a_failure_that_names_the_socket() {
    let folder = Folder::new();
    let socket = folder.path().join("none.sock");
    let socket = socket.to_str().unwrap();
    for verb in ["status", "reload", "stop"] {
        let output = openclaw(&["--socket", socket, verb]);
        assert_eq!(output.code, 1);
        let expected = format!("error: no openclaw is running (nothing answers at {socket})\n");
        assert_eq!(output.stderr, expected);
    }
}

#[test]
fn a_program_reads_what_is_wrong_with_a_command_line() {
    for (arguments, message) in [
        (
            &["-o", "json", "frobnicate"][..],
            "unrecognized subcommand 'frobnicate'",
        ),
        (&["-ojson", "blocklist"], "a verb is missing"),
        (
            &["status", "--output=json", "--nonsense"],
            "unexpected argument '--nonsense' found",
        ),
        (
            &["--output", "json", "blocklist", "add"],
            "the following required arguments were not provided:\n  <ADDR>...",
        ),
    ] {
        let output = openclaw(arguments);
        assert_eq!(output.code, 2, "{arguments:?}");
        assert_eq!(output.stderr, "");
        let told: Value = serde_json::from_str(&output.text()).unwrap();
        assert_eq!(
            told,
            serde_json::json!({ "ok": false, "error": message, "usage": true }),
            "{arguments:?}"
        );
    }
    for arguments in [
        &["-o", "text", "json"][..],
        &["status", "json"],
        &["-o", "jsno", "status"],
    ] {
        let output = openclaw(arguments);
        assert_eq!(output.code, 2, "{arguments:?}");
        assert!(output.stderr.starts_with("error: "), "{}", output.stderr);
    }
    let help = openclaw(&["-o", "json", "--help"]).ok();
    assert!(help.text().contains("Usage:"), "help is help");
}

#[test]
fn shells_and_man_know_the_verbs_and_those_below_them() {
    for shell in ["bash", "zsh", "fish"] {
        let script = openclaw(&["completions", shell]).ok().text();
        for word in ["openclaw", "reload", "attach", "dry-run", "containing"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let page = openclaw(&["man"]).ok().text();
    for word in [
        ".TH openclaw 1",
        ".SH \"OPENCLAW RELOAD\"",
        ".SH \"OPENCLAW BLOCKLIST IMPORT\"",
        ".SH \"OPENCLAW SHIELD ATTACH\"",
        "check\\-first",
        "grace",
        "dry\\-run",
    ] {
        assert!(page.contains(word), "{word}");
    }
    let page = openclaw(&["man", "blocklist", "import"]).ok().text();
    assert!(page.contains(".TH openclaw-blocklist-import 1"), "{page}");
    assert!(page.contains("dry\\-run") && !page.contains("RELOAD"));
    let page = openclaw(&["man", "blocklist"]).ok().text();
    assert!(page.contains(".SH \"OPENCLAW BLOCKLIST IMPORT\""));
    let page = openclaw(&["man", "blocklist", "import"]).ok().text();
    let title = concat!(
        ".TH openclaw-blocklist-import 1  \"openclaw ",
        env!("CARGO_PKG_VERSION"),
        "\" OpenClaw"
    );
    assert!(page.contains(title), "{page}");
    let unknown = openclaw(&["man", "blocklist", "nonsense"]);
    assert_eq!(unknown.code, 2);
    assert_eq!(
        unknown.stderr,
        "error: openclaw blocklist has no verb `nonsense`\n"
    );
}

#[test]
fn a_request_is_explained_from_the_configuration_alone() {
    let folder = Folder::new();
    let config = folder.write(
        "openclaw.toml",
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\n[upstream.app]\nendpoints = [\"127.0.0.1:1\"]\n\
         [[route]]\nname = \"login\"\nmatch = { path = \"/login\", method = [\"POST\"] }\nlimit = { rate = \"10/min\" }\nto = \"app\"\n\
         [[route]]\nname = \"old\"\nmatch = { path = \"/old\" }\nredirect = { to = \"/new\", status = 308 }\n\
         [[route]]\nname = \"site\"\nmatch = { host = \"www.a.test\", client = [\"10.0.0.0/8\"] }\nto = \"app\"\n",
    );
    let explain = |words: &[&str]| {
        let config = ["-c", config.to_str().unwrap()];
        openclaw(&[&config[..], &["explain", "request"], words].concat())
    };
    let text = explain(&["POST", "http://www.a.test//x/../login"])
        .ok()
        .text();
    assert_eq!(
        text,
        "POST www.a.test/login from 127.0.0.1\n  route login: to app\n  limit: 10 per 60 s, else 429\n\
         \x20 not old: does not match: path\n  not site: does not match: client\n"
    );
    let json = |words: &[&str]| -> Value {
        let words = [words, &["-o", "json"]].concat();
        serde_json::from_str(&explain(&words).ok().text()).unwrap()
    };
    let told = json(&[
        "GET",
        "/old",
        "-H",
        "Host: www.a.test",
        "--from",
        "10.1.2.3",
    ]);
    assert_eq!(
        (&told["route"], &told["verdict"]),
        (&"site".into(), &"forward".into())
    );
    let told = json(&["GET", "https://b.test/old?x#y"]);
    assert_eq!(
        (&told["verdict"], &told["status"]),
        (&"redirect".into(), &308.into())
    );
    let told = json(&["GET", "http://b.test"]);
    assert_eq!(
        (&told["reason"], &told["status"]),
        (&"route.none".into(), &404.into())
    );
    assert_eq!(
        told["others"][0]["misses"],
        serde_json::json!(["path", "method"])
    );
    let told = json(&["GET", "/"]);
    assert_eq!(
        (&told["host"], &told["path"]),
        (&"localhost".into(), &"/".into())
    );
    assert_eq!(told["reason"], "route.none");
    let told = explain(&["GET", "/"]);
    assert!(
        told.stderr
            .contains("no host is named, so this asks localhost"),
        "{}",
        told.stderr
    );
    for wrong in [&["GET", "nonsense"][..], &["GET", "/", "-H", "nonsense"]] {
        assert_eq!(explain(wrong).code, 2, "{wrong:?}");
    }
}
