//! Who changed what: one line of the diagnostics and one of the security log for each order that changes how the proxy serves, whatever
//! came of it.

use serde_json::json;

use super::state::Control;

/// `uid` is the caller's at the admin socket; without one it was a signal, or the proxy itself.
pub(super) fn audit(control: &Control, action: &str, uid: Option<u32>, outcome: &str) {
    // What is not there leaves no field.
    tracing::info!(target: "audit", action, uid, "audit: {action} {outcome}");
    let generation = control.snapshot().generation;
    let facts = json!({ "uid": uid, "outcome": outcome, "generation": generation });
    control.audit_own(action, &facts);
}
