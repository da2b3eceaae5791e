//! What a route says of caching, in place of origins that say nothing or too little.

use std::time::Duration;

/// `cache` of a route, ready to be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// How long a response is fresh at least.
    pub ttl: Option<Duration>,
    /// What is stored; empty: what RFC 9111 allows.
    pub status: Vec<u16>,
    /// Lower-case names of request fields that tell responses apart, beside those of `Vary`.
    pub vary: Vec<String>,
    /// Where the origin does not say it itself.
    pub stale_while_revalidate: Option<Duration>,
    /// Where the origin does not say it itself.
    pub stale_if_error: Option<Duration>,
    /// The largest body that is stored.
    pub max_object: u64,
    /// What requests say of caching counts.
    pub obeys_requests: bool,
}

impl Rule {
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
