//! A connection from its acceptance to its end, as the worker counts it.

use std::net::IpAddr;
use std::rc::Rc;

use openclaw_core::config::Mode;
use openclaw_core::reason::Reason;

use super::curt::Told;
use super::{Terms, proxy_protocol};
use crate::exchange::connections::Cut;
use crate::exchange::context::{Accepted, Local};
use crate::net::descriptors;
use crate::snapshot::Permit;
use crate::telemetry::LogFields;

/// Counts and logs a connection that ends without an exchange.
pub(super) fn refused(
    local: &Local,
    terms: &Terms,
    accepted: Accepted,
    reason: Reason,
    detail: &'static str,
) {
    let fields = || fields(terms, accepted, detail);
    local
        .recorder
        .refused_connection(terms.slot, reason, accepted.at, fields);
}

/// The same of one that was told why.
pub(super) fn answered(
    local: &Local,
    terms: &Terms,
    accepted: Accepted,
    (reason, detail): (Reason, &'static str),
    told: &Told,
) {
    let fields = LogFields {
        id: told.id.as_str().to_owned(),
        ..fields(terms, accepted, detail)
    };
    let sent = (told.status, told.bytes);
    local
        .recorder
        .answered_connection(terms.slot, reason, accepted.at, sent, fields);
}

fn fields(terms: &Terms, accepted: Accepted, detail: &'static str) -> LogFields {
    LogFields {
        listener: terms.config.name.to_string(),
        client: accepted.client().ip().to_canonical().to_string(),
        detail,
        ..LogFields::default()
    }
}

/// A place for a connection whose client is let in, by the shield and by the limits; else why not, for the log as well.
pub(super) fn permitted(
    local: &Local,
    terms: &Terms,
    accepted: Accepted,
) -> Result<Permit, (Reason, &'static str)> {
    let address = accepted.peer.ip().to_canonical();
    if let Some(reason) = local.peers.check(address) {
        return Err((reason, ""));
    }
    let config = &terms.config;
    // Behind a trusted proxy there are many clients.
    let is_announced = proxy_protocol::is_due(terms, accepted);
    let is_one = !is_announced && !config.trusted_proxies.iter().any(|it| it.contains(address));
    let share = if is_one {
        descriptors::share()
    } else {
        usize::MAX
    };
    let permits = &terms.setup.permits;
    // A client that will be announced has its share then.
    let most = if is_announced {
        usize::MAX
    } else {
        config.max_connections_per_ip.min(share)
    };
    let unproven = if matches!(config.mode, Mode::Udp(_)) {
        descriptors::share_of_unproven()
    } else {
        usize::MAX
    };
    let all = config.max_connections.min(unproven);
    permits.take(address, all, most).ok_or_else(|| {
        let detail = if all < config.max_connections {
            "the listener or the address has its share of the open files that the process may have"
        } else if share == most {
            "the address has its share of the open files that the process may have"
        } else {
            ""
        };
        (Reason::LimitConnections, detail)
    })
}

/// Counts a connection for as long as it lives.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) local: Rc<Local>,
    slot: u32,
    /// Among the worker's connections.
    pub(super) key: usize,
    pub(super) cut: Cut,
}

impl Open {
    /// `permit`: where it is given back as soon as the connection ends.
    pub(super) fn new(local: Rc<Local>, slot: u32, permit: Option<Permit>, peer: IpAddr) -> Self {
        local.recorder.connection_opened(slot);
        let (key, cut) = local.connections.enter(peer, permit);
        Self {
            local,
            slot,
            key,
            cut,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.local.connections.leave(self.key);
        self.local.recorder.connection_closed(self.slot);
    }
}
