//! Requests as one line of text against routes as a file writes them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod naive;

use std::net::IpAddr;
use std::sync::Arc;

use crate::config::{
    Action, HeaderEdits, HostPattern, Matcher, PathPattern, Respond, Route, SplitBy,
};

use super::{Request, Router};

/// `GET www.example.com/a?q=1 x-beta:1 @10.0.0.1` — method, target, then headers and the client in any order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    method: String,
    host: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    client: Option<IpAddr>,
}

impl Asked {
    pub(crate) fn parse(line: &str) -> Self {
        let mut words = line.split(' ');
        let method = words.next().unwrap().to_owned();
        let target = words.next().unwrap();
        let (host, rest) = target.split_at(target.find('/').unwrap_or(target.len()));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut asked = Self {
            method,
            host: host.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            ..Self::default()
        };
        for word in words {
            if let Some(client) = word.strip_prefix('@') {
                asked.client = Some(client.parse().unwrap());
                continue;
            }
            let (name, value) = word.split_once(':').unwrap();
            let value = value.replace('+', " ");
            asked.headers.push((name.to_owned(), value));
        }
        asked
    }
}

impl Request for Asked {
    fn host(&self) -> &[u8] {
        self.host.as_bytes()
    }

    fn path(&self) -> &[u8] {
        self.path.as_bytes()
    }

    fn query(&self) -> &[u8] {
        self.query.as_bytes()
    }

    fn method(&self) -> &[u8] {
        self.method.as_bytes()
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        Some(value.as_bytes())
    }

    fn cookies(&self) -> impl Iterator<Item = &[u8]> {
        let cookies = self.headers.iter().filter(|(name, _)| name == "cookie");
        cookies.map(|(_, value)| value.as_bytes())
    }

    fn client(&self) -> IpAddr {
        self.client.unwrap_or_else(|| [192, 0, 2, 1].into())
    }

    fn scheme(&self) -> &'static str {
        if self.host.starts_with("tls.") {
            "https"
        } else {
            "http"
        }
    }
}

fn route(matcher: Matcher) -> Route {
    Route {
        lasting: Arc::default(),
        name: Arc::from("r"),
        matcher,
        action: Action::Respond(Respond {
            status: 200,
            body: Arc::from([]),
            content_type: String::new(),
        }),
        split_by: SplitBy::default(),
        limit: None,
        cache: None,
        compress: None,
        max_body: None,
        timeout: None,
        response_timeout: None,
        headers: HeaderEdits::default(),
        strip_prefix: None,
        add_prefix: None,
        rewrite: None,
        mirror: None,
        rewrite_location: true,
        error_pages: Vec::new(),
    }
}

/// Routes as a file writes them, named, so that a table can say which one is meant.
const ROUTES: &str = r#"
[listener.web]
bind = "127.0.0.1:0"
[[route]]
name = "any"
respond = {}
[[route]]
name = "any-api"
match = { path = "/api" }
respond = {}
[[route]]
name = "any-api-v1"
match = { path = "/api/v1" }
respond = {}
[[route]]
name = "any-api-v1-post"
match = { path = "/api/v1", method = ["POST", "PUT"] }
respond = {}
[[route]]
name = "any-api-v1-post-beta"
match = { path = "/api/v1", method = ["POST"], header = { X-Beta = "1" } }
respond = {}
[[route]]
name = "any-exact"
match = { path_exact = "/api/v1/exact" }
respond = {}
[[route]]
name = "any-png"
match = { path_regex = '\.png$' }
respond = {}
[[route]]
name = "any-static"
match = { path_regex = '^/static/' }
respond = {}
[[route]]
name = "any-png-admin"
match = { path_regex = '\.png$', client = ["10.0.0.0/8"] }
respond = {}
[[route]]
name = "www"
match = { host = "www.example.com", path = "/www" }
respond = {}
[[route]]
name = "www-login"
match = { host = "www.example.com", path_exact = "/login", method = ["POST"] }
respond = {}
[[route]]
name = "wild"
match = { host = "*.example.com", path = "/www" }
respond = {}
[[route]]
name = "wild-cookie"
match = { host = "*.example.com", cookie = { version = "2" } }
respond = {}
[[route]]
name = "deep"
match = { host = "*.deep.example.com" }
respond = {}
[[route]]
name = "query"
match = { host = "q.test", query = { beta = "1" } }
respond = {}
[[route]]
name = "two"
match = { host = "q.test", query = { beta = "1", gamma = "" } }
respond = {}
[[route]]
name = "v6"
match = { host = "[2001:db8::1]" }
respond = {}
"#;

#[test]
fn requests_find_their_route() {
    let config = crate::config::load(&crate::config::Source {
        name: "t",
        text: ROUTES,
        files: &crate::config::NoFiles,
        variable: &|_| None,
    })
    .unwrap()
    .config;
    let router = Router::new(&config.routes);
    let check = |line: &str, expected: &str| {
        let found = router.find(&Asked::parse(line)).unwrap();
        assert_eq!(&*config.routes[found].name, expected, "{line}");
    };
    // Paths: whole segments, the longest first.
    check("GET a.test/", "any");
    check("GET a.test", "any");
    check("OPTIONS *", "any");
    check("GET a.test/apix", "any");
    check("GET a.test/api", "any-api");
    check("GET a.test/api/", "any-api");
    check("GET a.test/api/x", "any-api");
    check("GET a.test/api/v", "any-api");
    check("GET a.test/api/v12", "any-api");
    check("GET a.test/API", "any");
    check("GET a.test//api", "any");
    check("GET a.test/api//v1", "any-api");
    check("GET a.test/api/v1", "any-api-v1");
    check("GET a.test/api/v1/x/y/z", "any-api-v1");
    // Exact before regex before prefix.
    check("GET a.test/api/v1/exact", "any-exact");
    check("GET a.test/api/v1/exact/", "any-api-v1");
    check("GET a.test/api/v1/exact/x", "any-api-v1");
    check("GET a.test/api/v1/a.png", "any-png");
    check("GET a.test/static/a.png", "any-png");
    check("GET a.test/static/a.css", "any-static");
    check("GET a.test/static", "any");
    // Of equal ones, more conditions first.
    check("POST a.test/api/v1", "any-api-v1-post");
    check("PUT a.test/api/v1/x", "any-api-v1-post");
    check("post a.test/api/v1", "any-api-v1");
    check("POST a.test/api/v1 x-beta:1", "any-api-v1-post-beta");
    check("POST a.test/api/v1 x-beta:2", "any-api-v1-post");
    check("PUT a.test/api/v1 x-beta:1", "any-api-v1-post");
    check("GET a.test/static/a.png @10.1.2.3", "any-png-admin");
    check("GET a.test/static/a.png @::ffff:10.1.2.3", "any-png-admin");
    check("GET a.test/static/a.png @2001:db8::1", "any-png");
    // Hosts: exact, longest wildcard, any; the next when nothing inside fits.
    check("GET www.example.com/www", "www");
    check("GET WWW.Example.COM/www/x", "www");
    check("GET www.example.com./www", "www");
    check("POST www.example.com/login", "www-login");
    check("GET www.example.com/login", "any");
    check("GET www.example.com/api", "any-api");
    check("GET www.example.com/wwwx", "any");
    check("GET a.example.com/www", "wild");
    check("GET a.b.Example.com/www/x", "wild");
    check("GET example.com/www", "any");
    check("GET .example.com/www", "any");
    check("GET notexample.com/www", "any");
    check("GET a.deep.example.com/www", "deep");
    check("GET a.deep.example.com/other", "deep");
    check("GET deep.example.com/www", "wild");
    check("GET a.example.com/x", "any");
    check("GET [2001:DB8::1]/x", "v6");
    // Cookies and queries.
    check("GET a.example.com/x cookie:version=2", "wild-cookie");
    check(
        "GET a.example.com/x cookie:a=1;+version=2;+b",
        "wild-cookie",
    );
    check(
        "GET a.example.com/x cookie:a=1 cookie:version=2",
        "wild-cookie",
    );
    check("GET www.example.com/x cookie:version=2", "wild-cookie");
    check("GET a.example.com/x cookie:version=22", "any");
    check("GET a.example.com/x cookie:xversion=2", "any");
    check("GET a.example.com/www cookie:version=2", "wild");
    check("GET q.test/?beta=1", "query");
    check("GET q.test/?a&beta=1&c=2", "query");
    check("GET q.test/?beta=1&gamma", "two");
    check("GET q.test/?gamma=&beta=1", "two");
    check("GET q.test/?beta=12", "any");
    check("GET q.test/?Beta=1", "any");
    check("GET q.test/", "any");
}

#[test]
fn without_a_fitting_route_there_is_none() {
    let router = Router::new(&[]);
    assert_eq!(router.find(&Asked::parse("GET a/")), None);
    let only = route(Matcher {
        host: Some(HostPattern::Exact("a".to_owned())),
        path: Some(PathPattern::Prefix("/x".to_owned())),
        ..Matcher::default()
    });
    let router = Router::new(&[only]);
    for line in ["GET b/x", "GET a/", "GET a/y", "GET /x"] {
        assert_eq!(router.find(&Asked::parse(line)), None, "{line}");
    }
    let mut long = Asked::parse("GET a/x");
    assert_eq!(router.find(&long), Some(0));
    long.host = "a".repeat(300);
    assert_eq!(router.find(&long), None);
}

#[test]
fn why_a_route_does_not_take_a_request_is_told_condition_by_condition() {
    let text = "[listener.web]\nbind = \"127.0.0.1:0\"\n[[route]]\nrespond = {}\nmatch = { host = \"*.a.test\", path = \"/x\", method = [\"GET\"], client = [\"10.0.0.0/8\"], header = { \"X-B\" = \"1\" }, cookie = { c = \"2\" }, query = { q = \"3\" } }\n";
    let loaded = crate::config::load(&crate::config::Source {
        name: "test.toml",
        text,
        files: &crate::config::NoFiles,
        variable: &|_| None,
    });
    let config = loaded.unwrap().config;
    let check = |line: &str, expected: &[&str]| {
        let asked = Asked::parse(line);
        assert_eq!(super::misses(&config.routes[0], &asked), expected, "{line}");
        let taken = Router::new(&config.routes).find(&asked).is_some();
        assert_eq!(taken, expected.is_empty(), "{line}");
    };
    check("GET b.a.test/x/y?q=3 x-b:1 cookie:c=2 @10.1.1.1", &[]);
    check(
        "PUT a.test/xy x-b:2 @11.1.1.1",
        &[
            "host",
            "path",
            "method",
            "client",
            "header x-b",
            "cookie c",
            "query q",
        ],
    );
    check(
        "GET b.a.test/x?q=4 x-b:1 cookie:c=2 @10.1.1.1",
        &["query q"],
    );
}
