//! Which route takes a request.
//!
//! Host: exact, then the longest wildcard, then any; a host whose routes all refuse gives way to the next. Inside a host:
//! exact path, then regex in file order, then the longest prefix; of equal ones the one with more conditions, then file
//! order. Hosts are found by hash and prefixes by a walk over segments, so the cost does not grow with their number,
//! and nothing is allocated for a request.

mod conditions;
mod hash;
mod misses;
mod order;
mod paths;
mod seen;
mod shadow;
mod split;
pub mod target;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::HashMap;
use std::net::IpAddr;

use crate::config::{HostPattern, Matcher, Route};

use conditions::holds;
use hash::Fast;
pub use misses::misses;
pub use order::order;
use paths::Paths;
pub use seen::Seen;
pub use shadow::shadowed;
pub use split::{pick, pick_for_client};

/// What a route can ask of a request.
pub trait Request {
    /// The authority as it came, without the port.
    fn host(&self) -> &[u8];
    /// Without the query.
    fn path(&self) -> &[u8];
    /// Without the question mark; empty if there is none.
    fn query(&self) -> &[u8];
    /// The method as received.
    fn method(&self) -> &[u8];
    /// The first value of a field; the name is in lower case.
    fn header(&self, name: &str) -> Option<&[u8]>;
    /// The values of all Cookie fields: HTTP/2 clients may send one for each cookie (RFC 9113 §8.2.3).
    fn cookies(&self) -> impl Iterator<Item = &[u8]>;
    /// The address that `client` conditions look at.
    fn client(&self) -> IpAddr;
    /// `http` or `https`.
    fn scheme(&self) -> &'static str;
}

/// The routes of a configuration, compiled; built once and never changed.
///
/// Each worker takes a clone: a cloned regex has scratch space of its own, so that no two cores wait for one.
#[derive(Clone, Debug)]
pub struct Router {
    exact: HashMap<Box<[u8]>, Paths, Fast>,
    /// Keyed by what follows the star, dot included.
    wildcard: HashMap<Box<[u8]>, Paths, Fast>,
    any: Paths,
    matchers: Vec<Matcher>,
}

/// The longest host that a pattern can have: a DNS name is at most 253 bytes long.
const LONGEST_HOST: usize = 256;

impl Router {
    /// Compiles routes; what [`Self::find`] gives back is an index into them.
    pub fn new(routes: &[Route]) -> Self {
        let mut router = Self {
            exact: HashMap::default(),
            wildcard: HashMap::default(),
            any: Paths::default(),
            matchers: routes.iter().map(|route| route.matcher.clone()).collect(),
        };
        for (index, route) in routes.iter().enumerate() {
            let paths = match &route.matcher.host {
                None => &mut router.any,
                Some(HostPattern::Exact(host)) => {
                    router.exact.entry(host.as_bytes().into()).or_default()
                }
                Some(HostPattern::Suffix(suffix)) => {
                    router.wildcard.entry(suffix.as_bytes().into()).or_default()
                }
            };
            paths.add(index, &route.matcher);
        }
        let Self {
            exact,
            wildcard,
            any,
            matchers,
        } = &mut router;
        let all = exact.values_mut().chain(wildcard.values_mut());
        for paths in all.chain(std::iter::once(any)) {
            paths.sort(matchers);
        }
        router
    }

    /// The index of the route in `Config::routes`.
    pub fn find(&self, request: &impl Request) -> Option<usize> {
        let mut buffer = [0; LONGEST_HOST];
        let host = lower_case(request.host(), &mut buffer);
        self.find_exact(host, request)
            .or_else(|| self.find_wildcard(host, request))
            .or_else(|| self.find_in(&self.any, request))
    }

    fn find_exact(&self, host: &[u8], request: &impl Request) -> Option<usize> {
        self.find_in(self.exact.get(host)?, request)
    }

    fn find_wildcard(&self, host: &[u8], request: &impl Request) -> Option<usize> {
        if self.wildcard.is_empty() {
            return None;
        }
        // From the left, so the longest suffix comes first; the star stands for one label at least.
        (1..host.len())
            .filter_map(|start| host.get(start..).filter(|rest| rest.starts_with(b".")))
            .filter_map(|suffix| self.wildcard.get(suffix))
            .find_map(|paths| self.find_in(paths, request))
    }

    fn find_in(&self, paths: &Paths, request: &impl Request) -> Option<usize> {
        paths.find(request.path(), |index| {
            self.matchers
                .get(index)
                .is_some_and(|matcher| holds(matcher, request))
        })
    }
}

/// The host in lower case without a final dot; empty if it is too long for any pattern.
fn lower_case<'b>(host: &[u8], buffer: &'b mut [u8; LONGEST_HOST]) -> &'b [u8] {
    let host = host.strip_suffix(b".").unwrap_or(host);
    let Some(lower) = buffer.get_mut(..host.len()) else {
        return &[];
    };
    lower.copy_from_slice(host);
    lower.make_ascii_lowercase();
    lower
}
