//! A connection from its acceptance to its end, as the worker counts it.

use std::net::IpAddr;
use std::rc::Rc;

use openclaw_core::reason::Reason;

use super::Terms;
use crate::exchange::connections::Cut;
use crate::exchange::context::{Accepted, Local};
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
    let fields = || LogFields {
        listener: terms.config.name.to_string(),
        client: accepted.client().ip().to_canonical().to_string(),
        detail,
        ..LogFields::default()
    };
    local
        .recorder
        .refused_connection(terms.slot, reason, accepted.at, fields);
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
