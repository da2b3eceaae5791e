//! What routes and their kin accept, and what they do not.

use std::time::Duration;

use super::{accepted, rejected};
use crate::config::{Forwarded, Mirror, PathPattern, Route, SplitBy, Wanted};

const BEFORE: &str = "[listener.web]\nbind = [\"127.0.0.1:80\"]\n[upstream.app]\nendpoints = [\"127.0.0.1:80\"]\n[upstream.next]\nendpoints = [\"127.0.0.1:81\"]\n[[route]]\n";

fn route(keys: &str) -> Route {
    accepted(&format!("{BEFORE}{keys}\n")).routes.remove(0)
}

/// Each row of keys must give exactly one problem, with this message and hint.
fn wrong(rows: &[(&str, &str, &str)]) {
    for (keys, message, hint) in rows {
        let problems = rejected(&format!("{BEFORE}{keys}\n")).0;
        let told: Vec<_> = problems.iter().map(|problem| &*problem.message).collect();
        assert!(
            told.len() == 1 && told[0].contains(message),
            "{keys}\n{told:#?}"
        );
        let given = problems[0].hint.as_deref().unwrap_or_default();
        assert!(given.contains(hint), "{keys}\n{given}");
    }
}

#[test]
fn paths_are_read_into_the_form_in_which_routes_see_them() {
    let path = |key: &str, written: &str| {
        let keys = format!("to = \"app\"\nmatch = {{ {key} = '{written}' }}");
        match route(&keys).matcher.path {
            Some(PathPattern::Prefix(path) | PathPattern::Exact(path)) => path,
            Some(PathPattern::Regex(_)) | None => String::new(),
        }
    };
    for (written, expected) in [
        ("/a%20b", "/a b"),
        ("/%C3%A9", "/é"),
        ("/x/../y", "/y"),
        ("/y//z", "/y/z"),
        ("/a%2fb", "/a/b"),
        ("/100%", "/100%"),
    ] {
        assert_eq!(path("path", written), expected);
        assert_eq!(path("path_exact", written), expected);
    }
    assert_eq!(path("path_exact", "/y//"), "/y/");
    wrong(&[
        (
            "to = \"app\"\nmatch = { path = \"/%ff\" }",
            "no UTF-8",
            "path_regex = '^/\\xff$'",
        ),
        (
            "to = \"app\"\nmatch = { path = \"/a b\" }",
            "is not a path",
            "write %20",
        ),
    ]);
}

#[test]
fn a_split_goes_by_address_unless_it_is_told() {
    let split = |keys: &str| route(&format!("to = [\"app\", \"next\"]\n{keys}")).split_by;
    assert_eq!(split(""), SplitBy::ClientIp);
    for (word, expected) in [
        ("client_ip", SplitBy::ClientIp),
        ("random", SplitBy::Random),
        ("header:X-User", SplitBy::Header("x-user".to_owned())),
        ("cookie:User", SplitBy::Cookie("User".to_owned())),
    ] {
        assert_eq!(split(&format!("split_by = \"{word}\"")), expected);
    }
    wrong(&[
        (
            "to = \"app\"\nsplit_by = \"ip\"",
            "nothing is split by `ip`",
            "write client_ip",
        ),
        (
            "to = \"app\"\nsplit_by = \"cookie\"",
            "nothing is split",
            "name it",
        ),
        (
            "to = \"app\"\nsplit_by = \"cookie:\"",
            "nothing is split",
            "write",
        ),
        ("to = \"app\"\nsplit_by = 5", "expected a string", ""),
    ]);
}

#[test]
fn conditions_ask_for_a_value_or_for_being_there() {
    let matcher = route("to = \"app\"\nmatch = { scheme = \"https\", header = { X-A = true, X-B = false, X-C = \"1\" }, cookie = { a = true }, query = { b = false } }").matcher;
    let named = |name: &str, wanted| (name.to_owned(), wanted);
    let expected = [
        named("x-a", Wanted::Present),
        named("x-b", Wanted::Absent),
        named("x-c", Wanted::Is("1".to_owned())),
    ];
    assert_eq!(matcher.header, expected);
    assert_eq!(matcher.cookie, [named("a", Wanted::Present)]);
    assert_eq!(matcher.query, [named("b", Wanted::Absent)]);
    assert_eq!(matcher.scheme, Some("https"));
    wrong(&[
        (
            "to = \"app\"\nmatch = { header = { X-A = 1 } }",
            "expected a string",
            "",
        ),
        (
            "to = \"app\"\nmatch = { header = { \"X A\" = true } }",
            "not a field name",
            "",
        ),
        (
            "to = \"app\"\nmatch = { cookie = { \"a b\" = true } }",
            "no cookie looks like",
            "",
        ),
        (
            "to = \"app\"\nmatch = { query = { \"a&b\" = true } }",
            "no query holds",
            "",
        ),
        (
            "to = \"app\"\nmatch = { scheme = \"ftp\" }",
            "`ftp` is not known",
            "`http`",
        ),
    ]);
}

#[test]
fn variables_are_known_and_stand_where_they_can() {
    let edits = route("to = \"app\"\nheaders = { request = { set = { X-A = \"{client_ip}\", X-B = \"plain\" } }, response = { add = { X-C = \"{status}\" } } }").headers;
    assert!(edits.request.has_variables() && edits.response.has_variables());
    assert_eq!(edits.request.set[1].1.plain(), Some(&b"plain"[..]));
    let set = |side: &str, pair: &str| {
        format!("to = \"app\"\nheaders = {{ {side} = {{ set = {{ {pair} }} }} }}")
    };
    wrong(&[
        (
            &set("request", "X-A = \"{clientip}\""),
            "no variable `clientip`",
            "`client_ip`",
        ),
        (
            &set("request", "X-A = \"{status}\""),
            "a request has no `{status}`",
            "responses",
        ),
        (
            &set("request", "Host = \"{header.x-a}\""),
            "`Host` may have no variable",
            "",
        ),
        (
            &set("response", "X-A = \"a{b}\\r\\n\""),
            "no control characters",
            "",
        ),
    ]);
}

#[test]
fn an_expression_sees_line_ends_and_octets_that_are_no_text() {
    let matches = |regex: &str, path: &[u8]| {
        let route = route(&format!(
            "to = \"app\"\nmatch = {{ path_regex = '{regex}' }}"
        ));
        route.matcher.path_regex().unwrap().is_match(path)
    };
    for path in [
        &b"/admin/x"[..],
        b"/admin/x\n",
        b"/admin/\nx",
        b"/admin/\xff",
    ] {
        assert!(matches("^/admin/.*$", path), "{}", path.escape_ascii());
    }
    assert!(matches("^/[^/]+/b$", b"/\xff/b"));
    assert!(matches("^/[éè]$", "/é".as_bytes()));
}

#[test]
fn paths_are_rewritten_by_what_is_an_expression_and_a_path() {
    let rewrite =
        route("to = \"app\"\nmatch = { path_regex = '^/(a)/' }\nrewrite = { to = \"/$1\" }")
            .rewrite;
    assert_eq!(rewrite.unwrap().regex.as_str(), "^/(a)/");
    let both = route("to = \"app\"\nstrip_prefix = \"/a/\"\nadd_prefix = \"/b/\"");
    assert_eq!(both.strip_prefix.as_deref(), Some("/a"));
    assert_eq!(both.add_prefix.as_deref(), Some("/b"));
    wrong(&[
        (
            "to = \"app\"\nrewrite = { to = \"/x\" }",
            "no expression",
            "path_regex",
        ),
        (
            "to = \"app\"\nrewrite = { regex = '(', to = \"/x\" }",
            "not a regular expression",
            "",
        ),
        (
            "to = \"app\"\nrewrite = { regex = 'a', to = \"x\" }",
            "`x` is not a path",
            "/path",
        ),
        (
            "to = \"app\"\nrewrite = { regex = 'a', to = \"/$1\" }",
            "no group `1`",
            "$$",
        ),
        (
            "to = \"app\"\nrewrite = { regex = 'a', to = \"/{status}\" }",
            "no `{status}`",
            "",
        ),
        (
            "to = \"app\"\nadd_prefix = \"/x\"\nrewrite = { regex = 'a', to = \"/\" }",
            "`add_prefix` and `rewrite`",
            "",
        ),
        (
            "respond = {}\nrewrite = { regex = 'a', to = \"/\" }",
            "only what goes to an upstream",
            "",
        ),
        ("to = \"app\"\nadd_prefix = \"/\"", "this is no prefix", ""),
    ]);
}

#[test]
fn a_redirect_leaves_the_host_to_whoever_writes_it() {
    let to =
        |to: &str| format!("match = {{ path_regex = '^/a(.*)$' }}\nredirect = {{ to = \"{to}\" }}");
    for right in [
        "https://{host}{uri}",
        "{scheme}://{host}/x$1",
        "https://b.test/$1?{query}",
        "/x/$1",
        "/x$1",
        "https://{host}?a=$1",
    ] {
        route(&to(right));
    }
    let choose = "a request could choose the host";
    wrong(&[
        (&to("https://b.test$1"), choose, "put a slash"),
        (&to("https://{header.x}/"), choose, "slash"),
        (&to("https://{host}{query}"), choose, "slash"),
        (&to("{host}/a"), "`{host}/a` is not a URL", ""),
        (&to("https://{hots}/a"), "no variable `hots`", "`host`"),
        (&to("/{status}"), "no `{status}`", ""),
        (&to("/$2"), "no group `2`", ""),
    ]);
    assert_eq!(
        route("redirect = { to = \"/$1\" }").split_by,
        SplitBy::ClientIp
    );
}

#[test]
fn a_route_has_times_of_its_own() {
    let route = route("to = \"app\"\ntimeout = \"2s\"\nresponse_timeout = \"5m\"");
    assert_eq!(route.timeout, Some(Duration::from_secs(2)));
    assert_eq!(route.response_timeout, Some(Duration::from_mins(5)));
    wrong(&[
        ("to = \"app\"\ntimeout = \"0s\"", "longer than zero", ""),
        (
            "to = \"app\"\nresponse_timeout = 5",
            "needs a unit",
            "\"5s\"",
        ),
    ]);
}

#[test]
fn a_sticky_upstream_names_its_cookie() {
    let sticky = |keys: &str| {
        let text = BEFORE.replacen("81\"]", &format!("81\"]\nsticky = {{ {keys} }}"), 1);
        text + "to = \"app\"\n"
    };
    let read = accepted(&sticky("cookie = \"oc\", max_age = \"1h\""))
        .upstreams
        .remove(1)
        .sticky
        .unwrap();
    assert_eq!(
        (&*read.cookie, read.max_age),
        ("oc", Some(Duration::from_hours(1)))
    );
    assert_eq!(read.secret, None);
    let read = accepted(&sticky("cookie = \"oc\", secret = \"0123456789abcdef\""))
        .upstreams
        .remove(1)
        .sticky
        .unwrap();
    assert_eq!(
        read.secret.as_ref().unwrap().as_bytes(),
        b"0123456789abcdef"
    );
    assert!(!format!("{read:?}").contains("0123"), "{read:?}");
    for (keys, message) in [
        ("max_age = \"1h\"", "missing key `cookie`"),
        ("cookie = \"a b\"", "no name of a cookie"),
        ("cookie = \"a\", secret = \"short\"", "can be guessed"),
    ] {
        let problems = rejected(&sticky(keys)).0;
        assert!(
            problems.len() == 1 && problems[0].message.contains(message),
            "{keys}\n{problems:?}"
        );
    }
}

#[test]
fn a_mirror_is_an_upstream_and_a_part_of_a_hundred() {
    let mirror =
        |keys: &str| route(&format!("to = \"app\"\nmirror = {{ to = \"next\"{keys} }}")).mirror;
    let expected = Mirror {
        to: 1,
        percent: 100.0,
        max_body: 65_536,
        max_in_flight: 64,
    };
    assert_eq!(mirror("").unwrap(), expected);
    assert_eq!(
        mirror(", percent = 0.5, max_body = \"1k\", max_in_flight = 1").unwrap(),
        Mirror {
            percent: 0.5,
            max_body: 1024,
            max_in_flight: 1,
            ..expected
        }
    );
    wrong(&[
        ("to = \"app\"\nmirror = {}", "missing key `to`", ""),
        (
            "to = \"app\"\nmirror = { to = \"nxt\" }",
            "no upstream `nxt`",
            "`next`",
        ),
        (
            "to = \"app\"\nmirror = { to = \"next\", percent = 0 }",
            "not a part of a hundred",
            "above 0",
        ),
        (
            "to = \"app\"\nmirror = { to = \"next\", percent = \"9\" }",
            "expected a number",
            "",
        ),
        (
            "to = \"app\"\nmirror = { to = \"next\", max_in_flight = 0 }",
            "out of range",
            "",
        ),
    ]);
}

#[test]
fn an_upstream_is_told_of_clients_in_its_own_way() {
    let forwarded = |keys: &str| {
        let text = BEFORE.replacen("81\"]", &format!("81\"]\n{keys}"), 1);
        text + "to = \"app\"\n"
    };
    let read = |keys: &str| accepted(&forwarded(keys)).upstreams[1].forwarded;
    assert_eq!(read(""), Forwarded::X);
    assert_eq!(read("forwarded = \"rfc7239\""), Forwarded::Rfc7239);
    assert_eq!(read("forwarded = \"both\""), Forwarded::Both);
    let problems = rejected(&forwarded("forwarded = \"none\"")).0;
    assert!(
        problems[0].message.contains("`none` is not known"),
        "{problems:?}"
    );
    assert!(route("to = \"app\"").rewrite_location);
    assert!(!route("to = \"app\"\nrewrite_location = false").rewrite_location);
}
