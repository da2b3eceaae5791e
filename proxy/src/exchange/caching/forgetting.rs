//! An unsafe request that is carried out has changed what is stored of its URI (RFC 9111 §4.4), whichever route has carried it out.

use std::sync::Arc;
use std::time::Instant;

use openclaw_core::caching::{Query, Status};
use openclaw_core::message::{Method, Request, Response};
use openclaw_core::route::Seen;

use super::look::{self, Asking, Purpose};
use crate::cache::Store;
use crate::exchange::prepare::{Outbound, Plan};
use crate::exchange::serving::Serving;
use crate::exchange::wire::{Wire, handed_on};
use crate::snapshot::Snapshot;

/// The wire of such a request on a route that stores nothing, and says nothing of a cache.
pub(in crate::exchange) struct Unsettling<'a, W> {
    wire: &'a mut W,
    asking: &'a Asking,
}

impl<'a, W> Unsettling<'a, W> {
    pub(in crate::exchange) fn new(wire: &'a mut W, asking: &'a Asking) -> Self {
        Self { wire, asking }
    }
}

impl<W: Wire> Wire for Unsettling<'_, W> {
    handed_on!(poll_body poll_gone poll_left body consume trailers inform respond poll_send more_follows bare_socket finish poll_flush abort can_respond);

    fn consider(&mut self, response: &Response<'_>) -> Option<Status> {
        if let Purpose::Forget(snapshot) = &self.asking.purpose {
            forget(&self.asking.store, snapshot, &self.asking.key, response);
        }
        self.wire.consider(response)
    }
}

/// Whether a request may change what it names.
pub(super) fn changes(request: &Request<'_>) -> bool {
    let method = Method::of(request.method);
    !method.is_safe() && method != Method::Connect
}

/// Has what such a request changes forgotten, whether its route stores anything or not.
pub(super) fn changing(
    (serving, store): (&Serving, &Arc<Store>),
    seen: &Seen<'_>,
    planned: Plan,
) -> Plan {
    let Plan::Forward(outbound) = planned else {
        return planned;
    };
    let caching = look::key(seen.scheme, &Query::All, seen.request).map(|key| {
        Box::new(Asking {
            store: Arc::clone(store),
            key,
            looked: Instant::now(),
            purpose: Purpose::Forget(Arc::clone(&serving.snapshot)),
            lying: None,
            in_slices: None,
            slice: None,
        })
    });
    Plan::Forward(Outbound {
        caching,
        ..outbound
    })
}

/// Takes out what the response to such a request says to have changed.
pub(super) fn forget(store: &Store, snapshot: &Snapshot, own: &str, response: &Response<'_>) {
    if response.status >= 400 {
        return;
    }
    forget_all_of(store, snapshot, own);
    for name in [&b"Location"[..], b"Content-Location"] {
        let field = response.fields.iter().find(|field| field.is(name));
        let said = field.and_then(|field| str::from_utf8(field.value).ok());
        if let Some(uri) = said.and_then(|said| named(own, said)) {
            forget_all_of(store, snapshot, &uri);
        }
    }
}

/// Under all that the routes call a URI: each may have another part of the query in its keys.
fn forget_all_of(store: &Store, snapshot: &Snapshot, uri: &str) {
    let mut keys = Vec::new();
    let routes = snapshot.config.routes.iter();
    for rule in routes.filter_map(|route| route.cache.as_ref()) {
        let key = rule.query.of(uri);
        if !keys.contains(&key) {
            store.forget(&key);
            keys.push(key);
        }
    }
}

/// The URI that a response names, if it is of the same origin: another may not be emptied from here.
fn named(own: &str, said: &str) -> Option<String> {
    let mut slashes = own.match_indices('/');
    let end = slashes.nth(2).map_or(own.len(), |(at, _)| at);
    let origin = own.get(..end)?;
    let said = said.split('#').next().unwrap_or_default();
    let uri = if said.starts_with("//") {
        let scheme = origin.split("//").next()?;
        Store::url(&format!("{scheme}{said}"))?
    } else if said.starts_with('/') {
        format!("{origin}{said}")
    } else {
        Store::url(said)?
    };
    let is_same = uri.strip_prefix(origin)?.starts_with('/');
    is_same.then_some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_response_names_of_its_own_origin_is_found() {
        let check = |said: &str, expected: Option<&str>| {
            let found = named("https://a.test/x?y=1", said);
            assert_eq!(found.as_deref(), expected, "{said}");
        };
        check("/list?b#top", Some("https://a.test/list?b"));
        check("https://A.test:443/list", Some("https://a.test/list"));
        check("HTTPS://a.test", Some("https://a.test/"));
        check("//a.test/list", Some("https://a.test/list"));
        check("//b.test/list", None);
        check("https://b.test/list", None);
        check("https://a.test.b/list", None);
        check("http://a.test/list", None);
        check("https://a.test:8443/list", None);
        check("list", None);
        check("", None);
    }
}
