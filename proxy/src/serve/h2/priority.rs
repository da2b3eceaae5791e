//! How urgent responses are, and whose turn it is when there is room for some of them (RFC 9218).

use openclaw_core::message::{Priority, Request};
use openclaw_core::turns::Place;

use super::connection::Connection;
use super::frame::Violation;

impl Connection {
    /// `PRIORITY_UPDATE` (RFC 9218 §7.1). Of a stream that is over it says nothing.
    pub(super) fn priority_update(&mut self, id: u32, value: &[u8]) -> Result<(), Violation> {
        self.budget.glitch(1)?;
        if id == 0 {
            return Err(Violation::protocol("PRIORITY_UPDATE of stream 0"));
        }
        if id.is_multiple_of(2) {
            return Err(Violation::protocol("PRIORITY_UPDATE of a stream of ours"));
        }
        let Some(priority) = Priority::parse(value) else {
            return Ok(());
        };
        if id > self.last {
            let to_come = 2 * self.limits.max_streams as u64;
            if u64::from(id) > u64::from(self.last) + to_come {
                let detail = "PRIORITY_UPDATE of a stream that cannot be open";
                return Err(Violation::protocol(detail));
            }
            self.priorities.announce(id.into(), priority);
        } else if let Some(slot) = self.streams.slot(id) {
            self.priorities.known();
            self.prioritise(slot, priority);
        }
        Ok(())
    }

    pub(super) fn prioritise_new(&mut self, slot: u32, request: Option<&Request<'_>>) {
        let said = request.and_then(|request| request.field(b"priority"));
        let id = self.streams.at(slot).map(|stream| stream.id);
        if let Some(id) = id {
            let priority = self.priorities.of_request(id.into(), said);
            self.prioritise(slot, priority);
        }
    }

    pub(super) fn prioritise(&mut self, slot: u32, priority: Priority) {
        if let Some(stream) = self.streams.at(slot) {
            stream.own.place = Place::new(priority, stream.id.into());
            self.priorities.turns.moved(slot, stream.own.place);
        }
    }

    /// Whether there is room, and somebody waits for it.
    pub(super) fn wants_turn(&self) -> bool {
        !self.priorities.turns.is_empty()
            && self.outbound.available() > 0
            && self.output.room() > 0
            && !self.is_ended()
    }

    /// Wakes the stream whose turn it is; false: there is no room, or nobody who wants it.
    pub(super) fn next_turn(&mut self) -> bool {
        if !self.wants_turn() {
            self.priorities.turns.over();
            return false;
        }
        let next = self.priorities.turns.next(|_| true);
        if let Some(stream) = next.and_then(|slot| self.streams.at(slot)) {
            stream.wake();
        }
        next.is_some()
    }
}
