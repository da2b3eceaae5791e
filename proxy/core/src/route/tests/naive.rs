//! The compiled router against the rule read word by word.

use proptest::prelude::*;

use crate::config::{HostPattern, Matcher, PathPattern, Route, Wanted};

use super::super::Router;
use super::{Asked, route};

/// The sentence of the module comment, word by word.
fn naive(routes: &[Route], asked: &Asked) -> Option<usize> {
    let host = asked.host.to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    let level = |route: &Route| match &route.matcher.host {
        Some(HostPattern::Exact(exact)) if exact == host => Some(usize::MAX),
        Some(HostPattern::Suffix(suffix))
            if host.len() > suffix.len() && host.ends_with(suffix) =>
        {
            Some(suffix.len())
        }
        Some(_) => None,
        None => Some(0),
    };
    let path = |index: usize, route: &Route| match &route.matcher.path {
        Some(PathPattern::Exact(exact)) => (*exact == asked.path).then_some((2, 0)),
        Some(PathPattern::Regex(regex)) => {
            let first = routes.iter().position(|other| {
                other.matcher.host == route.matcher.host
                    && matches!(&other.matcher.path, Some(PathPattern::Regex(same)) if same.as_str() == regex.as_str())
            });
            let order = usize::MAX - first.unwrap_or(index);
            regex.is_match(asked.path.as_bytes()).then_some((1, order))
        }
        Some(PathPattern::Prefix(prefix)) if prefix != "/" => {
            let rest = asked.path.strip_prefix(prefix.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then_some((0, prefix.len()))
        }
        Some(PathPattern::Prefix(_)) | None => Some((0, 0)),
    };
    let fits = |matcher: &Matcher| {
        (matcher.method.is_empty() || matcher.method.contains(&asked.method))
            && matcher
                .header
                .iter()
                .all(|(name, _)| asked.headers.iter().any(|(known, _)| known == name))
    };
    let conditions =
        |matcher: &Matcher| usize::from(!matcher.method.is_empty()) + matcher.header.len();
    routes
        .iter()
        .enumerate()
        .filter(|(_, route)| fits(&route.matcher))
        .filter_map(|(index, route)| {
            let key = (
                level(route)?,
                path(index, route)?,
                conditions(&route.matcher),
            );
            Some((key, std::cmp::Reverse(index)))
        })
        .max()
        .map(|(_, std::cmp::Reverse(index))| index)
}

fn any_route() -> impl Strategy<Value = Route> {
    let host = prop::option::of(prop_oneof![
        "[ab](\\.[ab]){0,2}".prop_map(HostPattern::Exact),
        "(\\.[ab]){1,3}".prop_map(HostPattern::Suffix),
    ]);
    let path = prop::option::of(prop_oneof![
        Just("/".to_owned()).prop_map(PathPattern::Prefix),
        "(/[ab]{1,2}){1,3}".prop_map(PathPattern::Prefix),
        "(/[ab]{0,2}){1,3}".prop_map(PathPattern::Exact),
        "\\^?/?[ab]{1,2}\\$?"
            .prop_map(|text| PathPattern::Regex(regex::bytes::Regex::new(&text).unwrap())),
    ]);
    let method = prop::collection::vec(
        prop_oneof![Just("GET".to_owned()), Just("POST".to_owned())],
        0..2,
    );
    let header = prop::option::of("[xy]")
        .prop_map(|name| name.map(|name| (name, Wanted::Is("1".to_owned()))));
    (host, path, method, header).prop_map(|(host, path, method, header)| {
        route(Matcher {
            host,
            path,
            method,
            header: header.into_iter().collect(),
            ..Matcher::default()
        })
    })
}

fn any_request() -> impl Strategy<Value = Asked> {
    (
        prop_oneof![Just("GET"), Just("POST")],
        "[abAB](\\.[abAB]){0,3}\\.?",
        "(/[ab]{0,2}){0,4}",
        prop::collection::vec("[xy]", 0..2),
    )
        .prop_map(|(method, host, path, headers)| Asked {
            method: method.to_owned(),
            host,
            path,
            headers: headers
                .into_iter()
                .map(|name| (name, "1".to_owned()))
                .collect(),
            ..Asked::default()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_compiled_router_agrees_with_the_sentence(
        routes in prop::collection::vec(any_route(), 0..12),
        requests in prop::collection::vec(any_request(), 1..12),
    ) {
        let router = Router::new(&routes);
        for asked in requests {
            prop_assert_eq!(router.find(&asked), naive(&routes, &asked), "{:?}", asked);
        }
    }
}
