//! A process that serves no longer: it is asked to stop, or another one has taken over. It finishes what it has and changes nothing: a
//! socket that it opened now would take clients whom nobody accepts.

use tokio::sync::MutexGuard;

use super::build::Builder;
use super::http::Answer;
use super::state::Control;

/// Why nothing is changed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Gone {
    #[error("the proxy is ending")]
    Ending,
    #[error("process {by} serves now; ask again, and it answers")]
    Succeeded { by: u32 },
}

impl Gone {
    /// Whose call it is now may be asked over another connection (RFC 9110 §15.5.20).
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Ending => 409,
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
    /// This process has gone, perhaps while this waited.
    pub(super) async fn hold(&self) -> Result<MutexGuard<'_, Builder>, Gone> {
        let builder = self.builder.lock().await;
        match self.gone() {
            None => Ok(builder),
            Some(gone) => Err(gone),
        }
    }
}
