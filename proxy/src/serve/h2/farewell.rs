//! Streams whose response is whole while the client still sends the request.
//!
//! `RST_STREAM` with `NO_ERROR` tells such a client to stop (RFC 9113 §8.1), but some drop the response when both come
//! in one read. So the reset waits for one round trip: until a PING that follows the response has come back.

use super::connection::Connection;
use super::frame::{self, Code};

/// Marks the PING that follows a response.
pub(super) const PING: [u8; 8] = *b"answered";
/// More streams than this are not kept waiting.
const MOST: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Farewell {
    /// A PING was sent and has not come back.
    asking: bool,
    /// Streams whose response went out before the PING that is under way.
    asked: Vec<u32>,
    /// Those for the next PING.
    next: Vec<u32>,
}

impl Connection {
    /// The response is whole and nobody reads the rest of the request.
    pub(super) fn bid_farewell(&mut self, id: u32) {
        self.remember(id);
        if self.farewell.asked.len() + self.farewell.next.len() >= MOST {
            frame::reset(self.output.frames(), id, Code::NoError);
        } else {
            self.farewell.next.push(id);
            self.ask();
        }
    }

    /// The client's answer to the PING. False: none was under way.
    pub(super) fn farewell_heard(&mut self) -> bool {
        if !std::mem::take(&mut self.farewell.asking) {
            return false;
        }
        for id in std::mem::take(&mut self.farewell.asked) {
            frame::reset(self.output.frames(), id, Code::NoError);
        }
        self.ask();
        true
    }

    /// The client has ended the stream by itself.
    pub(super) fn farewell_over(&mut self, id: u32) {
        self.farewell.asked.retain(|waiting| *waiting != id);
        self.farewell.next.retain(|waiting| *waiting != id);
    }

    fn ask(&mut self) {
        if !self.farewell.asking && !self.farewell.next.is_empty() {
            self.farewell.asking = true;
            std::mem::swap(&mut self.farewell.asked, &mut self.farewell.next);
            frame::ping(self.output.frames(), PING, false);
        }
    }
}
