//! Location fields in which an endpoint names itself: the client is told the same place as seen from outside.

use super::authority::is_same;
use crate::config::Route;

/// The same place as a path on the host that the client asked, if the URL is one of the endpoint's own, as `is_own` knows it.
/// A client takes such a path for one of the host, the scheme and the port that it came by (RFC 9110 §10.2.2), whatever
/// proxies are between. Prefixes of the route are put back.
pub fn from_outside(
    location: &[u8],
    route: &Route,
    is_own: impl Fn(&[u8], &[u8]) -> bool,
) -> Option<Vec<u8>> {
    let (scheme, rest) = split_scheme(location)?;
    let end = rest.iter().position(|byte| b"/?#".contains(byte));
    let (authority, rest) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
    if route.rewrite.is_some() || !is_own(scheme, authority) {
        return None;
    }
    let path = if rest.starts_with(b"/") {
        rest
    } else {
        &[b"/", rest].concat()[..]
    };
    let path = match &route.add_prefix {
        Some(added) => match path.strip_prefix(added.as_bytes())? {
            path @ ([] | [b'/' | b'?' | b'#', ..]) => path,
            // Outside what the route serves.
            _ => return None,
        },
        None => path,
    };
    let stripped = route.strip_prefix.as_deref().unwrap_or_default().as_bytes();
    let slash: &[u8] = if path.starts_with(b"/") { b"" } else { b"/" };
    let made = [stripped, slash, path].concat();
    // Two slashes would begin another host.
    (!made.starts_with(b"//")).then_some(made)
}

/// Whether an authority in a URL of this scheme is one of `known`, with or without the scheme's own port.
pub fn is_one_of(authority: &[u8], scheme: &[u8], known: &[&[u8]]) -> bool {
    known.iter().any(|known| is_same(authority, known, scheme))
}

fn split_scheme(location: &[u8]) -> Option<(&[u8], &[u8])> {
    [&b"http://"[..], b"https://"]
        .into_iter()
        .find_map(|start| {
            let (scheme, rest) = location.split_at_checked(start.len())?;
            let scheme = scheme.eq_ignore_ascii_case(start).then_some(scheme)?;
            Some((scheme.strip_suffix(b"://")?, rest))
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::config::{NoFiles, Source, load};

    fn route(keys: &str) -> Route {
        let text = format!(
            "[listener.web]\nbind = \"127.0.0.1:80\"\n[upstream.app]\nendpoints = \"127.0.0.1:80\"\n[[route]]\nto = \"app\"\n{keys}\n"
        );
        let loaded = load(&Source {
            name: "test.toml",
            text: &text,
            files: &NoFiles,
            variable: &|_| None,
        });
        loaded.unwrap().config.routes.remove(0)
    }

    fn check(keys: &str, location: &str, expected: Option<&str>) {
        let own = |scheme: &[u8], authority: &[u8]| {
            is_one_of(authority, scheme, &[b"10.0.0.1:8080", b"app.internal:80"])
        };
        let made = from_outside(location.as_bytes(), &route(keys), own);
        let made = made.map(|made| String::from_utf8(made).unwrap());
        assert_eq!(made.as_deref(), expected, "{keys} {location}");
    }

    #[test]
    fn places_of_the_endpoint_are_places_of_the_host_that_was_asked() {
        check("", "http://10.0.0.1:8080/a?b#c", Some("/a?b#c"));
        check("", "HTTP://app.internal", Some("/"));
        check("", "http://APP.internal:80?q", Some("/?q"));
        check("", "https://app.internal/a", None);
        check("", "http://10.0.0.1/a", None);
        check("", "http://10.0.0.1:8080//evil.test", None);
        check("", "http://www.example.com/a", None);
        check("", "/a", None);
        check("", "//10.0.0.1:8080/a", None);
        check("", "", None);
    }

    #[test]
    fn prefixes_are_put_back() {
        let app = "http://app.internal";
        check(
            "strip_prefix = \"/api\"",
            &format!("{app}/x"),
            Some("/api/x"),
        );
        check(
            "strip_prefix = \"/api\"",
            &format!("{app}?x"),
            Some("/api/?x"),
        );
        check("add_prefix = \"/v2\"", &format!("{app}/v2/x"), Some("/x"));
        check("add_prefix = \"/v2\"", &format!("{app}/v2"), Some("/"));
        check("add_prefix = \"/v2\"", &format!("{app}/v2x"), None);
        let both = "strip_prefix = \"/api\"\nadd_prefix = \"/v2\"";
        check(both, &format!("{app}/v2/x"), Some("/api/x"));
        check(
            "rewrite = { regex = 'a', to = \"/\" }",
            &format!("{app}/x"),
            None,
        );
    }
}
