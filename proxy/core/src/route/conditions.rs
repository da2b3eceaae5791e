//! What a route asks beyond host and path.

use crate::config::Matcher;

use super::Request;

/// How many conditions a route has: a list counts once, a table once per entry.
pub(super) fn count(matcher: &Matcher) -> usize {
    usize::from(!matcher.method.is_empty())
        + usize::from(!matcher.client.is_empty())
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
    } = matcher;
    (method.is_empty() || is_one_of(method, request.method()))
        && header
            .iter()
            .all(|(name, value)| request.header(name) == Some(value.as_bytes()))
        && cookie
            .iter()
            .all(|pair| request.cookies().any(|text| has(pair, text, b';')))
        && query.iter().all(|pair| has(pair, request.query(), b'&'))
        && (client.is_empty() || {
            let address = request.client();
            client.iter().any(|prefix| prefix.contains(address))
        })
}

fn is_one_of(methods: &[String], method: &[u8]) -> bool {
    methods.iter().any(|known| known.as_bytes() == method)
}

/// Whether the wanted pair is among the pairs of `text`.
fn has((name, value): &(String, String), text: &[u8], separator: u8) -> bool {
    text.split(|byte| *byte == separator).any(|pair| {
        let pair = pair.trim_ascii();
        let (key, rest) = match memchr::memchr(b'=', pair).and_then(|at| pair.split_at_checked(at))
        {
            Some((key, rest)) => (key, rest.get(1..).unwrap_or_default()),
            None => (pair, [].as_slice()),
        };
        key == name.as_bytes() && rest == value.as_bytes()
    })
}
