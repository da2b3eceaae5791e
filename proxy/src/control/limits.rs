//! The limits of routes as an operator sees them: whom they refuse, and letting one or all begin anew.

use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use openclaw_core::config::{self, LimitKey};
use openclaw_core::limit::{Identity, network_of};
use openclaw_core::reason::Reason;
use serde_json::{Value, json};

use super::admin::table::{Call, Route};
use super::http::Answer;
use super::state::Control;
use crate::filter::Busy;
use crate::shield::{Explained, route_limit};
use crate::snapshot::LimitSetup;
use crate::worker::Command;

/// Calls have no body.
const NO_BODY: usize = 0;
/// How many keys of each route are listed.
const SHOWN: usize = 10;
const MAX_SHOWN: usize = 1000;

pub(super) static ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/limits",
        max_body: NO_BODY,
        run: |control, call| Box::pin(list(control, call)),
    },
    Route {
        method: "POST",
        path: "/limits/reset",
        max_body: NO_BODY,
        run: |control, call| Box::pin(async move { reset(&control, &call) }),
    },
];

async fn list(control: Rc<Control>, call: Call) -> Answer {
    let shown = match call.parameter("limit").map(|text| text.parse::<usize>()) {
        None => SHOWN,
        Some(Ok(count)) => count.min(MAX_SHOWN),
        Some(Err(_)) => return Answer::error(400, "limit is not a number"),
    };
    let only = call.parameter("route");
    let snapshot = control.snapshot();
    let mut sums: HashMap<usize, (u64, HashMap<u64, Busy>)> = HashMap::new();
    for refused in control
        .ask_workers(Command::Limits)
        .await
        .into_iter()
        .flatten()
    {
        let (total, keys) = sums.entry(refused.route).or_default();
        *total += refused.total;
        for busy in refused.busiest {
            keys.entry(busy.hash)
                .and_modify(|sum| sum.refused += busy.refused)
                .or_insert(busy);
        }
    }
    let mut limits = Vec::new();
    let routes = snapshot.config.routes.iter().zip(&snapshot.limits);
    for (index, (route, setup)) in routes.enumerate() {
        let (Some(limit), Some(setup)) = (&route.limit, setup) else {
            continue;
        };
        if only.as_ref().is_some_and(|only| **only != *route.name) {
            continue;
        }
        let (refused, keys) = sums.remove(&index).unwrap_or_default();
        let mut keys: Vec<Busy> = keys.into_values().collect();
        keys.sort_by(|one, other| (other.refused, &one.name).cmp(&(one.refused, &other.name)));
        keys.truncate(shown);
        limits.push(json!({
            "route": &*route.name,
            "allowance": limit.quota.allowance(),
            "window_seconds": limit.quota.window(),
            "key": key_word(&limit.key),
            "refused": refused,
            "busiest": keys.iter().map(|busy| standing(limit, setup, busy)).collect::<Vec<_>>(),
        }));
    }
    match only {
        Some(name) if limits.is_empty() => no_limit(&name),
        Some(_) | None => Answer::json(200, &json!({ "limits": limits })),
    }
}

/// What a client has used up of the limits that count it by its address.
pub(super) fn explain(control: &Control, explained: &mut Explained) {
    let Ok(client) = explained.address.parse::<IpAddr>() else {
        return;
    };
    let snapshot = control.snapshot();
    for (route, setup) in snapshot.config.routes.iter().zip(&snapshot.limits) {
        let (Some(limit), Some(setup)) = (&route.limit, setup) else {
            continue;
        };
        let name = route_limit(&route.name);
        let mut known = explained.limits.iter_mut();
        let Some(view) = known.find(|view| view.name == name) else {
            continue;
        };
        let salt = setup.salt.load(Ordering::Relaxed);
        let identity = Identity::Client(network_of(client));
        let hash = setup.table.hash(&(salt, identity));
        let left = limit.quota.standing(setup.table.tat(hash), now_ns(setup));
        let allowance = limit.quota.allowance();
        view.used = Some(allowance.saturating_sub(left.remaining));
        view.burst = Some(allowance);
        if left.remaining == 0 {
            let seconds = left.retry_ns.div_ceil(1_000_000_000);
            explained.notes.push(format!(
                "the route `{}` refuses its next request ({}) for {seconds} s more",
                route.name,
                Reason::LimitRate.code(),
            ));
        }
    }
}

/// The table's time.
fn now_ns(setup: &LimitSetup) -> u64 {
    let passed = Instant::now().saturating_duration_since(setup.began);
    passed.as_nanos() as u64
}

fn standing(limit: &config::Limit, setup: &LimitSetup, busy: &Busy) -> Value {
    let standing = limit
        .quota
        .standing(setup.table.tat(busy.hash), now_ns(setup));
    json!({
        "key": busy.name,
        "id": format!("#{:016x}", busy.hash),
        "refused": busy.refused,
        "remaining": standing.remaining,
        "reset_seconds": standing.reset_ns.div_ceil(1_000_000_000),
    })
}

/// Without `route`, all of them; without `key`, all of the route's. Counts the limits that were reset, or the keys.
fn reset(control: &Control, call: &Call) -> Answer {
    let (only, key) = (call.parameter("route"), call.parameter("key"));
    let snapshot = control.snapshot();
    let (mut limits, mut fitting, mut known) = (0, 0, 0);
    for (route, setup) in snapshot.config.routes.iter().zip(&snapshot.limits) {
        let (Some(limit), Some(setup)) = (&route.limit, setup) else {
            continue;
        };
        if only.as_ref().is_some_and(|only| **only != *route.name) {
            continue;
        }
        limits += 1;
        let Some(key) = &key else {
            setup.salt.store(fastrand::u64(..), Ordering::Relaxed);
            continue;
        };
        // A word may be the header of one limit and no address of another.
        let Some(hashes) = hashes_of(limit, setup, key) else {
            continue;
        };
        fitting += 1;
        let forgotten = hashes.iter().filter(|hash| setup.table.forget(**hash));
        known += forgotten.count();
    }
    match (only, key) {
        (Some(name), _) if limits == 0 => no_limit(&name),
        (_, Some(key)) if fitting == 0 && limits > 0 => Answer::error(
            400,
            &format!("`{key}` is neither an address nor an id of `limit list`"),
        ),
        (_, Some(_)) => Answer::json(200, &json!({ "reset": known })),
        (_, None) => Answer::json(200, &json!({ "reset": limits })),
    }
}

fn no_limit(route: &str) -> Answer {
    Answer::error(409, &format!("there is no route `{route}` with a limit"))
}

/// The numbers of a key that an operator names: by what `limit list` calls its id, as an address, or as the value itself.
fn hashes_of(limit: &config::Limit, setup: &LimitSetup, key: &str) -> Option<Vec<u64>> {
    if let Some(id) = key.strip_prefix('#') {
        // The caller answers with the text that is no id.
        return u64::from_str_radix(id, 16).ok().map(|hash| vec![hash]);
    }
    let address = key.strip_suffix("/64").unwrap_or(key).parse::<IpAddr>();
    let client = address.ok().map(|it| Identity::Client(network_of(it)));
    let value = Identity::Value(key.as_bytes());
    let identities = match &limit.key {
        LimitKey::Route => vec![Identity::Everyone],
        LimitKey::ClientIp => vec![client?],
        // Whoever sends no such header or cookie is counted by address.
        LimitKey::Header(_) | LimitKey::Cookie(_) => {
            [Some(value), client].into_iter().flatten().collect()
        }
    };
    let salt = setup.salt.load(Ordering::Relaxed);
    let hash = |identity| setup.table.hash(&(salt, identity));
    Some(identities.into_iter().map(hash).collect())
}

/// As the configuration writes it.
fn key_word(key: &LimitKey) -> String {
    match key {
        LimitKey::ClientIp => "client_ip".to_owned(),
        LimitKey::Header(name) => format!("header:{name}"),
        LimitKey::Cookie(name) => format!("cookie:{name}"),
        LimitKey::Route => "route".to_owned(),
    }
}
