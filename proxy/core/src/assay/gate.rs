//! What the shield says, as far as it is asked here.

use std::fmt::Debug;
use std::net::IpAddr;

use openclaw_common::judgement::Decision;
use openclaw_common::verdict;

use super::Fate;
use crate::message::Fault;
use crate::reason::Reason;

/// Who is let in.
pub trait Gate: Debug {
    /// A connection at the moment it would be accepted.
    fn connection(&self, peer: IpAddr) -> Decision;
    /// A frame as it comes from the network.
    fn frame(&self, frame: &[u8]) -> Decision;
}

/// Everybody is.
#[derive(Clone, Copy, Debug)]
pub struct Open;

impl Gate for Open {
    fn connection(&self, _: IpAddr) -> Decision {
        verdict::Reason::Pass.into()
    }

    fn frame(&self, _: &[u8]) -> Decision {
        verdict::Reason::Pass.into()
    }
}

/// Of a request whose client a trusted proxy names, and the shield turns away.
pub(super) fn barred(gate: &dyn Gate, peer: IpAddr, client: IpAddr) -> Option<Fate> {
    if client == peer.to_canonical() {
        return None;
    }
    let decision = gate.connection(client);
    let is_dropped = decision.verdict == verdict::Verdict::Drop;
    let reason = if decision.reason == verdict::Reason::Ban {
        Reason::ShieldBan
    } else if decision.reason == verdict::Reason::Geo {
        Reason::ShieldGeo
    } else {
        Reason::ShieldBlock
    };
    is_dropped.then(|| {
        Fate::refused(&Fault {
            reason,
            status: 403,
            detail: "the client that a trusted proxy names is turned away",
        })
    })
}
