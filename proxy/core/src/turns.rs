//! Which response of a connection goes on when there is room for some of them (RFC 9218 §10).
//!
//! The most urgent first. Of one urgency those come before the others that are of no use in parts, one by one in the order of their
//! requests; those that are share, a piece each. Nobody starves: of every [`SHARE`] octets one piece is for whoever has waited longest.
//! What room is, and when there is some, the wire knows.

use crate::message::Priority;

/// What one response gets before the next one of those that share.
pub const PIECE: usize = 64 * 1024;
/// After so many octets whoever has waited longest has a piece, however urgent the others are.
pub const SHARE: usize = 1024 * 1024;
/// What is left of a piece is not worth a frame of its own.
const CRUMB: usize = 1024;

/// Where a response stands among others: the smaller goes first, and equals share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    urgency: u8,
    incremental: bool,
    /// Which request it was, where responses come one by one.
    order: u64,
}

impl Place {
    /// `order`: that of the request among the others of its connection.
    pub fn new(priority: Priority, order: u64) -> Self {
        Self {
            urgency: priority.urgency,
            incremental: priority.incremental,
            order: if priority.incremental { 0 } else { order },
        }
    }

    /// What it was made of.
    pub fn priority(self) -> Priority {
        Priority {
            urgency: self.urgency,
            incremental: self.incremental,
        }
    }

    /// The same as a number for those who take the largest first; 0: that of [`Priority::UNSAID`].
    pub fn rank(self) -> i32 {
        // More than a connection has requests, or else their order begins anew.
        const REQUESTS: i32 = 1 << 24;
        let urgency = i32::from(Priority::UNSAID.urgency) - i32::from(self.urgency);
        let place = if self.incremental {
            0
        } else {
            REQUESTS - 1 - (self.order % (REQUESTS as u64 - 1)) as i32
        };
        urgency * REQUESTS + place
    }
}

#[derive(Debug)]
struct Waiting {
    slot: u32,
    place: Place,
    since: u64,
}

/// The responses of one connection that wait for room, by slot.
#[derive(Debug, Default)]
pub struct Turns {
    waiting: Vec<Waiting>,
    /// Whose turn it is, and how much it may still take.
    current: Option<(u32, usize)>,
    /// Counts those who began to wait.
    clock: u64,
    /// Octets since whoever had waited longest had its piece.
    taken: usize,
}

impl Turns {
    /// How much a response may take of what room there is: nothing where others go first.
    pub fn allowance(&self, slot: u32, place: Place) -> usize {
        match self.current {
            Some((current, left)) if current == slot => left,
            // Among those who share, who waits was there before.
            _ if self
                .waiting
                .iter()
                .any(|other| other.place <= place && other.slot != slot) =>
            {
                0
            }
            _ => usize::MAX,
        }
    }

    /// A response has taken so much.
    pub fn take(&mut self, slot: u32, count: usize) {
        if self.waiting.is_empty() {
            self.taken = 0;
            return;
        }
        self.taken = self.taken.saturating_add(count);
        if let Some((current, left)) = &mut self.current
            && *current == slot
        {
            *left = match left.saturating_sub(count) {
                0..CRUMB => 0,
                left => left,
            };
        }
    }

    /// A response waits for room, or for its turn.
    pub fn wait(&mut self, slot: u32, place: Place) {
        if self.waits(slot) {
            self.moved(slot, place);
            return;
        }
        self.clock += 1;
        let since = self.clock;
        self.waiting.push(Waiting { slot, place, since });
    }

    /// The place of a response has changed.
    pub fn moved(&mut self, slot: u32, place: Place) {
        if let Some(known) = self.waiting.iter_mut().find(|known| known.slot == slot) {
            known.place = place;
        }
    }

    /// A response is over.
    pub fn leave(&mut self, slot: u32) {
        self.waiting.retain(|known| known.slot != slot);
        self.current.take_if(|(current, _)| *current == slot);
    }

    /// There is room: whose turn is it? It does not wait any more, and has to say so again where it gets less than it wants. `can`: who
    /// could make use of the room.
    pub fn next(&mut self, can: impl Fn(u32) -> bool) -> Option<u32> {
        let those = self.waiting.iter().enumerate();
        let those = those.filter(|(_, one)| can(one.slot));
        let is_due = self.taken >= SHARE;
        let (at, next) = if is_due {
            those.min_by_key(|(_, one)| one.since)?
        } else {
            those.min_by_key(|(_, one)| (one.place, one.since))?
        };
        let slot = next.slot;
        let is_alone = self.waiting.len() == 1;
        let most = if is_due || (next.place.incremental && !is_alone) {
            PIECE
        } else {
            usize::MAX
        };
        if is_due {
            self.taken = 0;
        }
        self.waiting.swap_remove(at);
        self.current = Some((slot, most));
        Some(slot)
    }

    /// The room is used up, or nobody wants it.
    pub fn over(&mut self) {
        self.current = None;
    }

    /// Whether this response waits.
    pub fn waits(&self, slot: u32) -> bool {
        self.waiting.iter().any(|known| known.slot == slot)
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a test fails where it has to"
    )]

    use super::{PIECE, Place, SHARE, Turns};
    use crate::message::Priority;

    fn place(text: &str, order: u64) -> Place {
        let said = (!text.is_empty()).then(|| Priority::parse(text.as_bytes()));
        Place::new(said.flatten().unwrap_or(Priority::UNSAID), order)
    }

    /// Responses, each with as much to send as there is room for: gives how many octets each has when `octets` were sent, `room` at a
    /// time.
    fn shares(priorities: &[&str], octets: usize, room: usize) -> Vec<usize> {
        let mut turns = Turns::default();
        let mut sent = vec![0; priorities.len()];
        for (slot, text) in (0..).zip(priorities) {
            turns.wait(slot, place(text, slot.into()));
        }
        while sent.iter().sum::<usize>() < octets {
            let mut left = room;
            while left > 0 {
                let slot = turns.next(|_| true).unwrap();
                let place = place(priorities[slot as usize], slot.into());
                let count = turns.allowance(slot, place).min(left);
                assert!(count > 0, "a turn is of use");
                left -= count;
                turns.take(slot, count);
                sent[slot as usize] += count;
                turns.wait(slot, place);
            }
            turns.over();
        }
        sent
    }

    #[test]
    fn places_are_ordered() {
        let ordered = ["u=0", "u=0, i", "u=2", "u=3", "", "u=4", "u=7, i"];
        for (at, one) in ordered.iter().enumerate() {
            for other in &ordered[at + 1..] {
                let (one, other) = (place(one, 9), place(other, 1));
                assert!(
                    one < other && one.rank() > other.rank(),
                    "{one:?} {other:?}"
                );
            }
        }
        assert_eq!(place("", 7).rank(), 0);
        assert!(place("u=3", 1) < place("u=3", 2));
        assert!(place("u=3", 1).rank() > place("u=3", 2).rank());
        assert_eq!(place("u=5, i", 1), place("u=5, i", 2));
        // The order begins anew before it could become another urgency.
        for order in [u64::MAX, (1 << 24) - 1, 1 << 24, 1 << 62] {
            let rank = place("u=3", order).rank();
            assert!(rank >= 0 && rank < place("u=2, i", 0).rank(), "{order}");
        }
    }

    #[test]
    fn room_goes_to_who_is_first() {
        let check = |priorities: &[&str], expected: &[usize]| {
            // Less than a share, as two pieces would be.
            let sent = shares(priorities, 12 * PIECE, 2 * PIECE);
            let pieces: Vec<_> = sent.iter().map(|sent| sent / PIECE).collect();
            assert_eq!(pieces, expected, "{priorities:?}");
        };
        // The more urgent.
        check(&["u=3", "u=1", "u=7"], &[0, 12, 0]);
        check(&["u=0, i", "u=1"], &[12, 0]);
        // One by one, where parts are of no use.
        check(&["u=3", "u=3", "u=3"], &[12, 0, 0]);
        check(&["u=2, i", "u=2"], &[0, 12]);
        // Side by side, where they are, or where nothing is known.
        check(&["u=4, i", "u=4, i", "u=4, i"], &[4, 4, 4]);
        check(&["", "", "u=4"], &[6, 6, 0]);
        check(&["", "u=3, i", "u=5, i"], &[6, 6, 0]);
    }

    #[test]
    fn room_less_than_a_piece_is_shared_in_turn() {
        for room in [1024, 16_384, 50_000] {
            let sent = shares(&["i", "i", "i", "i"], 12 * PIECE, room);
            let (least, most) = (sent.iter().min().unwrap(), sent.iter().max().unwrap());
            assert!(most - least <= PIECE, "{room}: {sent:?}");
        }
    }

    #[test]
    fn nobody_waits_for_ever() {
        for priorities in [
            &["u=0", "u=7", "u=7, i", "u=3"][..],
            &["u=1", "u=1", "u=1", "u=1"],
            &["u=0, i", "u=0, i", "u=7", "u=6"],
        ] {
            let sent = shares(priorities, 100 * SHARE, 2 * PIECE);
            for sent in &sent {
                // A piece of every share, one after the other.
                assert!(
                    *sent >= 100 / 4 * PIECE - 2 * PIECE,
                    "{priorities:?}: {sent}"
                );
            }
            // And most of it for who goes first.
            let first = sent.iter().max().unwrap();
            assert!(*first > 40 * SHARE, "{priorities:?}: {sent:?}");
        }
    }

    #[test]
    fn who_comes_later_waits_behind_those_before_it() {
        let mut turns = Turns::default();
        let check = |turns: &Turns, text: &str, expected: bool| {
            let found = turns.allowance(9, place(text, 9)) > 0;
            assert_eq!(found, expected, "{text}");
        };
        check(&turns, "u=7", true);
        turns.wait(1, place("u=3", 1));
        turns.wait(2, place("u=5, i", 2));
        for (text, expected) in [
            ("u=2", true),
            ("u=3", false),
            ("", false),
            ("u=5", false),
            ("u=7", false),
        ] {
            check(&turns, text, expected);
        }
        turns.leave(1);
        check(&turns, "", true);
        check(&turns, "u=5, i", false);
        // Those who could not make use of it do not hold others up, and keep their place.
        turns.wait(3, place("u=0", 3));
        assert_eq!(turns.next(|slot| slot != 3), Some(2));
        turns.over();
        assert_eq!(turns.next(|_| true), Some(3));
        assert_eq!(turns.next(|_| true), None);
        assert!(turns.is_empty());
    }

    #[test]
    fn a_place_may_change_while_one_waits() {
        let mut turns = Turns::default();
        turns.wait(1, place("u=3", 1));
        turns.wait(2, place("u=4", 2));
        turns.moved(2, place("u=0", 2));
        turns.moved(7, place("u=0", 7));
        assert_eq!(turns.next(|_| true), Some(2));
        assert_eq!(turns.next(|_| true), Some(1));
        assert_eq!(turns.next(|_| true), None);
    }
}
