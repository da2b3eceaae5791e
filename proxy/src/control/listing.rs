//! What is served now, as operators list it: endpoints of upstreams, routes in the order in which they are tried, certificates.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use openclaw_core::config::{
    Action, Balance, EndpointAddress, HostPattern, PathPattern, Upstream, Wanted,
};
use openclaw_core::overlay::{Layer, Overlay, Presence};
use openclaw_core::route::order;
use serde_json::{Map, Value, json};

use super::admin::table::{Call, Route};
use super::admin::{rfc3339, unix_time};
use super::http::Answer;
use super::state::Control;
use crate::snapshot::{ResolvedEndpoint, UpstreamSetup};
use crate::upstream::{Figures, Tally};
use crate::worker::Command;

/// Calls have no body.
const NO_BODY: usize = 0;
const DAY: i64 = 86_400;

pub(super) static ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/upstreams",
        max_body: NO_BODY,
        run: |control, call| Box::pin(upstreams(control, call)),
    },
    Route {
        method: "GET",
        path: "/routes",
        max_body: NO_BODY,
        run: |control, _| Box::pin(async move { routes(&control) }),
    },
    Route {
        method: "GET",
        path: "/certificates",
        max_body: NO_BODY,
        run: |control, _| Box::pin(async move { certificates(&control) }),
    },
];

/// What all workers together know of an endpoint.
#[derive(Default)]
struct Sum {
    active: usize,
    idle: usize,
    passed_over: bool,
    tally: Tally,
}

/// By upstream, label and address.
type Sums = HashMap<(Arc<str>, Arc<str>, SocketAddr), Sum>;

async fn upstreams(control: Rc<Control>, call: Call) -> Answer {
    let only = call.parameter("upstream");
    let listed = upstream_rows(&control, only.as_deref()).await;
    match only {
        Some(name) if listed.is_empty() => {
            Answer::error(409, &format!("there is no upstream `{name}`"))
        }
        Some(_) | None => Answer::json(200, &json!({ "upstreams": listed })),
    }
}

/// All upstreams with their endpoints, or one.
pub(super) async fn upstream_rows(control: &Control, only: Option<&str>) -> Vec<Value> {
    let sums = sums(control.ask_workers(Command::Endpoints).await);
    let snapshot = control.snapshot();
    let beside = control.beside.borrow().clone();
    let discovered = control.discovery.discovered(&snapshot.config.upstreams);
    let mut listed = Vec::new();
    for (config, setup) in snapshot.config.upstreams.iter().zip(&snapshot.upstreams) {
        if only.is_some_and(|only| *only != *config.name) {
            continue;
        }
        let rows = setup.endpoints.iter();
        let mut rows: Vec<Value> = rows
            .map(|one| {
                let key = (
                    Arc::clone(&config.name),
                    Arc::clone(&one.label),
                    one.address,
                );
                endpoint(control, config, one, sums.get(&key), &beside.overlay)
            })
            .collect();
        let members = beside.overlay.members(config, &discovered);
        rows.extend(unresolved(control, config, setup, &members));
        listed.push(json!({
            "upstream": &*config.name,
            "balance": balance_word(config.balance),
            "probed": config.health.is_some(),
            "all_down": config.health.is_some() && setup.is_all_down(),
            "endpoints": rows,
            "deleted": deleted(&beside.overlay, &config.name),
        }));
    }
    listed
}

fn sums(figures: Vec<Vec<Figures>>) -> Sums {
    let mut sums = Sums::new();
    for one in figures.into_iter().flatten() {
        let sum = sums
            .entry((one.upstream, one.label, one.address))
            .or_default();
        sum.active += one.active;
        sum.idle += one.idle;
        sum.passed_over |= one.is_passed_over;
        sum.tally.add(one.tally);
    }
    sums
}

fn endpoint(
    control: &Control,
    upstream: &Upstream,
    endpoint: &ResolvedEndpoint,
    sum: Option<&Sum>,
    overlay: &Overlay,
) -> Value {
    let now = Instant::now();
    let nothing = Sum::default();
    let sum = sum.unwrap_or(&nothing);
    let standing = &endpoint.standing;
    let note = control.probes.borrow().note(&upstream.name, endpoint);
    let breaker = upstream.breaker.as_ref().map(|_| {
        if standing.is_closed() {
            "closed"
        } else if standing.allows(now) {
            "half_open"
        } else {
            "open"
        }
    });
    // What keeps requests away, the strongest first.
    let state = match breaker {
        _ if endpoint.is_draining => "draining",
        _ if !standing.is_well() => "down",
        Some(word @ ("open" | "half_open")) => word,
        _ if sum.passed_over => "passed_over",
        _ => "up",
    };
    let did = sum.tally;
    let known = SystemTime::now() - now.saturating_duration_since(standing.began());
    let since = note.as_ref().map_or(known, |note| note.since);
    let names = [endpoint.label.to_string(), endpoint.address.to_string()];
    let is_kept = names
        .iter()
        .any(|name| !overlay.kept.endpoint(&upstream.name, name).is_empty());
    json!({
        "endpoint": &*endpoint.label,
        "address": endpoint.address,
        "source": endpoint.origin.name(),
        "persisted": is_kept,
        "weight": endpoint.weight,
        "zone": endpoint.zone.as_deref(),
        "state": state,
        "draining": endpoint.is_draining,
        "healthy": standing.is_well(),
        "probe_error": note.and_then(|note| note.error),
        "breaker": breaker,
        "last_error": standing.last_error(),
        "passed_over": sum.passed_over,
        "active": sum.active,
        "idle": sum.idle,
        "requests": did.requests,
        "failures": did.failures,
        "connects": did.connects,
        "connects_failed": did.connects_failed,
        "latency_ms": did.latency.seconds().map(|seconds| (f64::from(seconds) * 1e6).round() / 1e3),
        "since": rfc3339(since),
    })
}

/// Endpoints whose name has no address.
fn unresolved(
    control: &Control,
    upstream: &Upstream,
    setup: &UpstreamSetup,
    members: &[openclaw_core::overlay::Member],
) -> Vec<Value> {
    let members = members.iter().filter_map(|member| {
        let label = member.endpoint.address.to_string();
        let is_there = setup.endpoints.iter().any(|one| *one.label == *label);
        // One whose addresses are deleted, or there under another name, is none of these.
        let has_address = match &member.endpoint.address {
            EndpointAddress::Name { host, port } => {
                !control.discovery.name(host, *port).0.is_empty()
            }
            EndpointAddress::Ip(_) | EndpointAddress::Demo => true,
        };
        (!is_there && !has_address).then(|| {
            json!({
                "endpoint": label,
                "address": null,
                "source": member.origin.name(),
                "weight": member.endpoint.weight,
                "state": "unresolved",
                "draining": false,
                "healthy": false,
                "breaker": upstream.breaker.as_ref().map(|_| "closed"),
            })
        })
    });
    members.collect()
}

/// What was deleted at run time, and would be there without.
fn deleted(overlay: &Overlay, upstream: &str) -> Vec<Value> {
    let of = |layer: &Layer| layer.endpoints.get(upstream).cloned().unwrap_or_default();
    let mut labels: Map<String, Value> = Map::new();
    for (layer, is_kept) in [(&overlay.kept, true), (&overlay.passing, false)] {
        for (label, change) in of(layer) {
            if change.presence == Some(Presence::Deleted) {
                labels.entry(label).or_insert(is_kept.into());
            } else if change.presence == Some(Presence::Added) {
                labels.remove(&label);
            }
        }
    }
    let labels = labels.into_iter();
    labels
        .map(|(label, is_kept)| json!({ "endpoint": label, "persisted": is_kept }))
        .collect()
}

fn balance_word(balance: Balance) -> &'static str {
    match balance {
        Balance::RoundRobin => "round_robin",
        Balance::LeastConnections => "least_connections",
        Balance::LeastTime => "least_time",
        Balance::Random => "random",
        Balance::IpHash => "ip_hash",
        Balance::UrlHash => "url_hash",
        Balance::Maglev => "maglev",
    }
}

fn routes(control: &Control) -> Answer {
    let snapshot = control.snapshot();
    let config = &snapshot.config;
    let overlay = control.beside.borrow().overlay.clone();
    let routes = order(&config.routes).into_iter();
    let routes = routes.filter_map(|index| config.routes.get(index));
    let listed: Vec<Value> = routes
        .zip(1..)
        .map(|(route, place)| {
            let matcher = &route.matcher;
            let host = matcher.host.as_ref().map(|host| match host {
                HostPattern::Exact(host) => host.clone(),
                HostPattern::Suffix(suffix) => format!("*{suffix}"),
            });
            let path = matcher.path.as_ref().map(|path| match path {
                PathPattern::Prefix(prefix) => json!({ "prefix": prefix }),
                PathPattern::Exact(path) => json!({ "exact": path }),
                PathPattern::Regex(regex) => json!({ "regex": regex.as_str() }),
            });
            let limit = route.limit.as_ref().map(|limit| {
                let quota = &limit.quota;
                json!({ "allowance": quota.allowance(), "window_seconds": quota.window() })
            });
            let mut row = json!({
                "order": place,
                "route": &*route.name,
                "host": host,
                "path": path,
                "method": matcher.method,
                "header": pairs(&matcher.header),
                "cookie": pairs(&matcher.cookie),
                "query": pairs(&matcher.query),
                "client": matcher.client.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "limit": limit,
                "changed": overlay.passing.routes.contains_key(&*route.name),
                "persisted": overlay.kept.routes.contains_key(&*route.name),
            });
            let (kind, what) = match &route.action {
                Action::Forward(targets) => {
                    let to = targets.iter().map(|target| {
                        let upstream = config.upstreams.get(target.upstream);
                        let name = upstream.map_or("", |upstream| &*upstream.name);
                        json!({ "upstream": name, "weight": target.weight })
                    });
                    ("to", to.collect())
                }
                Action::Respond(respond) => ("respond", json!(respond.status)),
                Action::Redirect(redirect) => (
                    "redirect",
                    json!({ "to": redirect.written, "status": redirect.status }),
                ),
            };
            if let Value::Object(row) = &mut row {
                row.insert(kind.to_owned(), what);
            }
            row
        })
        .collect();
    Answer::json(200, &json!({ "routes": listed }))
}

/// The value, or whether there is to be one.
fn pairs(pairs: &[(String, Wanted)]) -> Value {
    let one = |(name, wanted): &(String, Wanted)| {
        let wanted = match wanted {
            Wanted::Is(value) => value.as_str().into(),
            Wanted::Present => true.into(),
            Wanted::Absent => false.into(),
        };
        (name.clone(), wanted)
    };
    Value::Object(pairs.iter().map(one).collect())
}

fn certificates(control: &Control) -> Answer {
    let now = SystemTime::now();
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let all = control.certificates.borrow();
    let listed = all.iter().map(|(listener, facts)| {
        json!({
            "listener": &**listener,
            "certificate": facts.label,
            "names": facts.names,
            "issuer": facts.issuer,
            "not_before": unix_time(facts.not_before),
            "not_after": unix_time(facts.not_after),
            "days_left": (facts.not_after - seconds).div_euclid(DAY),
            "validity": match facts.validity(now) {
                crate::tls::Validity::Valid => "valid",
                crate::tls::Validity::NotYet => "not_yet",
                crate::tls::Validity::Expired => "expired",
            },
        })
    });
    Answer::json(200, &json!({ "certificates": listed.collect::<Vec<_>>() }))
}
