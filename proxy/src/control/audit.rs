//! Who changed what: one line of the log for each order that changes how the proxy serves, whatever came of it.

/// `uid` is the caller's at the admin socket; without one it was a signal, or the proxy itself.
pub(super) fn audit(action: &str, uid: Option<u32>, outcome: &str) {
    // What is not there leaves no field.
    tracing::info!(target: "audit", action, uid, "audit: {action} {outcome}");
}
