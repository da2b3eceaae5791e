//! What a route asks beyond host and path.

use crate::config::{Matcher, Wanted};

use super::Request;

/// How many conditions a route has: a list counts once, a table once per entry.
pub(super) fn count(matcher: &Matcher) -> usize {
    usize::from(!matcher.method.is_empty())
        + usize::from(!matcher.client.is_empty())
        + usize::from(matcher.scheme.is_some())
        + matcher.header.len()
        + matcher.cookie.len()
        + matcher.query.len()
}

/// Whether the request fulfils all of them.
pub(super) fn holds(matcher: &Matcher, request: &impl Request) -> bool {
    let Matcher {
        host: _,
        path: _,
        method,
        header,
        cookie,
        query,
        client,
        scheme,
    } = matcher;
    (method.is_empty() || is_one_of(method, request.method()))
        && header
            .iter()
            .all(|(name, wanted)| fits(wanted, || request.header(name)))
        && cookie.iter().all(|(name, wanted)| {
            any_fits(wanted, || {
                request.cookies().flat_map(|text| named(name, text, b';'))
            })
        })
        && query
            .iter()
            .all(|(name, wanted)| any_fits(wanted, || named(name, request.query(), b'&')))
        && (client.is_empty() || {
            let address = request.client();
            client.iter().any(|prefix| prefix.contains(address))
        })
        && scheme.is_none_or(|scheme| request.scheme() == scheme)
}

fn is_one_of(methods: &[String], method: &[u8]) -> bool {
    methods.iter().any(|known| known.as_bytes() == method)
}

fn fits<'a>(wanted: &Wanted, value: impl Fn() -> Option<&'a [u8]>) -> bool {
    match wanted {
        Wanted::Is(text) => value() == Some(text.as_bytes()),
        Wanted::Present => value().is_some(),
        Wanted::Absent => value().is_none(),
    }
}

/// The same of what may be there more than once.
fn any_fits<'a, V: Iterator<Item = &'a [u8]>>(wanted: &Wanted, values: impl Fn() -> V) -> bool {
    match wanted {
        Wanted::Is(text) => values().any(|value| value == text.as_bytes()),
        Wanted::Present => values().next().is_some(),
        Wanted::Absent => values().next().is_none(),
    }
}

/// The values of the pairs of that name in `text`.
fn named<'a>(name: &str, text: &'a [u8], separator: u8) -> impl Iterator<Item = &'a [u8]> {
    let pairs = text.split(move |byte| *byte == separator);
    pairs.filter_map(move |pair| {
        let pair = pair.trim_ascii();
        let (key, rest) = match memchr::memchr(b'=', pair).and_then(|at| pair.split_at_checked(at))
        {
            Some((key, rest)) => (key, rest.get(1..).unwrap_or_default()),
            None => (pair, [].as_slice()),
        };
        (key == name.as_bytes()).then_some(rest)
    })
}
