//! Certificates whose files somebody else has renewed: read again, without the configuration's own text.

use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Value, json};

use super::admin::table::{Call, Route};
use super::admin::unix_time;
use super::audit::Came;
use super::build::Builder;
use super::error::Refused;
use super::http::Answer;
use super::load;
use super::logs::Caller;
use super::not_taken::NotTaken;
use super::secured::Certificates;
use super::state::Control;
use crate::snapshot::Snapshot;

/// Calls have no body.
const NO_BODY: usize = 0;

pub(super) static ROUTES: &[Route] = &[Route {
    method: "POST",
    path: "/certificates/renew",
    max_body: NO_BODY,
    run: |control, call| Box::pin(answer(control, call)),
}];

impl Control {
    /// Serves the same with its certificates, keys and authorities as their files have them now. Nothing else is read or changed.
    ///
    /// # Errors
    /// A file cannot be used; what was read before serves on.
    async fn renew(&self, caller: Caller) -> Result<(Certificates, Certificates), NotTaken> {
        let mut builder = self.hold().await?;
        let renewed = self.read_again(&mut builder).await;
        self.audit(
            "certificates.renew",
            caller,
            Came::of(&renewed),
            &Value::Null,
        );
        if let Err(refused) = &renewed {
            tracing::error!("not renewed, what was read before serves on\n{refused}");
        }
        renewed.map_err(NotTaken::Refused)
    }

    /// The certificates of before, and those of now.
    async fn read_again(
        &self,
        builder: &mut Builder,
    ) -> Result<(Certificates, Certificates), Refused> {
        let old = self.snapshot();
        let mut troubles = Vec::new();
        let (shown, certificates) = builder.shown(&old.config.listeners, &mut troubles);
        let secured = builder.secured(&old.config.upstreams, &mut troubles);
        if !troubles.is_empty() {
            let reading = load::parse_written(&self.history.borrow().serving);
            return Err(Refused::placed(troubles, &reading?.loaded.places));
        }
        let listeners = old.listeners.iter().zip(shown);
        let listeners = listeners.map(|(setup, shown)| shown.renew(setup));
        let snapshot = Arc::new(Snapshot {
            generation: old.generation,
            config: old.config.clone(),
            router: old.router.clone(),
            listeners: listeners.collect(),
            upstreams: old.upstreams.clone(),
            secured,
            pages: old.pages.clone(),
            limits: old.limits.clone(),
            cache: old.cache.clone(),
        });
        let before = self.certificates.replace(certificates.clone());
        self.serve(snapshot).await;
        Ok((before, certificates))
    }
}

async fn answer(control: Rc<Control>, call: Call) -> Answer {
    match control.renew(call.caller()).await {
        Ok((before, now)) => {
            let changed: Vec<Value> = now
                .iter()
                .filter(|one| !before.contains(one))
                .map(|(listener, facts)| {
                    let mut known = before.iter();
                    let old =
                        known.find(|(name, old)| name == listener && old.label == facts.label);
                    json!({
                        "listener": &**listener,
                        "certificate": facts.label,
                        "names": facts.names,
                        "not_after": unix_time(facts.not_after),
                        "not_after_before": old.and_then(|(_, old)| unix_time(old.not_after)),
                    })
                })
                .collect();
            let unchanged = now.len() - changed.len();
            Answer::json(200, &json!({ "changed": changed, "unchanged": unchanged }))
        }
        Err(refusal) => refusal.answer(),
    }
}
