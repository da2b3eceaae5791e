//! Why a configuration was not taken, as the one hears it who asked for it.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::json;

use super::error::Refused;
use super::gone::Gone;
use super::http::Answer;

/// Why nothing was taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotTaken {
    #[error(
        "a configuration waits for its confirmation for another {} s; `openclaw confirm` keeps it, `openclaw rollback` goes back at once",
        left.as_secs()
    )]
    Unconfirmed { left: Duration },
    #[error("no configuration waits for a confirmation")]
    NothingWaits,
    #[error("no configuration is known that served before this one")]
    NothingBefore,
    #[error(
        "nothing is reloaded: you are logged in from {peer}, which the shield would drop then ({reason}) and cut off; --force reloads all \
         the same"
    )]
    CutsOff { peer: IpAddr, reason: &'static str },
    #[error(transparent)]
    Gone(#[from] Gone),
    #[error("{0}")]
    Refused(Refused),
}

impl NotTaken {
    /// Without the text of the configuration.
    pub(super) fn in_short(&self) -> String {
        if let Self::Refused(refused) = self {
            return format!("{} wrong in the configuration", refused.0.len());
        }
        self.to_string()
    }

    pub(super) fn answer(&self) -> Answer {
        // 409: the text is right, and what it asks for is not to be had now.
        let status = match self {
            Self::Refused(refused) => {
                let told = json!({
                    "error": "the configuration was refused, the old one serves on",
                    "text": refused.to_string(),
                    "problems": refused.json(),
                });
                return Answer::json(if refused.is_of_the_system() { 409 } else { 422 }, &told);
            }
            Self::Gone(gone) => gone.status(),
            Self::Unconfirmed { .. }
            | Self::NothingWaits
            | Self::NothingBefore
            | Self::CutsOff { .. } => 409,
        };
        let text = format!("error: {self}");
        let told = json!({ "error": self.to_string(), "text": text, "problems": [] });
        Answer::json(status, &told)
    }
}
