//! The cache as an operator sees it: how full it is, what it saves, and taking things out of it.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::admin::table::{Call, Route};
use super::http::Answer;
use super::state::Control;
use crate::cache::{Purge, Purged, Store};
use crate::telemetry::{Cache, Cached, Summary};

/// How long a purge waits for the disk.
const PATIENCE: Duration = Duration::from_secs(10);
/// Calls have no body.
const NO_BODY: usize = 0;

pub(super) static ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/cache",
        max_body: NO_BODY,
        run: |control, _| Box::pin(stats(control)),
    },
    Route {
        method: "POST",
        path: "/cache/purge",
        max_body: NO_BODY,
        run: |control, call| Box::pin(async move { purge(&control, &call).await }),
    },
];

async fn stats(control: Rc<Control>) -> Answer {
    let snapshot = control.snapshot();
    let Some(store) = &snapshot.cache else {
        return no_cache();
    };
    let reports = control.reports().await;
    let summary = Summary::of(&reports);
    let cached = snapshot.config.routes.iter();
    let routes: Vec<_> = cached
        .filter(|route| route.cache.is_some())
        .map(|route| {
            let counts = summary
                .cache()
                .get(&*route.name)
                .copied()
                .unwrap_or_default();
            of_route(&route.name, &counts)
        })
        .collect();
    let full = store.fullness();
    let disk = store.disk().map(|disk| {
        let full = disk.fullness();
        json!({
            "objects": full.objects,
            "bytes": full.bytes,
            "capacity": full.capacity,
            "index_bytes": full.index,
            "evicted": full.evicted,
            "failed": full.failed,
        })
    });
    Answer::json(
        200,
        &json!({
            "uris": full.uris,
            "bytes": full.bytes,
            "capacity": full.capacity,
            "evicted": full.evicted,
            "disk": disk,
            "routes": routes,
        }),
    )
}

/// What the cache made of the requests of a route, and what came of that.
fn of_route(name: &str, counts: &[Cached; Cache::ALL.len()]) -> Value {
    let results = || Cache::ALL.iter().zip(counts);
    let from_store = || results().filter(|(result, _)| result.is_from_store());
    let asked = results().filter(|(result, _)| **result != Cache::Bypass);
    let asked: u64 = asked.map(|(_, cached)| cached.requests).sum();
    let hits: u64 = from_store().map(|(_, cached)| cached.requests).sum();
    let bytes: u64 = results().map(|(_, cached)| cached.bytes).sum();
    let saved: u64 = from_store().map(|(_, cached)| cached.bytes).sum();
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    let ratio = (asked > 0).then(|| hits as f64 / asked as f64);
    let figures = [
        ("route", name.into()),
        ("hit_ratio", ratio.into()),
        ("bytes_saved", saved.into()),
        ("bytes_sent", bytes.into()),
    ];
    let results = results().map(|(result, cached)| (result.word(), cached.requests.into()));
    let row = figures.into_iter().chain(results);
    Value::Object(row.map(|(name, value)| (name.to_owned(), value)).collect())
}

/// By one of `url`, `prefix`, `tag` and `all`; with `soft=1` things stay, and their origins are asked before they are used.
async fn purge(control: &Control, call: &Call) -> Answer {
    let snapshot = control.snapshot();
    let Some(store) = &snapshot.cache else {
        return no_cache();
    };
    let soft = call.parameter("soft").is_some_and(|soft| soft == "1");
    let (url, prefix, tag) = (
        call.parameter("url"),
        call.parameter("prefix"),
        call.parameter("tag"),
    );
    let what = match (&url, &prefix, &tag, call.parameter("all")) {
        (Some(url), None, None, None) => match Store::url(url) {
            Some(url) => return purged(store, Purge::Url(&url), soft).await,
            None => return not_a_url(url),
        },
        (None, Some(prefix), None, None) => match Store::url(prefix) {
            Some(prefix) => return purged(store, Purge::Prefix(&prefix), soft).await,
            None => return not_a_url(prefix),
        },
        (None, None, Some(tag), None) => Purge::Tag(tag),
        (None, None, None, Some(_)) => Purge::All,
        _ => return Answer::error(400, "name one of a URL, a prefix, a tag, or all"),
    };
    purged(store, what, soft).await
}

/// The answer comes when a restart could not bring back what was purged, or says that one could.
async fn purged(store: &Store, what: Purge<'_>, soft: bool) -> Answer {
    let Purged { objects, on_disk } = store.purge(what, soft);
    let left = match on_disk {
        Some(on_disk) => timeout(PATIENCE, on_disk.settled())
            .await
            .map_err(|_late| ()),
        None => Ok(0),
    };
    tracing::info!(?what, soft, purged = objects, ?left, "the cache was purged");
    match left {
        Ok(0) => Answer::json(200, &json!({ "purged": objects })),
        Ok(left) => not_durable(&format!("{left} of the files could not be removed")),
        Err(()) => not_durable("the disk is behind, or is not all read yet"),
    }
}

fn not_durable(why: &str) -> Answer {
    Answer::error(
        503,
        &format!(
            "nothing of that is used any more, but {why}: after a restart it may be there again; purge it once more when the log says no more of that disk"
        ),
    )
}

fn not_a_url(text: &str) -> Answer {
    Answer::error(
        400,
        &format!(
            "`{text}` is not a URL: write it with its scheme and host, such as https://www.example.com/a"
        ),
    )
}

fn no_cache() -> Answer {
    Answer::error(409, "no route has a cache")
}
