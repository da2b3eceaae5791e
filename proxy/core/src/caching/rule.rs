//! What a route says of caching, in place of origins that say nothing or too little.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::vary;
use crate::message::Field;

/// `cache` of a route, ready to be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Whose the stored responses are. The same after a restart, whatever stands before the route in its file by then.
    pub owner: Arc<str>,
    /// How long a response is fresh at least.
    pub ttl: Option<Duration>,
    /// What is stored; empty: what RFC 9111 allows.
    pub status: Vec<u16>,
    /// The part of its age, in hundredths, for which a response is fresh where nothing says how long (RFC 9111 §4.2.2).
    pub heuristic: Option<u32>,
    /// The longest that comes of that.
    pub heuristic_max: Duration,
    /// What tells responses apart beside `Vary`: lower-case names of request fields, and `cookie:NAME`.
    pub vary: Vec<String>,
    /// The part of the query that tells responses apart.
    pub query: Query,
    /// Requests that have one of these go past the cache: `header:name`, or `cookie:NAME`.
    pub bypass: Vec<String>,
    /// Where the origin does not say it itself.
    pub stale_while_revalidate: Option<Duration>,
    /// Where the origin does not say it itself.
    pub stale_if_error: Option<Duration>,
    /// The largest body that is stored.
    pub max_object: u64,
    /// What requests say of caching counts.
    pub obeys_requests: bool,
    /// Lower-case names of request fields that the route fills from what it knows of a client: what the client says under them is not
    /// what an endpoint goes by.
    pub filled: Vec<String>,
    /// How long the parts are in which large things are fetched and stored, where that is done.
    pub slice: Option<u64>,
}

/// What of a query stands in the key of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Query {
    /// All of it, as it was sent.
    #[default]
    All,
    /// These parameters, in this order.
    Only(Vec<String>),
}

impl Query {
    /// A request's target with what counts of its query.
    pub fn of<'a>(&self, target: &'a str) -> Cow<'a, str> {
        let (Self::Only(names), Some((path, query))) = (self, target.split_once('?')) else {
            return Cow::Borrowed(target);
        };
        let mut whole = path.to_owned();
        let mut add = |part: &str| {
            whole.push(if whole.len() == path.len() { '?' } else { '&' });
            whole.push_str(part);
        };
        for name in names {
            let named = |part: &&str| part.split('=').next() == Some(name);
            query.split('&').filter(named).for_each(&mut add);
        }
        let odd = |part: &&str| is_odd(part, names);
        query.split('&').filter(odd).for_each(add);
        Cow::Owned(whole)
    }
}

/// Whether an origin may read the name of a parameter as another one, `i%64` or `ID` as `id`. Such a one always counts, or a response
/// made for it would be the answer to those who did not send it.
fn is_odd(part: &str, names: &[String]) -> bool {
    let name = part.split('=').next().unwrap_or_default();
    let is_like = |known: &String| known != name && known.eq_ignore_ascii_case(name);
    let is_counted = names.iter().any(|known| known == name);
    !is_counted
        && (part.contains(';')
            || name.contains(['%', '+', '[', '.', ' '])
            || names.iter().any(is_like))
}

impl Rule {
    /// Whether a request goes past the cache.
    pub fn is_bypassed(&self, request: &[Field<'_>]) -> bool {
        self.bypass.iter().any(|what| match what.split_once(':') {
            Some(("header", name)) => request.iter().any(|field| field.is(name.as_bytes())),
            Some(_) | None => vary::cookies(request, what.as_bytes()).next().is_some(),
        })
    }

    /// Whether a response of this status is stored, as far as the route is concerned.
    pub fn takes(&self, status: u16) -> bool {
        self.status.is_empty() || self.status.contains(&status)
    }

    /// Whether `ttl` is for this status: where the route names none, those that say what a resource is, and not that there is none.
    pub fn lengthens(&self, status: u16) -> bool {
        self.ttl.is_some()
            && match self.status.as_slice() {
                [] => matches!(status, 200 | 203 | 204 | 300 | 301 | 308),
                listed => listed.contains(&status),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_what_counts_of_a_query() {
        let check = |names: &[&str], target: &str, expected: &str| {
            let query = Query::Only(names.iter().map(ToString::to_string).collect());
            assert_eq!(query.of(target), expected, "{names:?} {target}");
        };
        check(&["id"], "/a?utm=1&id=2&x=3", "/a?id=2");
        check(&["b", "a"], "/a?a=1&b=2&a=3", "/a?b=2&a=1&a=3");
        check(&["id"], "/a?idx=1", "/a");
        check(&["id"], "/a?id", "/a?id");
        check(&["id"], "/a", "/a");
        check(&[], "/a?id=1", "/a");
        check(&["id"], "/a?ID=evil&id=1&x=2", "/a?id=1&ID=evil");
        check(&["id", "ID"], "/a?ID=2&id=1&Id=3", "/a?id=1&ID=2&Id=3");
        check(&["id"], "/a?i%64=evil", "/a?i%64=evil");
        check(&["id"], "/a?i%64=evil&id=1&x", "/a?id=1&i%64=evil");
        check(&["id"], "/a?x;id=5", "/a?x;id=5");
        check(&["id"], "/a?id[]=5", "/a?id[]=5");
        assert_eq!(Query::All.of("/a?b=1"), "/a?b=1");
    }

    #[test]
    fn what_goes_past_says_so() {
        let rule = Rule {
            bypass: vec!["cookie:session".to_owned(), "header:x-preview".to_owned()],
            ..Rule::default()
        };
        let check = |name: &str, value: &str, expected: bool| {
            let request = [Field::new(name.as_bytes(), value.as_bytes())];
            assert_eq!(rule.is_bypassed(&request), expected, "{name}: {value}");
        };
        check("Cookie", "a=1; session=2", true);
        check("Cookie", "session2=1", false);
        check("X-Preview", "", true);
        check("X-Other", "session=1", false);
    }
}
