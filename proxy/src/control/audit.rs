//! Who changed what: one line of the diagnostics and one of the security log for each order that changes how the proxy serves, whatever
//! came of it. An order has one name, whether it comes by the admin socket, by a signal, or from the proxy itself.

use serde_json::{Value, json};
use tracing::field::display;

use super::logs::Caller;
use super::state::Control;

/// What came of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    Done,
    Refused,
}

impl Came {
    pub(super) fn of<T, E>(outcome: &Result<T, E>) -> Self {
        if outcome.is_ok() {
            Self::Done
        } else {
            Self::Refused
        }
    }

    /// Of the status that a call is answered with.
    pub(super) fn by(status: u16) -> Self {
        if status < 400 {
            Self::Done
        } else {
            Self::Refused
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

impl Control {
    /// Tells of an order. Without a caller it was a signal, or the proxy itself.
    pub(super) fn audit(&self, action: &str, caller: Caller, came: Came, detail: &Value) {
        let Caller { uid, pid, peer } = caller;
        let outcome = came.word();
        // What is not there leaves no field.
        let told = (!detail.is_null()).then(|| display(detail));
        let from = peer.map(display);
        tracing::info!(target: "audit", uid, pid, peer = from, detail = told, "audit: {action} {outcome}");
        let mut facts = json!({
            "action": action,
            "uid": uid,
            "pid": pid,
            "done": came == Came::Done,
            "outcome": outcome,
            "generation": self.snapshot().generation,
            "detail": detail,
        });
        if let (Some(peer), Some(facts)) = (peer, facts.as_object_mut()) {
            facts.insert("peer".into(), peer.to_string().into());
        }
        self.tell_security("change", facts);
    }
}

/// Orders of the admin API that tell of themselves, with more than the call says.
const TOLD: &[&str] = &[
    "/certificates/renew",
    "/confirm",
    "/reload",
    "/rollback",
    "/shield",
    "/stop",
    "/upgrade",
];

/// What a call of the admin API changes, by the name that it has in the logs: what it is about, then the verb. `None`: it is told elsewhere.
pub(super) fn action(path: &str, parameters: &Value) -> Option<String> {
    if TOLD.contains(&path) {
        return None;
    }
    let verb = parameters.get("verb").and_then(Value::as_str);
    Some(match (path, verb) {
        ("/upstreams/change", Some(verb)) => format!("upstream.{verb}"),
        ("/upstreams/change", None) => "upstream.change".to_owned(),
        ("/upstreams/reset", _) => "upstream.reset".to_owned(),
        ("/routes/change", _) => "route.weigh".to_owned(),
        ("/limits/reset", _) => "limit.reset".to_owned(),
        _ => path.trim_start_matches('/').replace('/', "."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_named_by_what_it_is_about() {
        for (path, parameters, expected) in [
            (
                "/upstreams/change",
                json!({ "verb": "drain" }),
                Some("upstream.drain"),
            ),
            ("/routes/change", json!({}), Some("route.weigh")),
            ("/cache/purge", json!({}), Some("cache.purge")),
            ("/log/level", json!({}), Some("log.level")),
            ("/reload", json!({}), None),
        ] {
            assert_eq!(action(path, &parameters).as_deref(), expected, "{path}");
        }
    }
}
