//! What the cache of a route has to do with a request.

use serde::Serialize;

use crate::config::Route;
use crate::message::{Framing, Method, Request};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CachePart {
    /// It is answered from the store, or the answer may go there.
    Store,
    /// It is answered from the store, and the answer is not kept.
    Lookup,
    /// Nothing.
    None,
}

impl CachePart {
    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Lookup => "lookup",
            Self::None => "none",
        }
    }

    /// Of a request on a route that forwards it.
    pub(super) fn of(route: &Route, request: &Request<'_>) -> Self {
        let passes_by = route
            .cache
            .as_ref()
            .is_none_or(|rule| rule.is_bypassed(request.fields));
        let is_plain = request.framing == Framing::None && !request.upgrade;
        match Method::of(request.method) {
            _ if passes_by || !is_plain => Self::None,
            Method::Get => Self::Store,
            // What answers a HEAD alone is not kept.
            Method::Head => Self::Lookup,
            Method::Post
            | Method::Put
            | Method::Delete
            | Method::Patch
            | Method::Options
            | Method::Trace
            | Method::Connect
            | Method::Other => Self::None,
        }
    }
}
