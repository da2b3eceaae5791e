//! Forgets what an operator has changed of an upstream's endpoints: they are as the configuration and registries have them.

use std::rc::Rc;

use serde_json::json;

use super::admin::table::{Call, Route};
use super::http::Answer;
use super::orders::refuse;
use super::state::Control;

/// Calls have no body.
const NO_BODY: usize = 0;

pub(super) static ROUTES: &[Route] = &[Route {
    method: "POST",
    path: "/upstreams/reset",
    max_body: NO_BODY,
    run: |control, call| Box::pin(reset(control, call)),
}];

/// The parameters `upstream`, and `endpoint` for one of its endpoints alone.
async fn reset(control: Rc<Control>, call: Call) -> Answer {
    let upstream = call.parameter("upstream").unwrap_or_default();
    let endpoint = call.parameter("endpoint");
    let mut builder = match control.hold().await {
        Ok(builder) => builder,
        Err(gone) => return gone.answer(),
    };
    let before = control.snapshot();
    let upstreams = before.config.upstreams.iter();
    let names: Vec<&str> = upstreams.map(|one| &*one.name).collect();
    let mut overlay = control.beside.borrow().overlay.clone();
    let kept = overlay.kept.clone();
    let forgotten = match overlay.forget(&upstream, endpoint.as_deref(), &names) {
        Ok(forgotten) => forgotten,
        Err(refused) => return refuse(&refused),
    };
    let persist = overlay.kept != kept;
    let set_aside = match control.take(&mut builder, overlay, persist).await {
        Ok(set_aside) => set_aside,
        Err(answer) => return answer,
    };
    // Whoever serves again is not ended by a drain.
    let after = control.snapshot();
    let upstreams = after.config.upstreams.iter().zip(&after.upstreams);
    for (config, setup) in upstreams.filter(|(config, _)| *config.name == *upstream) {
        for endpoint in setup.endpoints.iter().filter(|one| !one.is_draining) {
            control.end_nothing(&config.name, endpoint);
        }
    }
    Answer::json(
        200,
        &json!({
            "upstream": upstream, "endpoint": endpoint, "forgotten": forgotten,
            "set_aside": set_aside,
        }),
    )
}
