//! Windows of uploads that grow, so that a distant client sends more than the initial window a round trip.
//!
//! Two PINGs, one after the other, tell how much of a stream comes in a round trip: the first goes out with a credit, and its answer comes
//! before what that credit allows. If it is not far below the window, the client may be waiting for credit, and if the exchange has kept up,
//! the window doubles. What it is larger by the connection's window has, too, so that a stream that then stalls takes nothing from the
//! others; and the worker lends it, so that all clients together cannot have more.

use std::cell::Cell;

use super::connection::Connection;
use super::flow::STREAM_WINDOW;
use super::frame;

/// Marks the PING that sounds how far away a client is.
pub(super) const PING: [u8; 8] = *b"sounding";
/// No stream's window grows beyond this.
const LARGEST: u32 = 4 << 20;
/// What the streams of a connection may have in all beyond their initial windows.
pub(super) const CONNECTION: u32 = 4 << 20;
/// The same for all connections of a worker: the memory that clients whose exchanges stall may take.
const WORKER: u32 = 64 << 20;
/// The window is to hold so many times what comes in a round trip: half of it is credited at a time.
const ROUND_TRIPS: u64 = 2;

thread_local! {
    static LENT: Cell<u32> = const { Cell::new(0) };
}

/// What a connection has of the worker; it keeps it to its end, because credit cannot be taken back.
#[derive(Debug, Default)]
struct Loan(u32);

impl Loan {
    /// All of it, or nothing.
    fn extend(&mut self, count: u32) -> bool {
        let fits = self.0 + count <= CONNECTION && LENT.get() + count <= WORKER;
        if fits {
            self.0 += count;
            LENT.set(LENT.get() + count);
        }
        fits
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        LENT.set(LENT.get() - self.0);
    }
}

/// The PING that is under way, and the stream that it is for.
#[derive(Clone, Copy, Debug)]
enum Sounding {
    First(u32),
    /// With what had come of the stream before.
    Second(u32, u64),
}

/// The growth of a connection's windows.
#[derive(Debug, Default)]
pub(super) struct Growth {
    loan: Loan,
    /// What of the loan streams have now.
    taken: u32,
    sounding: Option<Sounding>,
}

impl Growth {
    /// A stream with such a window is over.
    pub(super) fn give_back(&mut self, window: u32) {
        self.taken -= window - STREAM_WINDOW;
    }

    /// Doubles a window if there is anything left to double it with; returns by how much the stream's and the connection's grow.
    fn double(&mut self, window: u32) -> Option<(u32, u32)> {
        let count = window.min(LARGEST.saturating_sub(window));
        let missing = (self.taken + count).saturating_sub(self.loan.0);
        if count == 0 || !self.loan.extend(missing) {
            return None;
        }
        self.taken += count;
        Some((count, missing))
    }
}

impl Connection {
    /// A stream is being credited: how much its window grows at the same time.
    pub(super) fn grow(&mut self, slot: u32) -> u32 {
        let Some(stream) = self.streams.at(slot) else {
            return 0;
        };
        let id = stream.id;
        let window = stream.own.inbound.size();
        let mut grown = 0;
        let keeps_up = stream.own.held < window as usize / 4;
        if std::mem::take(&mut stream.own.waits_for_credit)
            && keeps_up
            && let Some((count, more)) = self.growth.double(window)
        {
            stream.own.inbound.grow(count);
            grown = count;
            if more > 0 {
                self.inbound.grow(more);
                frame::window_update(self.output.frames(), 0, more);
            }
        }
        if self.growth.sounding.is_none() && window + grown < LARGEST {
            self.sound(Sounding::First(id));
        }
        grown
    }

    fn sound(&mut self, sounding: Sounding) {
        self.growth.sounding = Some(sounding);
        frame::ping(self.output.frames(), PING, false);
    }

    /// The client's answer to the PING. False: none was under way.
    pub(super) fn sounding_heard(&mut self) -> bool {
        let Some(sounding) = self.growth.sounding.take() else {
            return false;
        };
        let (Sounding::First(id) | Sounding::Second(id, _)) = sounding;
        let slot = self.streams.slot(id);
        let Some(stream) = slot.and_then(|slot| self.streams.at(slot)) else {
            return true;
        };
        match sounding {
            Sounding::First(_) => {
                let before = stream.received;
                self.sound(Sounding::Second(id, before));
            }
            Sounding::Second(_, before) => {
                let came = stream.received - before;
                let window = u64::from(stream.own.inbound.size());
                stream.own.waits_for_credit = came * ROUND_TRIPS >= window;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{CONNECTION, Growth, LARGEST, LENT, WORKER};
    use crate::serve::h2::flow::STREAM_WINDOW;

    #[test]
    fn a_window_doubles_to_the_largest_and_takes_what_another_gave_back() {
        let mut growth = Growth::default();
        let mut window = STREAM_WINDOW;
        while let Some((stream, connection)) = growth.double(window) {
            assert_eq!(stream, connection);
            window += stream;
        }
        assert_eq!(window, LARGEST);
        assert_eq!(
            growth.double(STREAM_WINDOW),
            Some((STREAM_WINDOW, STREAM_WINDOW))
        );
        assert_eq!(growth.double(STREAM_WINDOW), None, "the connection's share");
        growth.give_back(window);
        let again = growth.double(STREAM_WINDOW);
        assert_eq!(again, Some((STREAM_WINDOW, 0)), "it has the credit already");
    }

    #[test]
    fn all_connections_of_a_worker_grow_by_no_more_than_it_lends() {
        let grown = || {
            let mut growth = Growth::default();
            while growth.double(STREAM_WINDOW).is_some() {}
            growth
        };
        let connections: Vec<Growth> = (0..1000).map(|_| grown()).collect();
        let lent = LENT.get();
        assert!(lent <= WORKER && lent > WORKER - 2 * CONNECTION, "{lent}");
        assert!(connections.iter().all(|growth| growth.loan.0 <= CONNECTION));
        drop(connections);
        assert_eq!(LENT.get(), 0);
    }
}
