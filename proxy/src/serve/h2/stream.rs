//! What HTTP/2 keeps for a stream beside what every wire does: its windows.

use super::flow::{Inbound, Outbound, STREAM_WINDOW};

#[derive(Debug)]
pub(super) struct Own {
    pub inbound: Inbound,
    pub outbound: Outbound,
    /// Octets of payload that nobody has consumed yet, in the stream and in its wire.
    pub held: usize,
    /// In the connection's queue for room in the connection's window or in the output.
    pub parked: bool,
}

impl Own {
    /// `window`: what the client lets us send at first.
    pub(super) fn new(window: u32) -> Self {
        Self {
            inbound: Inbound::new(STREAM_WINDOW),
            outbound: Outbound::new(window),
            held: 0,
            parked: false,
        }
    }
}
