//! Why a route does not take a request: which of its conditions do not hold, each asked for itself by the router.

use crate::config::{Matcher, Route};

use super::{Request, Router};

/// The conditions that do not hold, in an operator's words; none: it would take the request.
pub fn misses(route: &Route, request: &impl Request) -> Vec<String> {
    let fails = |part: &Matcher| {
        let alone = Route {
            matcher: part.clone(),
            ..route.clone()
        };
        Router::new(&[alone]).find(request).is_none()
    };
    let parts = parts(&route.matcher).into_iter();
    parts
        .filter(|(_, part)| fails(part))
        .map(|(name, _)| name)
        .collect()
}

/// A matcher for each condition alone.
fn parts(matcher: &Matcher) -> Vec<(String, Matcher)> {
    let Matcher {
        host,
        path,
        method,
        header,
        cookie,
        query,
        client,
        scheme,
    } = matcher.clone();
    let none = Matcher::default;
    let whole = [
        ("host", Matcher { host, ..none() }),
        ("path", Matcher { path, ..none() }),
        ("method", Matcher { method, ..none() }),
        ("client", Matcher { client, ..none() }),
        ("scheme", Matcher { scheme, ..none() }),
    ];
    let mut parts: Vec<(String, Matcher)> = whole
        .into_iter()
        .map(|(name, part)| (name.to_owned(), part))
        .collect();
    parts.extend(header.into_iter().map(|pair| {
        let header = vec![pair.clone()];
        (format!("header {}", pair.0), Matcher { header, ..none() })
    }));
    parts.extend(cookie.into_iter().map(|pair| {
        let cookie = vec![pair.clone()];
        (format!("cookie {}", pair.0), Matcher { cookie, ..none() })
    }));
    parts.extend(query.into_iter().map(|pair| {
        let query = vec![pair.clone()];
        (format!("query {}", pair.0), Matcher { query, ..none() })
    }));
    parts
}
