//! What the shield says, as far as it is asked here.

use std::fmt::Debug;
use std::net::IpAddr;

use openclaw_common::judgement::Decision;
use openclaw_common::verdict;

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
