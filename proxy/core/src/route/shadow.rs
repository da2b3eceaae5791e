//! Which routes can never take a request, because another one that is asked before them takes all of theirs.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::config::{Matcher, PathPattern, Prefix, Route};

use super::conditions::count;

/// Pairs of a route without requests and the one that takes them, by their indexes. Only routes of the same host and path are compared:
/// what another expression or wildcard leaves of a route is not known.
pub fn shadowed(routes: &[Route]) -> Vec<(usize, usize)> {
    let mut alike: HashMap<_, Vec<(usize, &Matcher)>> = HashMap::new();
    let matchers = routes.iter().map(|route| &route.matcher).enumerate();
    for (index, matcher) in matchers {
        let place = (&matcher.host, place(matcher.path.as_ref()));
        alike.entry(place).or_default().push((index, matcher));
    }
    let mut pairs: Vec<(usize, usize)> = alike.into_values().flat_map(among).collect();
    pairs.sort_unstable();
    pairs
}

/// The pairs among routes of one host and path.
fn among(mut routes: Vec<(usize, &Matcher)>) -> Vec<(usize, usize)> {
    // As they are asked.
    routes.sort_by_key(|(index, matcher)| (Reverse(count(matcher)), *index));
    let places = routes.iter().enumerate();
    places
        .filter_map(|(asked, (index, matcher))| {
            let mut before = routes.iter().take(asked);
            let (taker, _) = before.find(|(_, before)| takes_all(before, matcher))?;
            Some((*index, *taker))
        })
        .collect()
}

fn place(path: Option<&PathPattern>) -> (u8, &str) {
    match path {
        None => (0, ""),
        Some(PathPattern::Prefix(prefix)) => (0, prefix.trim_end_matches('/')),
        Some(PathPattern::Exact(path)) => (1, path),
        Some(PathPattern::Regex(regex)) => (2, regex.as_str()),
    }
}

/// Whether `wide` holds for every request for which `narrow` does.
fn takes_all(wide: &Matcher, narrow: &Matcher) -> bool {
    let covers = |prefix: &Prefix| {
        let mut wider = wide.client.iter();
        wider.any(|wide| wide.length <= prefix.length && wide.contains(prefix.address))
    };
    is_within(&wide.header, &narrow.header)
        && is_within(&wide.cookie, &narrow.cookie)
        && is_within(&wide.query, &narrow.query)
        && (wide.scheme.is_none() || wide.scheme == narrow.scheme)
        && (wide.method.is_empty()
            || !narrow.method.is_empty() && is_within(&narrow.method, &wide.method))
        && (wide.client.is_empty() || !narrow.client.is_empty() && narrow.client.iter().all(covers))
}

fn is_within<T: PartialEq>(few: &[T], many: &[T]) -> bool {
    few.iter().all(|one| many.contains(one))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::config::{NoFiles, Source, load};

    /// Each line is what a route matches; gives the pairs, counted from 1.
    fn check(matches: &[&str], expected: &[(usize, usize)]) {
        let mut text = "[listener.web]\nbind = \"127.0.0.1:80\"\n".to_owned();
        for one in matches {
            text.extend(["[[route]]\nmatch = ", one, "\nrespond = {}\n"]);
        }
        let loaded = load(&Source {
            name: "test.toml",
            text: &text,
            files: &NoFiles,
            variable: &|_| None,
        });
        let pairs = shadowed(&loaded.unwrap().config.routes);
        let pairs: Vec<_> = pairs.iter().map(|(one, by)| (one + 1, by + 1)).collect();
        assert_eq!(pairs, expected, "{matches:?}");
    }

    #[test]
    fn a_route_is_in_the_shadow_of_one_that_takes_all_of_its_requests_first() {
        check(&["{}", "{}"], &[(2, 1)]);
        check(&["{ path = \"/a\" }", "{ path = \"/a/\" }"], &[(2, 1)]);
        check(&["{ path = \"/\" }", "{}"], &[(2, 1)]);
        check(&["{ path = \"/a\" }", "{ path = \"/a/b\" }"], &[]);
        check(&["{ path = \"/a\" }", "{ path_exact = \"/a\" }"], &[]);
        check(
            &["{ host = \"a.test\" }", "{ host = \"b.test\" }", "{}"],
            &[],
        );
        check(
            &["{ host = \"A.test\" }", "{ host = \"a.test\" }"],
            &[(2, 1)],
        );
        check(
            &["{ path_regex = '^/a' }", "{ path_regex = '^/a' }"],
            &[(2, 1)],
        );
    }

    #[test]
    fn conditions_decide_which_is_asked_first_and_what_is_left() {
        // More conditions go first, whatever the file says.
        check(&["{}", "{ method = [\"GET\"] }"], &[]);
        let (both, get) = ("{ method = [\"GET\", \"PUT\"] }", "{ method = [\"GET\"] }");
        check(&[both, get], &[(2, 1)]);
        check(&[get, both], &[]);
        let (wide, narrow) = (
            "{ client = [\"10.0.0.0/8\", \"::/0\"] }",
            "{ client = [\"10.1.0.0/16\"] }",
        );
        check(&[wide, narrow], &[(2, 1)]);
        check(&[narrow, wide], &[]);
        let one = "{ header = { a = \"1\" }, query = { b = \"2\" } }";
        check(&[one, one], &[(2, 1)]);
        check(&[one, "{ header = { a = \"1\", b = \"2\" } }"], &[]);
        check(
            &["{ cookie = { a = \"1\" } }", "{ cookie = { a = \"2\" } }"],
            &[],
        );
    }
}
