//! Certificates whose files somebody else has renewed: read again, without the configuration's own text.

use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Value, json};

use super::admin::table::{Call, Route};
use super::admin::unix_time;
use super::audit::Came;
use super::http::Answer;
use super::load;
use super::logs::Caller;
use super::not_taken::NotTaken;
use super::state::Control;
use crate::tls::CertificateFacts;

/// Calls have no body.
const NO_BODY: usize = 0;

pub(super) static ROUTES: &[Route] = &[Route {
    method: "POST",
    path: "/certificates/renew",
    max_body: NO_BODY,
    run: |control, call| Box::pin(answer(control, call)),
}];

type Certificates = Vec<(Arc<str>, CertificateFacts)>;

impl Control {
    /// Serves the same configuration with its files as they are now.
    ///
    /// # Errors
    /// A file cannot be used; what was read before serves on.
    async fn renew(&self, caller: Caller) -> Result<(Certificates, Certificates), NotTaken> {
        let mut builder = self.hold().await?;
        let before = self.certificates.borrow().clone();
        let reading = load::parse_written(&self.history.borrow().serving);
        let turned = self.turn(&mut builder, reading, |_| Vec::new()).await;
        self.audit(
            "certificates.renew",
            caller,
            Came::of(&turned),
            &Value::Null,
        );
        turned.map_err(NotTaken::Refused)?;
        Ok((before, self.certificates.borrow().clone()))
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
