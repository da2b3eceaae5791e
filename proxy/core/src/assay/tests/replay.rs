//! Lines of access logs, asked again.

use super::config;
use crate::assay::{Logged, Open, Replayed, World, is_ecs, replay};

/// A line of JSON with these members beside those of a request for a path.
fn line(path: &str, members: &str) -> String {
    format!(
        r#"{{"time":"2026-11-01T00:00:00.000Z","id":"a","listener":"web","client":"192.0.2.1","method":"GET","host":"www.example.com","path":"{path}","protocol":"HTTP/1.1","bytes_in":1,{members}}}"#
    )
}

fn asked(line: &str) -> Replayed {
    let config = config(
        "[[route]]\nname = \"beta\"\nmatch = { path = \"/beta\", header = { X-Beta = \"1\" } }\nto = \"next\"\n\
         [[route]]\nname = \"hello\"\nmatch = { path = \"/hello\" }\nlimit = { rate = \"1/s\" }\nrespond = { status = 200 }\n",
    );
    let logged = Logged::read(line, "www.example.com").unwrap_or_else(|| panic!("{line}"));
    replay(&World::new(&config, &Open), &logged)
}

fn same(path: &str, members: &str) {
    assert_eq!(
        asked(&line(path, members)),
        Replayed::Same,
        "{path} {members}"
    );
}

fn changed(line: &str, before: &str, after: &str) {
    let expected = Replayed::Changed(before.to_owned(), after.to_owned());
    assert_eq!(asked(line), expected, "{line}");
}

#[test]
fn what_would_be_the_same_is() {
    same(
        "/static/a?b",
        r#""route":"static","status":200,"upstream":"app""#,
    );
    same(
        "/static/a",
        r#""route":"static","status":304,"upstream":null,"cache":"hit""#,
    );
    same(
        "/static/a",
        r#""route":"static","status":502,"reason":"upstream.connect","upstream":"app""#,
    );
    same(
        "/drawn",
        r#""route":"drawn","status":200,"upstream":"next""#,
    );
    same("/old/x", r#""route":"old","status":308"#);
    same(
        "/none",
        r#""route":null,"status":404,"reason":"route.none""#,
    );
    same(
        "/limited",
        r#""route":"limited","status":429,"reason":"limit.rate""#,
    );
    same("/teapot", r#""route":"teapot","status":418"#);
}

#[test]
fn what_would_change_is_told_before_and_after() {
    changed(
        &line(
            "/static/a",
            r#""route":"pictures","status":200,"upstream":"app""#,
        ),
        "route pictures, to app",
        "route static, to app",
    );
    changed(
        &line("/gone", r#""route":"gone","status":200,"upstream":"app""#),
        "route gone, to app",
        "refused with 404, route.none",
    );
    changed(
        &line(
            "/static/a",
            r#""route":"static","status":200,"upstream":"next""#,
        ),
        "route static, to next",
        "route static, to app",
    );
    changed(
        &line("/old/x", r#""route":"old","status":301"#),
        "route old, answered with 301",
        "route old, redirects to https://www.example.com/new/x with 308",
    );
    changed(
        &line(
            "/static",
            r#""route":"static","status":429,"reason":"limit.rate""#,
        ),
        "route static, refused with 429, limit.rate",
        "route static, to app",
    );
    let elsewhere = line(
        "/static",
        r#""route":"static","status":200,"upstream":"app""#,
    );
    changed(
        &elsewhere.replace("\"web\"", "\"wob\""),
        "route static, to app",
        "there is no listener `wob`",
    );
}

#[test]
fn what_the_log_does_not_hold_is_not_guessed() {
    let unknown = |path: &str, members: &str| {
        let got = asked(&line(path, members));
        assert!(matches!(got, Replayed::Unknown(_)), "{got:?}");
    };
    unknown("/beta", r#""route":"beta","status":200,"upstream":"next""#);
    unknown(
        "/limited",
        r#""route":"limited","status":413,"reason":"http.body_too_large""#,
    );
    unknown(
        "/static",
        r#""route":"static","status":408,"reason":"http.timeout""#,
    );
    let relayed = r#"{"listener":"db","client":"192.0.2.1","method":null,"path":null,"protocol":"tcp","status":null}"#;
    assert!(matches!(asked(relayed), Replayed::Unknown(_)));
    let blocked = r#"{"listener":"web","client":"192.0.2.1","method":null,"path":null,"protocol":null,"status":null,"reason":"shield.block"}"#;
    assert!(matches!(asked(blocked), Replayed::Unknown(_)));
    assert_eq!(Logged::read(r#"{"level":"info"}"#, "a.test"), None);
    // Over https, as a trusted proxy says.
    let redirected = line("/old/x", r#""route":"old","status":308"#);
    assert!(matches!(
        asked(&redirected.replace("\"web\"", "\"webs\"")),
        Replayed::Unknown(_)
    ));
}

#[test]
fn an_address_without_its_end_is_nobodys() {
    let teapot = line("/teapot", r#""route":"teapot","status":418"#);
    let ask = |redact: &str| {
        let config = config(redact);
        let elsewhere = teapot.replace("192.0.2.1", "198.51.100.0");
        let logged = Logged::read(&elsewhere, "a.test").unwrap();
        replay(&World::new(&config, &Open), &logged)
    };
    assert!(matches!(ask(""), Replayed::Changed(..)));
    let hidden = ask("[log]\nredact = { client = \"/24\" }\n");
    assert!(matches!(hidden, Replayed::Unknown(_)), "{hidden:?}");
}

#[test]
fn combined_lines_hold_a_status_alone() {
    let line = |path: &str, status: &str| {
        format!(
            "192.0.2.1 - - [01/Nov/2026:00:00:00 +0000] \"GET {path} HTTP/1.1\" {status} 5 \"-\" \"curl \\\"8\\\"\""
        )
    };
    assert_eq!(asked(&line("/static/a", "200")), Replayed::Same);
    assert_eq!(asked(&line("/static/a", "404")), Replayed::Same);
    assert_eq!(asked(&line("/teapot", "418")), Replayed::Same);
    assert_eq!(asked(&line("/limited", "429")), Replayed::Same);
    assert_eq!(asked(&line("/hello", "200")), Replayed::Same);
    assert_eq!(asked(&line("/hello", "429")), Replayed::Same);
    changed(
        &line("/hello", "404"),
        "answered with 404",
        "route hello, answers 200 itself",
    );
    changed(
        &line("/teapot", "429"),
        "answered with 429",
        "route teapot, answers 418 itself",
    );
    changed(
        &line("/gone", "200"),
        "answered with 200",
        "refused with 404, route.none",
    );
    changed(
        &line("/old/x", "200"),
        "answered with 200",
        "route old, redirects to https://www.example.com/new/x with 308",
    );
    assert!(matches!(
        asked(&line("/", "-").replace("GET / HTTP/1.1", "-")),
        Replayed::Unknown(_)
    ));
}

#[test]
fn what_is_no_line_of_a_log_is_broken() {
    for line in [
        "x",
        "{}",
        "{\"method\":\"GET\"",
        "[2026] \"GET\"",
        "a b \"GET / HTTP/1.1\" 200 5",
        "{\"protocol\":5}",
    ] {
        assert_eq!(Logged::read(line, "a"), None, "{line}");
    }
}

#[test]
fn a_line_by_the_elastic_common_schema_is_known_as_that() {
    let rows = [
        (
            r#"{"@timestamp":"2026-11-01T00:00:00.000Z","ecs":{"version":"8.11"},"http":{"version":"1.1"}}"#,
            true,
        ),
        (r#"{"ecs.version":"8.11"}"#, true),
        (r#"{"@timestamp":1}"#, true),
        (r#"{"protocol":"HTTP/1.1"}"#, false),
        (r#"{"@timestamp":"#, false),
        ("{}", false),
        ("x", false),
    ];
    for (line, expected) in rows {
        assert_eq!(is_ecs(line), expected, "{line}");
        assert!(!expected || Logged::read(line, "a").is_none(), "{line}");
    }
}
