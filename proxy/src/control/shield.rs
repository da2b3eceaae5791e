//! The shield's place in the control plane: its calls, its clock, its log. What takes time runs beside the control thread.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use openclaw_core::config::{Prefix, units};
use tokio::task::{spawn_blocking, spawn_local};
use tokio::time::{MissedTickBehavior, interval};

use super::admin::table::{Call, Route};
use super::http::Answer;
use super::state::Control;
use crate::shield::{ApiError, Kind, Request};
use crate::snapshot::Snapshot;

/// How often ended entries are taken out and changed lists saved.
const TICK: Duration = Duration::from_secs(1);

/// Ranges that workers look for one by one.
const FEW: usize = 8;

/// The largest body: lists are imported through here.
const MAX_LISTS: usize = 64 << 20;

pub(super) static ROUTES: &[Route] = &[Route {
    method: "POST",
    path: "/shield",
    max_body: MAX_LISTS,
    run: |control, call| Box::pin(ask(control, call)),
}];

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
    match spawn_blocking(move || shield.handle(request)).await {
        Ok(Ok(answer)) => {
            for range in ranges {
                control.close(range);
            }
            Answer::json(200, &answer)
        }
        Ok(Err(error)) => Answer::json(if error.usage { 400 } else { 409 }, &error),
        Err(error) => Answer::error(500, &error.to_string()),
    }
}

/// Where connections may be open that a request turns away from now on; nothing stands for everywhere. Workers ask the shield
/// about each connection, so too much costs time only.
fn ranges(request: &Request) -> Vec<Option<Prefix>> {
    match request {
        Request::Add {
            kind: Kind::Block,
            addresses,
            ..
        } if addresses.len() <= FEW => {
            let ranges = addresses.iter();
            ranges.map(|text| units::prefix(text).ok()).collect()
        }
        Request::Add { .. }
        | Request::Del { .. }
        | Request::Flush { .. }
        | Request::Import(_)
        | Request::On => vec![None],
        Request::List { .. }
        | Request::Test { .. }
        | Request::Export { .. }
        | Request::Stats { .. }
        | Request::Status
        | Request::Attach { .. }
        | Request::Detach { .. }
        | Request::Off => Vec::new(),
    }
}

/// Lets the shield follow a new configuration; gives back what did not work.
pub(super) async fn follow(control: &Control, snapshot: Arc<Snapshot>) -> Vec<String> {
    let (shield, no_shield) = (control.shield.clone(), !control.options.shield);
    let following = spawn_blocking(move || shield.reload(&snapshot.config, no_shield));
    let warnings = following.await;
    control.close(None);
    warnings.unwrap_or_else(|error| vec![error.to_string()])
}

/// Starts what goes on for as long as the proxy runs.
pub(super) fn attend(control: &Control) {
    let shield = control.shield.clone();
    spawn_local(async move {
        let mut clock = interval(TICK);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            let shield = shield.clone();
            if let Err(error) = spawn_blocking(move || shield.tick()).await {
                tracing::error!(%error, "the shield missed a tick");
            }
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
