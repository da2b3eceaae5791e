//! Prefixes, rewrites and redirects.

use super::{Stage, upstream};
use crate::support::Origin;

const ROUTES: &str = r#"
[[route]]
match = { path = "/strip" }
strip_prefix = "/strip"
add_prefix = "/v2"
to = "app"

[[route]]
match = { path_regex = '^/v(?P<version>[0-9]+)/(.*)$' }
rewrite = { to = "/api/$2?version=$version" }
to = "app"

[[route]]
match = { path = "/some" }
rewrite = { regex = '^/some/x(.*)$', to = "/other$1" }
to = "app"

[[route]]
match = { host = "tls.test", scheme = "http" }
redirect = { to = "https://{host}{uri}", status = 308 }

[[route]]
match = { path_regex = '^/blog/(.*)$' }
redirect = { to = "https://blog.a.test/posts/$1", status = 301, keep_query = true }

[[route]]
match = { path = "/old" }
redirect = { to = "/new{path}" }

[[route]]
match = { path = "/plain" }
redirect = { to = "/new?a=b", keep_query = true }
"#;

#[test]
fn endpoints_get_the_path_that_the_route_makes() {
    let origin = Origin::serving("app");
    let stage = Stage::start(&(upstream("app", &origin, "") + ROUTES));
    let mut count = 0;
    let mut check = |target: &str, expected: &str| {
        assert_eq!(stage.ask(target, "").status(), 200, "{target}");
        count += 1;
        let request = origin.wait_for_requests(count).remove(count - 1);
        assert_eq!(
            request.start,
            format!("GET {expected} HTTP/1.1"),
            "{target}"
        );
    };
    check("/strip/a?b", "/v2/a?b");
    check("/strip", "/v2/");
    check("/v1/users/5?q=1", "/api/users/5?version=1&q=1");
    check("/v12/a%20b%3Fc/../d%09X:y", "/api/d%09X:y?version=12");
    check("/%761/x//y", "/api/x/y?version=1");
    check("/v1/caf%c3%a9", "/api/caf%C3%A9?version=1");
    check("/some/xy?q", "/othery?q");
    check("/some/y%20?q", "/some/y%20?q");
}

#[test]
fn clients_are_sent_where_the_route_says_with_their_path_and_query() {
    let origin = Origin::serving("app");
    let stage = Stage::start(&(upstream("app", &origin, "") + ROUTES));
    let check = |target: &str, expected: (u16, &str)| {
        let answer = stage.ask(target, "");
        let got = (answer.status(), answer.header("location").unwrap());
        assert_eq!(got, expected, "{target}");
    };
    check(
        "/blog/a%20b?c=d",
        (301, "https://blog.a.test/posts/a%20b?c=d"),
    );
    check(
        "/blog//evil.test",
        (301, "https://blog.a.test/posts/evil.test"),
    );
    check(
        "/old/x%0d%0aSet-Cookie:y?z",
        (307, "/new/old/x%0d%0aSet-Cookie:y"),
    );
    check("/plain?c=d", (307, "/new?a=b&c=d"));
    let ask = |lines: &str| {
        let request = format!("GET /x?y HTTP/1.1\r\nHost: tls.test:8080\r\n{lines}\r\n");
        crate::support::RawClient::connect(stage.web).exchange(request)
    };
    let sent = ask("");
    assert_eq!(sent.header("location"), Some("https://tls.test/x?y"));
    let again = ask("X-Forwarded-Proto: https\r\n");
    assert_eq!(
        again.status(),
        404,
        "over TLS there is no way round in circles"
    );
}
