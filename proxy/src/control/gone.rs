//! A process that serves no longer: it is asked to stop, or another one has taken over. It finishes what it has and changes nothing: a
//! socket that it opened now would take clients whom nobody accepts.

use std::time::Duration;

use tokio::sync::MutexGuard;
use tokio::time::timeout;

use super::build::Builder;
use super::http::Answer;
use super::state::Control;

/// What an order waits for an upgrade, which mostly takes a fraction of that.
const UPGRADED_WITHIN: Duration = Duration::from_secs(5);

/// Why nothing is changed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Gone {
    #[error("the proxy is ending")]
    Ending,
    #[error("process {by} serves now; ask again, and it answers")]
    Succeeded { by: u32 },
    /// Not gone yet; it is not known whether it will be.
    #[error("an upgrade is under way; ask again when it is over")]
    Upgrading,
}

impl Gone {
    /// Whose call it is now may be asked over another connection (RFC 9110 §15.5.20).
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Ending | Self::Upgrading => 409,
            Self::Succeeded { .. } => 421,
        }
    }

    pub(super) fn answer(self) -> Answer {
        Answer::error(self.status(), &self.to_string())
    }
}

impl Control {
    /// Whether this process serves no longer.
    pub(super) fn gone(&self) -> Option<Gone> {
        if let Some(successor) = &*self.successor.borrow() {
            return Some(Gone::Succeeded { by: successor.pid });
        }
        self.draining.get().map(|_| Gone::Ending)
    }

    /// Waits until nothing else is changed, and keeps it so.
    ///
    /// # Errors
    /// This process has gone, perhaps while this waited; or an upgrade takes its time.
    pub(super) async fn hold(&self) -> Result<MutexGuard<'_, Builder>, Gone> {
        let held = self.hold_at_last();
        if !self.is_upgrading.get() {
            return held.await;
        }
        let held = timeout(UPGRADED_WITHIN, held).await;
        held.unwrap_or(Err(Gone::Upgrading))
    }

    /// The same for what is not asked for again.
    ///
    /// # Errors
    /// This process has gone.
    pub(super) async fn hold_at_last(&self) -> Result<MutexGuard<'_, Builder>, Gone> {
        let builder = self.builder.lock().await;
        match self.gone() {
            None => Ok(builder),
            Some(gone) => Err(gone),
        }
    }
}
