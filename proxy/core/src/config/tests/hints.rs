//! Whoever writes something wrong is told what to write instead.

use super::rejected;
use crate::config::Problems;

/// Problems that say all there is to say: `{…}` stands for what was written.
const PLAIN: [&str; 1] = ["duplicate key"];

/// Every problem of every text that these tests reject goes through here.
pub(super) fn check(problems: &Problems) {
    for problem in &problems.0 {
        // Faults of the syntax are told by the parser of TOML, and belong to no key.
        let is_plain = problem.key.is_empty() || PLAIN.contains(&&*problem.message);
        let hint = problem.hint.as_deref().unwrap_or_default();
        assert!(is_plain || !hint.is_empty(), "no hint:\n{problem}");
        assert!(
            hint.lines().count() < 2 && hint.chars().count() < 200,
            "{problem}"
        );
    }
}

/// Keys of a section of a configuration that is otherwise right, what they are told, and a part of the hint.
const ROWS: &[(&str, &str, &str)] = &[
    ("listener", "bind = 80", "bind = [\"0.0.0.0:80\""),
    ("listener", "bind = []", "write bind ="),
    (
        "listener",
        "max_connections = \"many\"",
        "max_connections = ",
    ),
    ("listener", "max_connections_per_ip = 0", "from 1"),
    ("listener", "header_timeout = 10", "did you mean \"10s\"?"),
    ("listener", "header_timeout = true", "header_timeout = "),
    ("listener", "header_timeout = \"0s\"", "\"10s\""),
    ("listener", "max_header = \"8 k\"", "\"64k\""),
    ("listener", "max_header = -1", "\"64k\""),
    ("listener", "protocols = []", "protocols = [\"h1\", \"h2\"]"),
    ("listener", "protocols = [\"spdy\"]", "\"h1\" or \"h2\""),
    ("listener", "protocols = [1]", "protocols = "),
    (
        "listener",
        "trusted_proxies = [\"10.0.0.0/33\"]",
        "from 0 to 32",
    ),
    ("listener", "tls = true", "tls = { certificates"),
    ("listener", "tls = { self_signed = [\"a b\"] }", "localhost"),
    ("listener", "zzzzzzzz = 1", "known here are bind"),
    ("listener", "ping = false", "ping = \"off\""),
    ("listener", "min_body_rate = \"off\"", "min_body_rate = 0"),
    (
        "listener",
        "abort_on_close = \"off\"",
        "abort_on_close = false",
    ),
    (
        "listener",
        "header_timeout = \"off\"",
        "leave `header_timeout` out for \"10s\"",
    ),
    ("listener", "acme = true", "certbot or lego"),
    ("listener", "bind = \":99999\"", "from 1 to 65535"),
    (
        "server",
        "[log]\naccess = \"off\"",
        "access = { to = \"off\" }",
    ),
    ("server", "[acme]\nemail = \"a@b.test\"", "certbot or lego"),
    ("server", "[waf]\nrules = []", "leave it out"),
    ("route", "to = \"app\"\nauth = {}", "leave it out"),
    (
        "route",
        "to = \"app\"\ntimeout = \"off\"",
        "leave `timeout` out",
    ),
    (
        "route",
        "to = \"app\"\nlimit = { rate = \"1/s\", burst = \"5\", key = \"client_ip\" }",
        "no quotes: write 5",
    ),
    ("upstream", "breaker = false", "leave `breaker` out"),
    ("upstream", "health = \"off\"", "leave `health` out"),
    ("upstream", "slow_start = \"off\"", "leave `slow_start` out"),
    ("server", "workers = \"two\"", "workers = "),
    ("server", "zzzzzzzz = 1", "known here are"),
    ("server", "[log]\naccess = { to = \"none\" }", "\"off\""),
    ("server", "[admin]\nmetrics = \"none\"", "\"off\""),
    (
        "route",
        "to = \"http://127.0.0.1:3000\"",
        "endpoints = [\"http://127.0.0.1:3000\"]",
    ),
    ("route", "to = \"app\"\nmax_body = \"off\"", "\"none\""),
    ("upstream", "endpoints = [1]", "endpoints = ["),
    (
        "upstream",
        "endpoints = [{ address = \"127.0.0.1:1\", weight = 0 }]",
        "a weight of 1",
    ),
    ("upstream", "balance = 3", "balance = "),
    ("upstream", "breaker = 3", "breaker = "),
    (
        "upstream",
        "health = { path = \"x\" }",
        "such as \"/health\"",
    ),
    (
        "upstream",
        "hedge = { after = \"1ms\" }\nsticky = { cookie = \"a\" }",
        "leave one",
    ),
    ("upstream", "sticky = { cookie = \"a b\" }", "no blanks"),
    (
        "upstream",
        "discover = { dns = \"a:1\", tag = \"b\" }\nendpoints = []",
        "",
    ),
    ("route", "to = []", "to = \"UPSTREAM\""),
    (
        "route",
        "to = [{ upstream = \"app\", weight = 0 }]",
        "a weight of 1",
    ),
    ("route", "to = \"nobody\"", "add [upstream.nobody]"),
    ("route", "to = \"app\"\nrespond = {}", "keep one"),
    ("route", "to = \"app\"\nmatch = { path = 1 }", "path = "),
    (
        "route",
        "to = \"app\"\nmatch = { path = \"/a\", path_regex = 'a' }",
        "keep one",
    ),
    (
        "route",
        "to = \"app\"\nmatch = { path_regex = '(' }",
        "single quotes",
    ),
    (
        "route",
        "to = \"app\"\nmatch = { method = \"G T\" }",
        "\"GET\"",
    ),
    (
        "route",
        "to = \"app\"\nmatch = { method = \"\" }",
        "method = ",
    ),
    (
        "route",
        "to = \"app\"\nmatch = { header = { \"a b\" = \"c\" } }",
        "no blanks",
    ),
    (
        "route",
        "to = \"app\"\nmatch = { header = { a = \" c\" } }",
        "leave out",
    ),
    (
        "route",
        "to = \"app\"\nmatch = { cookie = { a = \"b;c\" } }",
        "without `;`",
    ),
    (
        "route",
        "to = \"app\"\nlimit = { rate = \"0/s\", key = \"client_ip\" }",
        "\"1/s\"",
    ),
    (
        "route",
        "to = \"app\"\nlimit = { rate = [], key = \"client_ip\" }",
        "rate = ",
    ),
    (
        "route",
        "to = \"app\"\nrewrite = { regex = 'a', to = \"/{status}\" }",
        "edits of responses",
    ),
    ("route", "to = \"app\"\nstrip_prefix = \"/\"", "\"/api\""),
    (
        "route",
        "to = \"app\"\nstrip_prefix = \"/a\"\nrewrite = { regex = 'a', to = \"/\" }",
        "keep one",
    ),
    (
        "route",
        "to = \"app\"\nheaders = { request = { set = { Connection = \"a\" } } }",
        "leave it out",
    ),
    (
        "route",
        "to = \"app\"\nheaders = { request = { remove = [\"Host\"] } }",
        "set = { Host",
    ),
    (
        "route",
        "to = \"app\"\ncompress = [\"br\", \"br\"]",
        "once is enough",
    ),
    (
        "route",
        "to = \"app\"\ncache = {}\nmirror = { to = \"app\" }",
        "keep one",
    ),
    (
        "route",
        "to = \"app\"\ncache = { status = [206] }",
        "leave it out",
    ),
    ("route", "respond = {}\ncompress = [\"br\"]", "add to ="),
    (
        "route",
        "respond = {}\nrewrite = { regex = 'a', to = \"/\" }",
        "add to =",
    ),
    (
        "route",
        "respond = { status = 204, body = \"a\" }",
        "leave `body` out",
    ),
    (
        "route",
        "respond = { builtin = \"welcome\", body = \"a\" }",
        "keep one",
    ),
    (
        "route",
        "redirect = { to = \"/{status}\" }",
        "write the number",
    ),
];

#[test]
fn a_hint_says_what_to_write() {
    for (section, keys, hint) in ROWS {
        let of = |name: &str, rest: &str| if *section == name { *keys } else { rest }.to_owned();
        let bind = if keys.starts_with("bind") {
            ""
        } else {
            "bind = \"127.0.0.1:80\""
        };
        let endpoints = if keys.contains("endpoints =") {
            ""
        } else {
            "endpoints = \"127.0.0.1:1\""
        };
        let text = format!(
            "[server]\n{}\n[listener.web]\n{bind}\n{}\n[upstream.app]\n{endpoints}\n{}\n[[route]]\n{}\n",
            of("server", ""),
            of("listener", ""),
            of("upstream", ""),
            of("route", "to = \"app\""),
        );
        let problems = rejected(&text);
        let is_told = |told: &Option<String>| told.as_ref().is_some_and(|told| told.contains(hint));
        let found = problems.0.iter().any(|problem| is_told(&problem.hint));
        assert!(found, "{keys}: {hint}\n{problems}");
    }
}
