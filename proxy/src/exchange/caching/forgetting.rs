//! An unsafe request that is carried out has changed what is stored of its URI (RFC 9111 §4.4), whichever route has carried it out.

use std::sync::Arc;

use openclaw_core::caching::{Query, Status};
use openclaw_core::message::{Method, Request, Response};
use openclaw_core::route::Seen;

use super::look::{self, Asking, Purpose};
use crate::cache::{Key, Store};
use crate::exchange::prepare::{Outbound, Plan};
use crate::exchange::serving::Serving;
use crate::exchange::wire::{Wire, handed_on};

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
    handed_on!(poll_body poll_gone body consume trailers inform respond poll_send more_follows bare_socket finish poll_flush abort can_respond);

    fn consider(&mut self, response: &Response<'_>) -> Option<Status> {
        if let Purpose::Forget(keys) = &self.asking.purpose {
            forget(&self.asking.store, keys, response);
        }
        self.wire.consider(response)
    }
}

/// Whether a request may change what it names.
pub(super) fn changes(request: &Request<'_>) -> bool {
    let method = Method::of(request.method);
    !method.is_safe() && method != Method::Connect
}

/// Has what such a request changes forgotten on a route without a cache.
pub(super) fn beside_the_routes(
    (serving, store): (&Serving, &Arc<Store>),
    seen: &Seen<'_>,
    planned: Plan,
) -> Plan {
    let Plan::Forward(outbound) = planned else {
        return planned;
    };
    let keys = keys(serving, seen);
    let caching = keys.first().cloned().map(|key| {
        Box::new(Asking {
            store: Arc::clone(store),
            key,
            purpose: Purpose::Forget(keys),
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

/// What the URI of a request is called by the routes that store: each may have another part of the query in its keys.
pub(super) fn keys(serving: &Serving, seen: &Seen<'_>) -> Vec<Key> {
    let mut queries: Vec<&Query> = Vec::new();
    let mut keys: Vec<Key> = Vec::new();
    let routes = serving.snapshot.config.routes.iter();
    for rule in routes.filter_map(|route| route.cache.as_ref()) {
        if queries.contains(&&rule.query) {
            continue;
        }
        queries.push(&rule.query);
        let key = look::key(seen.scheme, rule, seen.request);
        keys.extend(key.filter(|key| !keys.contains(key)));
    }
    keys
}

/// Takes out what the response to such a request says to have changed.
pub(super) fn forget(store: &Store, keys: &[Key], response: &Response<'_>) {
    if response.status >= 400 {
        return;
    }
    for key in keys {
        store.forget(key);
    }
    let Some(own) = keys.first() else {
        return;
    };
    for name in [&b"Location"[..], b"Content-Location"] {
        let field = response.fields.iter().find(|field| field.is(name));
        let Some(uri) = field.and_then(|field| str::from_utf8(field.value).ok()) else {
            continue;
        };
        // Of the same origin alone: another may not be emptied from here.
        let mut slashes = own.match_indices('/');
        let origin_end = slashes.nth(2).map_or(own.len(), |(at, _)| at);
        let origin = own.get(..origin_end).unwrap_or_default();
        if uri.starts_with('/') && !uri.starts_with("//") {
            store.forget(&format!("{origin}{uri}"));
        } else if uri
            .strip_prefix(origin)
            .is_some_and(|rest| rest.starts_with('/'))
        {
            store.forget(uri);
        }
    }
}
