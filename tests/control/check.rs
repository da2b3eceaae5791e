//! `openclaw check`.

use std::process::Command;

use serde_json::Value;

use crate::control::{address, answering, fetch};
use crate::support::{Folder, Output, Proxy, certificate, curl, openclaw};

/// Runs it in the folder, so that what is printed does not depend on where that is.
fn check(folder: &Folder, arguments: &[&str]) -> Output {
    Output::of(
        Command::new(env!("CARGO_BIN_EXE_openclaw"))
            .args(arguments)
            .current_dir(folder.path())
            .env_remove("OPENCLAW_CONFIG"),
        "the proxy",
    )
}

const WRONG: &str = "[listener.web]
bind = [\"127.0.0.1:0\"]
protocol = [\"h1\"]
header_timeout = \"10x\"

[[route]]
to = \"ap\"
";

#[test]
fn every_mistake_is_told_with_its_place_and_what_to_write() {
    let folder = Folder::new();
    folder.write("wrong.toml", WRONG);
    let output = check(&folder, &["check", "wrong.toml"]);
    assert_eq!(output.code, 2);
    assert_eq!(output.text(), "");
    insta::assert_snapshot!(output.stderr, @r#"
    error: unknown key `protocol`
     --> wrong.toml:3:1
      |
    3 | protocol = ["h1"]
      | ^^^^^^^^ did you mean `protocols`?
      = key: listener.web.protocol

    error: `10x` is not a duration
     --> wrong.toml:4:18
      |
    4 | header_timeout = "10x"
      |                  ^^^^^ write a number and one of ms, s, m, h, d, such as "10s"
      = key: listener.web.header_timeout

    error: there is no upstream `ap`
     --> wrong.toml:7:6
      |
    7 | to = "ap"
      |      ^^^^ add [upstream.ap]
      = key: route[0].to
    "#);
}

#[test]
fn a_program_reads_the_mistakes_as_json() {
    let folder = Folder::new();
    folder.write("wrong.toml", WRONG);
    let output = check(&folder, &["-o", "json", "check", "wrong.toml"]);
    assert_eq!(output.code, 2);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["ok"], false);
    let problems = answer["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 3);
    assert_eq!(problems[1]["file"], "wrong.toml");
    assert_eq!(problems[1]["line"], 4);
    assert_eq!(problems[1]["column"], 18);
    assert_eq!(problems[1]["key"], "listener.web.header_timeout");
}

#[test]
fn a_right_file_is_found_where_the_interface_says() {
    let folder = Folder::new();
    folder.write("openclaw.toml", answering("here"));
    let named = folder.write(
        "named.toml",
        answering("named") + "[[route]]\nname = \"x\"\nmatch = { path = \"/x\" }\nrespond = {}\n",
    );
    let here = check(&folder, &["check"]).ok();
    assert_eq!(
        here.text(),
        "openclaw.toml: ok (1 listener, 1 route, 0 upstreams)\n"
    );
    let argument = check(&folder, &["-c", "named.toml", "check"]).ok();
    assert_eq!(
        argument.text(),
        "named.toml: ok (1 listener, 2 routes, 0 upstreams)\n"
    );
    let variable = Output::of(
        Command::new(env!("CARGO_BIN_EXE_openclaw"))
            .arg("check")
            .current_dir(folder.path())
            .env("OPENCLAW_CONFIG", &named),
        "the proxy",
    );
    assert!(variable.ok().text().contains("2 routes"));
}

#[test]
fn included_files_are_part_of_the_whole() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("conf.d")).unwrap();
    let main = answering("a");
    folder.write(
        "main.toml",
        format!("include = [\"conf.d/*.toml\"]\n{main}"),
    );
    folder.write("conf.d/b.toml", "[listener.b]\nbind = [\"127.0.0.1:0\"]\n");
    folder.write("conf.d/c.txt", "not TOML");
    let right = check(&folder, &["check", "main.toml"]).ok();
    assert!(right.text().contains("2 listeners"), "{}", right.text());
    folder.write("conf.d/d.toml", "[listener.d]\n");
    let wrong = check(&folder, &["check", "main.toml"]);
    assert_eq!(wrong.code, 2);
    assert!(
        wrong.stderr.contains("conf.d/d.toml:1:"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn an_include_stands_beside_the_file_that_names_it_wherever_that_is() {
    let folder = Folder::new();
    let below = folder.path().join("etc/conf.d");
    std::fs::create_dir_all(below).unwrap();
    folder.write(
        "etc/conf.d/b.toml",
        "[listener.b]\nbind = [\"127.0.0.1:0\"]\n",
    );
    let whole = folder.path().join("etc/main.toml");
    for include in ["conf.d/b.toml", "conf.d/*.toml"] {
        let main = answering("a");
        folder.write(
            "etc/main.toml",
            format!("include = [\"{include}\"]\n{main}"),
        );
        for name in ["etc/main.toml", "./etc/main.toml", whole.to_str().unwrap()] {
            let right = check(&folder, &["check", name]).ok();
            assert!(right.text().contains("2 listeners"), "{name} {include}");
        }
    }
}

#[test]
fn certificates_are_read_and_all_that_is_wrong_with_them_told() {
    let folder = Folder::new();
    let (one, _) = certificate(&folder, &["one.test"]);
    let (_, other) = certificate(&folder, &["other.test"]);
    folder.write(
        "tls.toml",
        format!(
            "[listener.web]\nbind = [\"127.0.0.1:0\"]\ntls = {{ certificates = [{{ cert = \"{}\", key = \"{}\" }}, {{ cert = \"none.pem\", key = \"none.key\" }}] }}\n[[route]]\nrespond = {{}}\n",
            one.file_name().unwrap().display(),
            other.file_name().unwrap().display()
        ),
    );
    let output = check(&folder, &["check", "tls.toml"]);
    assert_eq!(output.code, 2, "{}", output.stderr);
    insta::assert_snapshot!(output.stderr, @r#"
    error: listener web: tls: the key in other.test.key does not belong to the certificate in one.test.pem
     --> tls.toml:3:56
      |
    3 | tls = { certificates = [{ cert = "one.test.pem", key = "other.test.key" }, { cert = "none.pem", key = "none.key" }] }
      |                                                        ^^^^^^^^^^^^^^^^
      = key: listener.web.tls.certificates[0].key

    error: listener web: tls: cannot read none.pem: No such file or directory (os error 2)
     --> tls.toml:3:85
      |
    3 | tls = { certificates = [{ cert = "one.test.pem", key = "other.test.key" }, { cert = "none.pem", key = "none.key" }] }
      |                                                                                     ^^^^^^^^^^ a relative path starts at the folder of the configuration file
      = key: listener.web.tls.certificates[1].cert
    "#);
}

#[test]
fn a_file_that_is_not_there_is_a_wrong_configuration() {
    let output = openclaw(&["check", "/nowhere/openclaw.toml"]);
    assert_eq!(output.code, 2);
    assert!(
        output.stderr.contains("/nowhere/openclaw.toml"),
        "{}",
        output.stderr
    );
    let run = openclaw(&["-c", "/nowhere/openclaw.toml", "run"]);
    assert_eq!(run.code, 2);
}

#[test]
fn a_name_without_an_address_is_a_warning_everywhere_and_only_costs_its_endpoint() {
    let folder = Folder::new();
    let forwarding = "[upstream.app]\nendpoints = [\"nowhere.invalid:80\"]\n[[route]]\nname = \"app\"\nmatch = { path = \"/app\" }\nto = \"app\"\n";
    let config = answering("hello") + forwarding;
    folder.write("name.toml", &config);
    let whole = check(&folder, &["check", "name.toml"]).ok();
    let words = "warning: upstream app: cannot resolve nowhere.invalid: ";
    assert!(whole.stderr.starts_with(words), "{}", whole.stderr);
    assert!(whole.stderr.contains("name.toml:8:14"), "{}", whole.stderr);
    let text = check(&folder, &["check", "--text-only", "name.toml"]).ok();
    assert_eq!(text.stderr, "");

    let proxy = Proxy::start(&config);
    proxy.wait_for(words.trim_start_matches("warning: "));
    let web = address(&proxy, "web");
    assert_eq!(fetch(web), "hello");
    let url = format!("http://{web}/app");
    let code = curl(&["-o", "/dev/null", "-w", "%{http_code}", &url]);
    assert_eq!(code.text(), "503");
    let reloaded = proxy.cli(&["reload"]).ok();
    assert!(reloaded.stderr.starts_with(words), "{}", reloaded.stderr);
}

#[test]
fn places_that_cannot_be_written_are_told() {
    let folder = Folder::new();
    let config = |more: &str| {
        let text = format!(
            "[listener.web]\nbind = [\"127.0.0.1:0\"]\n[upstream.app]\nendpoints = [\"127.0.0.1:1\"]\n[[route]]\nto = \"app\"\ncache = {{}}\n{more}\n"
        );
        folder.write("openclaw.toml", text)
    };
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    config("[log]\naccess = { to = \"nowhere/access.log\" }");
    let doubted = check(&folder, &["check", "openclaw.toml"]).ok().stderr;
    // The folder may be there where it is served.
    assert!(doubted.starts_with("warning: "), "{doubted}");
    assert!(doubted.contains("= key: log.access.to"), "{doubted}");
    for (more, key) in [
        ("[log]\nsecurity = { to = \"folder\" }", "log.security.to"),
        (
            "[cache]\ndisk = { path = \"no/where\", max = \"1g\" }",
            "cache.disk.path",
        ),
    ] {
        config(more);
        let output = check(&folder, &["check", "openclaw.toml"]);
        assert_eq!(output.code, 2, "{more}: {}", output.stderr);
        assert!(
            output.stderr.contains(&format!("= key: {key}")),
            "{}",
            output.stderr
        );
    }
    config(
        "[[test]]\nname = \"x\"\nrequest = \"GET http://a/\"\nexpect = { reason = \"limit.rates\" }",
    );
    for arguments in [
        &["check", "openclaw.toml"][..],
        &["check", "openclaw.toml", "--text-only"],
    ] {
        let output = check(&folder, arguments);
        assert_eq!(output.code, 2, "{}", output.stderr);
        assert!(
            output.stderr.starts_with("error: there is no reason"),
            "{}",
            output.stderr
        );
        assert!(
            output.stderr.contains("did you mean `limit.rate`?"),
            "{}",
            output.stderr
        );
    }
    config("[log]\naccess = { to = \"folder/access.log\" }");
    check(&folder, &["check", "openclaw.toml"]).ok();
    assert!(
        !folder.path().join("folder/access.log").exists(),
        "nothing is made"
    );
}

/// Whichever verb is to read it: who calls them in a script tells a wrong file from an answer that is no.
#[test]
fn a_file_that_cannot_be_read_is_told_alike_by_all_verbs() {
    let folder = Folder::new();
    let right = "[listener.web]\nbind = [\"127.0.0.1:0\"]\n[[route]]\nrespond = {}\n";
    folder.write("right.toml", right);
    folder.write("broken.toml", "[listener.web\n");
    std::fs::write(folder.path().join("odd.toml"), b"\xff\xfe").unwrap();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    for (file, told) in [
        ("missing.toml", "No such file or directory"),
        ("folder", "Is a directory"),
        ("odd.toml", "invalid utf-8"),
        ("broken.toml", "this `[` is not closed"),
    ] {
        for verb in [
            &["fmt", file][..],
            &["fmt", "--check", file],
            &["check", file],
            &["check", "--text-only", file],
            &["diff", file, "right.toml"],
            &["diff", "right.toml", file],
            &["test", file],
            &["replay", "/dev/null", "--against", file],
            &["explain", "request", "-c", file, "GET", "http://a/"],
        ] {
            let output = check(&folder, verb);
            assert_eq!(output.code, 2, "{verb:?}: {}", output.stderr);
            let first = output.stderr.lines().next().unwrap_or_default();
            let is_told = first.starts_with("error: ") && first.contains(told);
            assert!(is_told, "{verb:?}: {}", output.stderr);
            let is_named = output.stderr.contains(file);
            assert!(is_named, "{verb:?}: {}", output.stderr);
            assert!(output.stdout.is_empty(), "{verb:?}");
        }
    }
}
