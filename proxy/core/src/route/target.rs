//! What a route makes of a target: the path for the endpoint, or the place that the client is sent to.

use std::borrow::Cow;

use regex::bytes::Regex;

use super::{Request as _, Seen};
use crate::config::{Action, Redirect, Route};
use crate::message::path::normalised;
use crate::template::{Facts, Template, encoded_path, path_of, sent_to};

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
        return with_prefixes(route, facts.target, seen);
    };
    match regex.captures(seen.path) {
        Some(captures) => Cow::Owned(path_of(&rewrite.to, Some(&captures), facts, seen.query())),
        None => stripped(facts.target, None),
    }
}

/// The target without one prefix and with the other. It goes on in the form that came, as long as it leads an endpoint that resolves
/// `..` and `%2e` to where the route means it to go: `/api/../x` and `/%61pi/x` do not, and are written anew.
fn with_prefixes<'a>(route: &Route, target: &'a [u8], seen: &Seen<'_>) -> Cow<'a, [u8]> {
    let (strip, add) = (route.strip_prefix.as_deref(), route.add_prefix.as_deref());
    let plain = prefixed(stripped(target, strip), add);
    if strip.or(add).is_none() || seen.request.path() == seen.path || seen.path == b"*" {
        return plain;
    }
    let (mut of_strip, mut of_add, mut of_plain) = (Vec::new(), Vec::new(), Vec::new());
    let strip = strip.map(|prefix| normalised(prefix.as_bytes(), &mut of_strip));
    let rest = without(seen.path, strip);
    let add = add.map_or(&b""[..], |prefix| {
        normalised(prefix.as_bytes(), &mut of_add)
    });
    let end = memchr::memchr(b'?', &plain).unwrap_or(plain.len());
    let path = plain.get(..end).unwrap_or_default();
    let is_meant = normalised(path, &mut of_plain)
        .strip_prefix(add)
        .is_some_and(|own| own == &*rest);
    if is_meant {
        return plain;
    }
    let mut anew = encoded_path(&[add, &rest].concat());
    if !seen.query().is_empty() {
        anew.extend([b"?", seen.query()].concat());
    }
    Cow::Owned(anew)
}

fn prefixed<'a>(path: Cow<'a, [u8]>, prefix: Option<&str>) -> Cow<'a, [u8]> {
    match prefix {
        Some(prefix) if path.starts_with(b"/") => Cow::Owned([prefix.as_bytes(), &*path].concat()),
        Some(_) | None => path,
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
    without(target, prefix.map(str::as_bytes))
}

/// A path, or one with a query, without its first segments, if they are these.
fn without<'a>(path: &'a [u8], prefix: Option<&[u8]>) -> Cow<'a, [u8]> {
    let prefix = prefix.map(|prefix| prefix.strip_suffix(b"/").unwrap_or(prefix));
    match prefix.and_then(|prefix| path.strip_prefix(prefix)) {
        Some([]) => Cow::Borrowed(b"/"),
        Some(rest @ [b'/', ..]) => Cow::Borrowed(rest),
        Some(query @ [b'?', ..]) => Cow::Owned([b"/", query].concat()),
        Some(_) | None => Cow::Borrowed(path),
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
