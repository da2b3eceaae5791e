//! The shield's place in the control plane: its calls, its clock, its log. What takes time runs beside the control thread.

use std::future::ready;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use openclaw_core::config::{ListSource, Prefix, units};
use tokio::task::{spawn_blocking, spawn_local};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::admin::SMALL;
use super::admin::table::{Call, Route};
use super::audit::Came;
use super::fetch::{fetch, fetch_decisions};
use super::http::Answer;
use super::limits;
use super::state::Control;
use crate::shield::{self, ApiError, Due, Kind, Request};
use crate::snapshot::Snapshot;
use crate::telemetry::chain;

/// How often ended entries are taken out and changed lists saved.
const TICK: Duration = Duration::from_secs(1);
/// How often SYNs are counted.
const SYN_TICK: Duration = Duration::from_millis(100);

/// Ranges that workers look for one by one.
const FEW: usize = 8;

/// The largest body: lists are imported through here.
const MAX_LISTS: usize = 64 << 20;

/// How often the ring of drops is read while somebody follows them, and while nobody does.
const DROPS_FOLLOWED: Duration = Duration::from_millis(100);
const DROPS_KEPT: Duration = Duration::from_millis(500);

pub(super) static ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/shield",
        max_body: MAX_LISTS,
        run: |control, call| Box::pin(ask(control, call)),
    },
    Route {
        method: "GET",
        path: "/shield/drops",
        max_body: SMALL,
        run: |control, _| Box::pin(ready(follow_drops(&control))),
    },
    Route {
        method: "GET",
        path: "/shield/watch/",
        max_body: SMALL,
        run: |control, call| Box::pin(watch_lists(control, call)),
    },
];

fn follow_drops(control: &Control) -> Answer {
    match control.shield.follow_drops() {
        Ok(lines) => Answer::lines(lines),
        Err(error) => Answer::json(409, &error),
    }
}

/// The kind stands behind the path.
async fn watch_lists(control: Rc<Control>, call: Call) -> Answer {
    let kind = match call.path.strip_prefix("/shield/watch/") {
        Some("block") => Kind::Block,
        Some("allow") => Kind::Allow,
        _ => return Answer::error(404, "there are `block` and `allow` lists"),
    };
    let shield = control.shield.clone();
    // An import may hold the lists for seconds.
    match spawn_blocking(move || shield.watch_lists(kind)).await {
        Ok(Ok(lines)) => Answer::lines(lines),
        Ok(Err(error)) => Answer::json(409, &error),
        Err(error) => Answer::error(500, &error.to_string()),
    }
}

async fn ask(control: Rc<Control>, call: Call) -> Answer {
    let request: Request = match serde_json::from_slice(&call.body) {
        Ok(request) => request,
        Err(error) => {
            let error = format!("this is no request for the shield: {error}");
            return Answer::json(400, &ApiError { error, usage: true });
        }
    };
    let shield = control.shield.clone();
    let ranges = ranges(&request);
    let change = request.change();
    let action = request.action();
    let mut came = Came::Refused;
    let answer = match spawn_blocking(move || shield.handle(request)).await {
        Ok(Ok(mut answer)) => {
            if let shield::Answer::Explained(explained) = &mut answer {
                limits::explain(&control, explained);
            }
            if !answer.is_refusal() {
                came = Came::Done;
            }
            for range in ranges {
                control.close(range);
            }
            Answer::json(200, &answer)
        }
        Ok(Err(error)) => Answer::json(if error.usage { 400 } else { 409 }, &error),
        Err(error) => Answer::error(500, &error.to_string()),
    };
    if let Some(detail) = change {
        control.audit(&action, call.caller(), came, &detail);
    }
    answer
}

/// Where connections may be open that a request turns away from now on; nothing stands for everywhere. Workers ask the shield
/// about each connection, so too much costs time only.
fn ranges(request: &Request) -> Vec<Option<Prefix>> {
    if let Request::Add {
        kind: Kind::Block,
        addresses,
        ..
    } = request
        && addresses.len() <= FEW
    {
        let ranges = addresses.iter();
        return ranges.map(|text| units::prefix(text).ok()).collect();
    }
    let changes = matches!(
        request,
        Request::Add { .. }
            | Request::Del { .. }
            | Request::Flush { .. }
            | Request::Import(_)
            | Request::On
    );
    if changes { vec![None] } else { Vec::new() }
}

/// Lets the shield follow a new configuration; gives back what did not work.
pub(super) async fn follow(control: &Control, snapshot: Arc<Snapshot>) -> Vec<String> {
    let (shield, no_shield) = (control.shield.clone(), !control.options.shield);
    let following = spawn_blocking(move || shield.reload(&snapshot.config, no_shield));
    let warnings = following.await;
    control.close(None);
    warnings.unwrap_or_else(|error| vec![error.to_string()])
}

/// Fetches the lists whose time has come, each in a task of its own.
async fn fetch_due(control: &Rc<Control>) {
    let shield = &control.shield;
    let asked = shield.clone();
    // An import may hold the lists for seconds.
    let Ok(due) = spawn_blocking(move || asked.due_feeds()).await else {
        return;
    };
    for due in due {
        let (shield, control) = (shield.clone(), Rc::clone(control));
        spawn_local(async move {
            let Due {
                list,
                validators,
                startup,
            } = due;
            let result = match &list.source {
                ListSource::Url { url, timeout, .. } => fetch(url, &validators, *timeout).await,
                ListSource::Crowdsec { url, api_key, .. } => {
                    fetch_decisions(url, api_key.expose(), startup).await
                }
                ListSource::File(_) => return,
            };
            let result = result.map_err(|error| chain(&error));
            let taken = spawn_blocking(move || shield.fetched(&list, &result)).await;
            if let Err(error) = taken {
                tracing::error!(%error, "a list was fetched and not taken");
            }
            close_turned_away(&control);
        });
    }
}

/// Closes the connections of those whom a feed, a file or a country turns away from now on.
fn close_turned_away(control: &Control) {
    if control.shield.take_tightened() {
        control.close(None);
    }
}

/// Starts what goes on for as long as the proxy runs.
pub(super) fn attend(control: &Rc<Control>) {
    let ticking = Rc::clone(control);
    spawn_local(async move {
        let mut clock = interval(TICK);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            let shield = ticking.shield.clone();
            if let Err(error) = spawn_blocking(move || shield.tick()).await {
                tracing::error!(%error, "the shield missed a tick");
            }
            close_turned_away(&ticking);
            fetch_due(&ticking).await;
        }
    });
    let shield = control.shield.clone();
    spawn_local(async move {
        let mut clock = interval(SYN_TICK);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            let shield = shield.clone();
            if let Err(error) = spawn_blocking(move || shield.watch_syns()).await {
                tracing::error!(%error, "SYNs are not counted any more");
                return;
            }
        }
    });
    let shield = control.shield.clone();
    spawn_local(async move {
        loop {
            let reading = shield.clone();
            if let Err(error) = spawn_blocking(move || reading.read_drops()).await {
                tracing::error!(%error, "the drops are not read any more");
                return;
            }
            let is_followed = shield.is_followed();
            sleep(if is_followed {
                DROPS_FOLLOWED
            } else {
                DROPS_KEPT
            })
            .await;
        }
    });
    if let Some(log) = control.shield.log_reader() {
        spawn_local(async move {
            if let Err(error) = log.forward().await {
                tracing::warn!(%error, "the log of the kernel program is not read any more");
            }
        });
    }
}
