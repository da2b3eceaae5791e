//! Address tokens (RFC 9000 §8.1.3): a client that was here before shows its address with its first datagram, and is spared a Retry.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use openclaw_core::tokens::Shown;
use quinn_proto::{TokenLog, TokenReuseError, ValidationTokenConfig};

/// How long a token may be shown: clients come back the same day, and addresses are given to others.
const LIFETIME: Duration = Duration::from_hours(24);
/// To each client once its address is known; the next connection brings the next.
const SENT: u32 = 1;

/// What every worker asks, once for a connection that brings a token which we have sealed. A process that goes on with the sockets of
/// another begins without it: a token may be shown once to each.
#[derive(Debug, Default)]
struct Log(Mutex<Shown>);

impl TokenLog for Log {
    fn check_and_insert(
        &self,
        nonce: u128,
        issued: SystemTime,
        lifetime: Duration,
    ) -> Result<(), TokenReuseError> {
        // A time that was before 1970 when we sealed it is 1970.
        let issued = issued
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.is_first(nonce as u64, issued, lifetime) {
            Ok(())
        } else {
            Err(TokenReuseError)
        }
    }
}

/// For all listeners together.
pub(super) fn config() -> ValidationTokenConfig {
    let mut config = ValidationTokenConfig::default();
    config
        .lifetime(LIFETIME)
        .sent(SENT)
        .log(Arc::new(Log::default()));
    config
}
