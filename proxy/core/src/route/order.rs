//! The order in which routes are tried, as operators read it.

use std::cmp::Reverse;

use super::conditions;
use crate::config::{HostPattern, PathPattern, Route};

/// Indexes of routes, those first that are asked first. Routes of hosts that never meet are in the order of their names.
pub fn order(routes: &[Route]) -> Vec<usize> {
    let mut indexes: Vec<usize> = (0..routes.len()).collect();
    indexes.sort_by_key(|index| {
        let matcher = routes.get(*index).map(|route| &route.matcher);
        let host = matcher.and_then(|matcher| matcher.host.as_ref());
        let host = match host {
            Some(HostPattern::Exact(host)) => (0, Reverse(0), host.clone()),
            // The longest wildcard first.
            Some(HostPattern::Suffix(suffix)) => (1, Reverse(suffix.len()), suffix.clone()),
            None => (2, Reverse(0), String::new()),
        };
        let conditions = Reverse(matcher.map_or(0, conditions::count));
        let path = match matcher.and_then(|matcher| matcher.path.as_ref()) {
            Some(PathPattern::Exact(path)) => (0, Reverse(0), path.clone(), conditions),
            // One after another as the file has them; those with the same expression are found together.
            Some(PathPattern::Regex(regex)) => {
                let first = routes.iter().position(|route| {
                    let path = &route.matcher.path;
                    route.matcher.host == matcher.and_then(|matcher| matcher.host.clone())
                        && matches!(path, Some(PathPattern::Regex(one)) if one.as_str() == regex.as_str())
                });
                (1, Reverse(usize::MAX - first.unwrap_or_default()), String::new(), conditions)
            }
            // The longest prefix first, counted in segments as they are walked.
            Some(PathPattern::Prefix(prefix)) => {
                let trimmed = prefix.trim_end_matches('/');
                let segments = trimmed.matches('/').count();
                (2, Reverse(segments), trimmed.to_owned(), conditions)
            }
            None => (2, Reverse(0), String::new(), conditions),
        };
        (host, path, *index)
    });
    indexes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::fmt::Write as _;

    use super::order;
    use crate::config::{self, NoFiles, Source};

    #[test]
    fn routes_are_listed_as_they_are_tried() {
        let routes = [
            ("any", "{}"),
            ("wild", r#"{ host = "*.example.com" }"#),
            ("longer wild", r#"{ host = "*.www.example.com" }"#),
            ("prefix", r#"{ host = "www.example.com", path = "/a" }"#),
            (
                "long prefix",
                r#"{ host = "www.example.com", path = "/a/b" }"#,
            ),
            (
                "conditions",
                r#"{ host = "www.example.com", path = "/a", method = ["GET"] }"#,
            ),
            ("regex", r#"{ host = "www.example.com", path_regex = "z" }"#),
            (
                "next regex",
                r#"{ host = "www.example.com", path_regex = "a" }"#,
            ),
            (
                "first regex again",
                r#"{ host = "www.example.com", path_regex = "z", query = { a = "1" } }"#,
            ),
            (
                "exact",
                r#"{ host = "www.example.com", path_exact = "/a" }"#,
            ),
        ];
        let mut text = "[listener.web]\nbind = [\"127.0.0.1:0\"]\n".to_owned();
        for (name, matcher) in routes {
            let name = name.replace(' ', "-");
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "[[route]]\nname = \"{name}\"\nmatch = {matcher}\nrespond = {{}}"
            );
        }
        let source = Source {
            name: "test",
            text: &text,
            files: &NoFiles,
            variable: &|_| None,
        };
        let routes = config::load(&source).unwrap().config.routes;
        let names = order(&routes).into_iter();
        let names: Vec<&str> = names
            .map(|index| &*routes.get(index).unwrap().name)
            .collect();
        assert_eq!(
            names,
            [
                "exact",
                "first-regex-again",
                "regex",
                "next-regex",
                "long-prefix",
                "conditions",
                "prefix",
                "longer-wild",
                "wild",
                "any"
            ]
        );
    }
}
