//! What HTTP/2 keeps for a stream beside what every wire does: its windows.

use openclaw_core::message::Priority;
use openclaw_core::turns::Place;

use super::flow::{Inbound, Outbound, STREAM_WINDOW};

#[derive(Debug)]
pub(super) struct Own {
    pub inbound: Inbound,
    pub outbound: Outbound,
    /// Octets of payload that nobody has consumed yet, in the stream and in its wire.
    pub held: usize,
    /// The client may have more to send than its window allows.
    pub waits_for_credit: bool,
    /// Among the responses of the connection.
    pub place: Place,
    /// In the connection's queue for room in the output, with nothing to add to it.
    pub parked: bool,
}

impl Own {
    /// `window`: what the client lets us send at first.
    pub(super) fn new(window: u32) -> Self {
        Self {
            inbound: Inbound::new(STREAM_WINDOW),
            outbound: Outbound::new(window),
            held: 0,
            waits_for_credit: false,
            place: Place::new(Priority::UNSAID, 0),
            parked: false,
        }
    }
}
