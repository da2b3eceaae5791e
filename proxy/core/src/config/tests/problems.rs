//! How problems read.

use insta::assert_snapshot;

use super::{load_files, load_text, rejected};
use crate::config::{Complaint, Places, Severity};

#[test]
fn all_problems_are_told_at_once_with_their_places() {
    let text = r#"
[server]
workers = 0
shutdown_grace = 30

[listener.web]
bind = ["127.0.0.1:8080", "localhost:80"]
max_conections = 10
protocols = ["h1", "h4"]
tls = { min = "1.4" }

[upstream.app]
endpoints = ["127.0.0.1"]

[[route]]
to = "ap"
compress = ["brr"]
match = { path = "api", client = ["10.1.2.3/8"] }
"#;
    assert_snapshot!(rejected(text), @r#"
    error: 0 is out of range
     --> openclaw.toml:3:11
      |
    3 | workers = 0
      |           ^ write a number from 1 to 1024
      = key: server.workers

    error: a duration needs a unit
     --> openclaw.toml:4:18
      |
    4 | shutdown_grace = 30
      |                  ^^ did you mean "30s"?
      = key: server.shutdown_grace

    error: `localhost:80` is not an address with a port
     --> openclaw.toml:7:27
      |
    7 | bind = ["127.0.0.1:8080", "localhost:80"]
      |                           ^^^^^^^^^^^^^^ did you mean "127.0.0.1:80"?
      = key: listener.web.bind[1]

    error: unknown key `max_conections`
     --> openclaw.toml:8:1
      |
    8 | max_conections = 10
      | ^^^^^^^^^^^^^^ did you mean `max_connections`?
      = key: listener.web.max_conections

    error: `h4` is not known here
     --> openclaw.toml:9:20
      |
    9 | protocols = ["h1", "h4"]
      |                    ^^^^ did you mean `h1`?
      = key: listener.web.protocols[1]

    error: `1.4` is not known here
      --> openclaw.toml:10:15
       |
    10 | tls = { min = "1.4" }
       |               ^^^^^ did you mean `1.2`?
       = key: listener.web.tls.min

    error: `127.0.0.1` is not an endpoint: it has no port
      --> openclaw.toml:13:14
       |
    13 | endpoints = ["127.0.0.1"]
       |              ^^^^^^^^^^^ write "127.0.0.1:9001", "app.internal:8080" or "http://app.internal"
       = key: upstream.app.endpoints[0]

    error: there is no upstream `ap`
      --> openclaw.toml:16:6
       |
    16 | to = "ap"
       |      ^^^^ did you mean `app`?
       = key: route[0].to

    error: `brr` is not known here
      --> openclaw.toml:17:13
       |
    17 | compress = ["brr"]
       |             ^^^^^ did you mean `br`?
       = key: route[0].compress[0]

    error: a path starts with `/`
      --> openclaw.toml:18:18
       |
    18 | match = { path = "api", client = ["10.1.2.3/8"] }
       |                  ^^^^^ did you mean "/api"?
       = key: route[0].match.path

    error: `10.1.2.3/8` has bits set behind its prefix length
      --> openclaw.toml:18:35
       |
    18 | match = { path = "api", client = ["10.1.2.3/8"] }
       |                                   ^^^^^^^^^^^^ did you mean "10.0.0.0/8"?
       = key: route[0].match.client[0]
    "#);
}

#[test]
fn a_syntax_error_is_told_where_it_stands() {
    assert_snapshot!(rejected("[server]\nworkers = = 2\n[log\n"), @r#"
    error: extra `=`
     --> openclaw.toml:2:11
      |
    2 | workers = = 2
      |           ^

    error: this `[` is not closed
     --> openclaw.toml:3:1
      |
    3 | [log
      | ^ write `]` on this line
    "#);
}

#[test]
fn conflicts_name_both_places() {
    let problems = load_files(&[
        (
            "openclaw.toml",
            "include = [\"conf.d/*\"]\n[listener.web]\nbind = [\"0.0.0.0:80\"]\n[upstream.app]\nendpoints = [\"127.0.0.1:1\"]\n",
        ),
        (
            "conf.d/a.toml",
            "[upstream.app]\nendpoints = [\"127.0.0.1:2\"]\n[listener.other]\nbind = [\"0.0.0.0:80\"]\n",
        ),
    ])
    .unwrap_err();
    assert_snapshot!(problems, @r#"
    error: `upstream.app` is given twice
     --> conf.d/a.toml:1:11
      |
    1 | [upstream.app]
      |           ^^^ keep one of the two
      = key: upstream.app
      = first: openclaw.toml:4:11

    error: 0.0.0.0:80 is bound twice
     --> conf.d/a.toml:4:9
      |
    4 | bind = ["0.0.0.0:80"]
      |         ^^^^^^^^^^^^ each listener needs an address or a port of its own
      = key: listener.other.bind[0]
      = first: openclaw.toml:3:9
    "#);
}

#[test]
fn problems_are_also_plain_values() {
    let problems = rejected("[listener.web]\nbind = [\"127.0.0.1:80\"]\nmax_header = \"2m\"\n");
    assert_snapshot!(serde_json::to_string_pretty(&problems).unwrap(), @r#"
    [
      {
        "severity": "error",
        "file": "openclaw.toml",
        "line": 3,
        "column": 14,
        "key": "listener.web.max_header",
        "message": "a request head of 2097152 bytes is out of range",
        "hint": "write a size from \"1k\" to \"1m\"",
        "first": null
      }
    ]
    "#);
}

#[test]
fn what_is_missing_is_told_where_it_belongs() {
    let text = "[listener.web]\nmax_header = \"8k\"\n\n[upstream.app]\n\n[[route]]\nname = \"a\"\n[[route]]\nredirect = {}\n";
    assert_snapshot!(rejected(text), @r#"
    error: missing key `bind`
     --> openclaw.toml:1:1
      |
    1 | [listener.web]
      | ^^^^^^^^^^^^^^ add bind = ["0.0.0.0:80", "[::]:80"]
      = key: listener.web

    error: missing key `endpoints`
     --> openclaw.toml:4:1
      |
    4 | [upstream.app]
      | ^^^^^^^^^^^^^^ add endpoints = ["127.0.0.1:9001", { address = "127.0.0.1:9002", weight = 3 }, "http://app.internal:8080"]
      = key: upstream.app

    error: this route does nothing
     --> openclaw.toml:6:1
      |
    6 | [[route]]
      | ^^^^^^^^^ add to = "UPSTREAM", respond = { … } or redirect = { … }
      = key: route[0]

    error: missing key `to`
     --> openclaw.toml:9:12
      |
    9 | redirect = {}
      |            ^^ add to = "https://www.example.com/new"
      = key: route[1].redirect
    "#);
}

/// One forgotten bracket is one problem, whatever it makes of the lines behind it; what is wrong before it is told, too.
#[test]
fn a_forgotten_bracket_is_told_where_it_opens() {
    let text = "[server]\nworkers == 2\n\n[listener.web]\nbind = [\n  \"127.0.0.1:80\",\n\nmax_header = \"8k\"\n\n[upstream.app]\nendpoints = [\"127.0.0.1:1\"]\n\n[[route]]\nmatch = { path = \"/a\" }\nto = \"app\"\n";
    assert_snapshot!(rejected(text), @r#"
    error: extra `=`
     --> openclaw.toml:2:10
      |
    2 | workers == 2
      |          ^

    error: this `[` is not closed
     --> openclaw.toml:5:8
      |
    5 | bind = [
      |        ^ write `]` before what begins on line 8
    "#);
    let text = "[listener.web]\nbind = [\"127.0.0.1:80\"]\n\n[[route]]\nlimit = { rate = \"1/s\", key = \"client_ip\"\nto = \"app\"\n\n[[route]]\nrespond = {}\n";
    assert_snapshot!(rejected(text), @r#"
    error: this `{` is not closed
     --> openclaw.toml:5:9
      |
    5 | limit = { rate = "1/s", key = "client_ip"
      |         ^ write `}` before what begins on line 6
    "#);
    let text = "[listener.web]\nbind = [\"127.0.0.1:80]\n\n[[route]]\nrespond = {}\n";
    assert_snapshot!(rejected(text), @r#"
    error: this `"` is not closed
     --> openclaw.toml:2:9
      |
    2 | bind = ["127.0.0.1:80]
      |         ^ write `"` on this line
    "#);
}

#[test]
fn wide_characters_and_tabs_keep_the_caret_in_place() {
    let text = "[listener.web]\nbind = \"127.0.0.1:80\"\n\t\"schlüssel\" = \"größe ${WEG}\"\n";
    assert_snapshot!(rejected(text), @r#"
    error: unknown key `schlüssel`
     --> openclaw.toml:3:2
      |
    3 | 	"schlüssel" = "größe ${WEG}"
      | 	^^^^^^^^^^^ known here are bind, mode, to, sni, protocols, tls and others, which `openclaw schema` lists
      = key: listener.web."schlüssel"

    error: the variable `WEG` is not set
     --> openclaw.toml:3:16
      |
    3 | 	"schlüssel" = "größe ${WEG}"
      | 	              ^^^^^^^^^^^^^^ set it, or write `${WEG:-default}`
      = key: listener.web."schlüssel"
    "#);
}

#[test]
fn a_warning_says_so() {
    let text = "[listener.web]\nbind = \"127.0.0.1:80\"\n[upstream.app]\nendpoints = \"127.0.0.1:1\"\n[[route]]\nrespond = {}\n";
    let warnings = load_text(text).unwrap().warnings;
    assert_snapshot!(warnings[0], @r#"
    warning: no route leads to the upstream `app`
     --> openclaw.toml:3:11
      |
    3 | [upstream.app]
      |           ^^^ add a route with to = "app", or remove it
      = key: upstream.app
    "#);
}

#[test]
fn what_is_wrong_only_later_is_found_in_the_text() {
    let text = "[listener.\"a.b\"]\nbind = \"127.0.0.1:80\"\ntls = { certificates = [{ cert = \"a\", key = \"b\" }] }\n[[route]]\nrespond = {}\n";
    let places = load_text(text).unwrap().places;
    for (path, place, key) in [
        (
            &["listener", "a.b", "bind", "0"][..],
            (2, 8),
            "listener.\"a.b\".bind",
        ),
        (
            &["listener", "a.b", "tls", "certificates", "0", "key"],
            (3, 45),
            "listener.\"a.b\".tls.certificates[0].key",
        ),
        (
            &["listener", "a.b", "tls", "certificates", "1", "key"],
            (3, 24),
            "listener.\"a.b\".tls.certificates",
        ),
        (&["route", "0", "respond"], (5, 11), "route[0].respond"),
        (&["log", "access", "to"], (1, 1), ""),
    ] {
        let complaint = Complaint::new("wrong");
        let problem = places.problem(Severity::Error, path, complaint).unwrap();
        let found = (problem.location.line, problem.location.column);
        assert_eq!((found, &*problem.key), (place, key), "{path:?}");
    }
    let nothing = Places::default().problem(Severity::Error, &["log"], Complaint::new("wrong"));
    assert_eq!(nothing, None);
}
