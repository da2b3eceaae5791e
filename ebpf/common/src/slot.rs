//! Which counters are whose: every interface that the program is attached to has a slot of counters, found by the number of the
//! interface. User space gives the slots out before it attaches.

use crate::verdict::Reason;

/// Slots, [`SHARED`] among them.
pub const COUNT: u8 = 16;
/// The slot of all interfaces that have none of their own.
pub const SHARED: u8 = 0;
/// Counters of a slot.
pub const REASONS: u32 = 64;
/// Numbers of interfaces that the table covers. Linux counts them up in each network namespace, over those that are gone, too.
pub const INTERFACES: usize = 4096;

/// Value of `SLOTS`: the slot of each interface, by its number.
pub type Table = [u8; INTERFACES];

/// Where in `STATS` a slot counts a reason.
#[inline(always)]
pub const fn counter(slot: u8, reason: Reason) -> u32 {
    slot as u32 * REASONS + reason as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maps::STATS_ENTRIES;

    #[test]
    fn every_reason_of_every_slot_has_a_counter_of_its_own() {
        let mut last = None;
        for slot in SHARED..COUNT {
            for reason in Reason::ALL {
                let counter = counter(slot, reason);
                assert!(last < Some(counter) && counter < STATS_ENTRIES);
                last = Some(counter);
            }
        }
    }
}
