//! What a route makes of a target: the path for the endpoint, or the place that the client is sent to.

use std::borrow::Cow;

use regex::bytes::Regex;

use super::{Request as _, Seen};
use crate::config::{Action, Redirect, Route};
use crate::template::{Facts, Template, path_of, sent_to};

/// The expression whose groups the route's target may have.
pub fn groups(route: &Route) -> Option<&Regex> {
    let rewrite = route.rewrite.as_ref().map(|rewrite| &rewrite.regex);
    rewrite.or_else(|| match &route.action {
        Action::Redirect(redirect) if redirect.to.plain().is_none() => route.matcher.path_regex(),
        Action::Redirect(_) | Action::Respond(_) | Action::Forward(_) => None,
    })
}

/// The target that the endpoint gets. `regex` is the route's expression.
pub fn for_endpoint<'a>(
    route: &Route,
    regex: Option<&Regex>,
    facts: &Facts<'a, Seen<'a>>,
) -> Cow<'a, [u8]> {
    let seen = facts.request;
    let Some((rewrite, regex)) = route.rewrite.as_ref().zip(regex) else {
        let stripped = stripped(facts.target, route.strip_prefix.as_deref());
        return match route.add_prefix.as_deref() {
            Some(prefix) if stripped.starts_with(b"/") => {
                Cow::Owned([prefix.as_bytes(), &*stripped].concat())
            }
            Some(_) | None => stripped,
        };
    };
    match regex.captures(seen.path) {
        Some(captures) => Cow::Owned(path_of(&rewrite.to, Some(&captures), facts, seen.query())),
        None => stripped(facts.target, None),
    }
}

/// Where the client is sent; nothing where that is as it is written.
pub fn for_client(
    redirect: &Redirect,
    regex: Option<&Regex>,
    facts: &Facts<'_, Seen<'_>>,
) -> Option<Vec<u8>> {
    let query = facts.request.query();
    let query = if redirect.keep_query { query } else { b"" };
    if matches!(redirect.to, Template::Plain(_)) && query.is_empty() {
        return None;
    }
    let captures = regex.and_then(|regex| regex.captures(facts.request.path));
    Some(sent_to(&redirect.to, captures.as_ref(), facts, query))
}

/// The target without the route's prefix, if it has it in the form in which it was received; what is left begins with
/// a slash, also where an absolute-form had a query alone.
fn stripped<'a>(target: &'a [u8], prefix: Option<&str>) -> Cow<'a, [u8]> {
    if target.first() == Some(&b'?') {
        return Cow::Owned([b"/", target].concat());
    }
    let prefix = prefix.map(|prefix| prefix.trim_end_matches('/').as_bytes());
    match prefix.and_then(|prefix| target.strip_prefix(prefix)) {
        Some([]) => Cow::Borrowed(b"/"),
        Some(rest @ [b'/', ..]) => Cow::Borrowed(rest),
        Some(query @ [b'?', ..]) => Cow::Owned([b"/", query].concat()),
        Some(_) | None => Cow::Borrowed(target),
    }
}

#[cfg(test)]
mod tests {
    use super::stripped;

    #[test]
    fn a_prefix_is_stripped_at_a_segment_and_never_leaves_an_empty_path() {
        let check = |target: &str, prefix: &str, expected: &str| {
            assert_eq!(
                stripped(target.as_bytes(), Some(prefix)),
                expected.as_bytes(),
                "{target} {prefix}"
            );
        };
        check("/api/x?q", "/api", "/x?q");
        check("/api", "/api", "/");
        check("/api?q", "/api", "/?q");
        check("/api/?q", "/api", "/?q");
        check("/apix?q", "/api", "/apix?q");
        check("/api/", "/api/", "/");
        check("/apix", "/api", "/apix");
        check("/x", "/", "/x");
        check("?q", "/api", "/?q");
    }
}
