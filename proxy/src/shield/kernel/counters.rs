//! What the kernel program counts, told apart by interface: which slot of counters is whose (see [`openclaw_common::slot`]), and what
//! they hold.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::atomic::{AtomicU8, Ordering::Relaxed},
};

use openclaw_common::{
    abi::Counter,
    maps::{SLOTS, STATS},
    slot::{self, COUNT, SHARED},
    verdict::Reason,
};

use super::{KernelError, memory::Memory, sys};

/// The counters and whose they are.
#[derive(Debug)]
pub struct Counters {
    stats: OwnedFd,
    slots: Memory<AtomicU8>,
}

impl Counters {
    pub(super) fn new(stats: OwnedFd, slots: OwnedFd) -> Result<Self, KernelError> {
        let slots = Memory::new(slots, SLOTS, slot::INTERFACES)?;
        Ok(Self { stats, slots })
    }

    /// The slot of the interface of that number; [`SHARED`] if it has none of its own.
    pub fn slot(&self, interface: u32) -> u8 {
        let slot = self.slots.values().get(interface as usize);
        slot.map_or(SHARED, |slot| slot.load(Relaxed))
    }

    /// Gives the interface of that number a slot of its own, with counters that begin at 0, unless it has one or none is free. Slots of
    /// interfaces that are not among `linked`, which a program of ours is on, are free.
    pub fn claim(&self, interface: u32, linked: &[u32]) -> Result<u8, KernelError> {
        let slots = self.slots.values();
        release(slots, linked);
        let Some(own) = slots.get(interface as usize) else {
            return Ok(SHARED);
        };
        if let Some(slot) = vacant(slots, own) {
            // Before it is given out: what another interface counted is not this one's.
            self.clear(slot)?;
            own.store(slot, Relaxed);
        }
        Ok(own.load(Relaxed))
    }

    fn clear(&self, slot: u8) -> Result<(), KernelError> {
        let zeros = vec![Counter::default(); cpus()?];
        for reason in Reason::ALL {
            let counter = slot::counter(slot, reason);
            sys::update_all(self.stats.as_fd(), &counter, &zeros)
                .map_err(|source| failed("write", source))?;
        }
        Ok(())
    }

    /// What a slot has counted, over all CPUs, one for every reason.
    pub fn of(&self, slot: u8) -> Result<Vec<(Reason, Counter)>, KernelError> {
        let mut counters = vec![Counter::default(); cpus()?];
        let mut stats = Vec::with_capacity(Reason::ALL.len());
        for reason in Reason::ALL {
            let counter = slot::counter(slot, reason);
            sys::lookup(self.stats.as_fd(), &counter, &mut counters)
                .map_err(|source| failed("read", source))?;
            stats.push((
                reason,
                counters.iter().copied().fold(Counter::default(), sum),
            ));
        }
        Ok(stats)
    }

    /// What all slots hold together. It grows with every packet, but shrinks when a slot is given to another interface.
    pub fn total(&self) -> Result<Vec<(Reason, Counter)>, KernelError> {
        let mut total = self.of(SHARED)?;
        for slot in SHARED + 1..COUNT {
            for (all, one) in total.iter_mut().zip(self.of(slot)?) {
                all.1 = sum(all.1, one.1);
            }
        }
        Ok(total)
    }
}

/// Frees the slots of all interfaces but these.
fn release(slots: &[AtomicU8], linked: &[u32]) {
    for (interface, slot) in slots.iter().enumerate() {
        let is_linked = linked.iter().any(|linked| *linked as usize == interface);
        if !is_linked && slot.load(Relaxed) != SHARED {
            slot.store(SHARED, Relaxed);
        }
    }
}

/// A slot for the interface at `own`, if it needs one and one is free.
fn vacant(slots: &[AtomicU8], own: &AtomicU8) -> Option<u8> {
    if own.load(Relaxed) != SHARED {
        return None;
    }
    (SHARED + 1..COUNT).find(|slot| slots.iter().all(|taken| taken.load(Relaxed) != *slot))
}

fn sum(a: Counter, b: Counter) -> Counter {
    Counter {
        packets: a.packets.wrapping_add(b.packets),
        bytes: a.bytes.wrapping_add(b.bytes),
    }
}

fn cpus() -> Result<usize, KernelError> {
    aya::util::nr_cpus().map_err(|(_, source)| failed("read", source))
}

fn failed(operation: &'static str, source: io::Error) -> KernelError {
    KernelError::Map {
        map: STATS,
        operation,
        source,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a panic fails the test")]

    use super::*;

    #[test]
    fn an_interface_keeps_its_slot_and_one_that_goes_leaves_it_to_another() {
        let slots: Vec<AtomicU8> = (0..64).map(|_| AtomicU8::new(SHARED)).collect();
        // The interface that asks, those that are linked, and the slot that it gets.
        for (interface, linked, expected) in [
            (7_usize, &[][..], Some(1)),
            (9, &[7], Some(2)),
            // A restart of the proxy.
            (7, &[7, 9], None),
            (9, &[7, 9], None),
            // 7 went; 11 came.
            (11, &[9], Some(1)),
            // 9 was detached, and is attached again: it may be another interface by now.
            (9, &[11], Some(2)),
        ] {
            release(&slots, linked);
            let found = vacant(&slots, &slots[interface]);
            assert_eq!(found, expected, "{interface} beside {linked:?}");
            if let Some(slot) = found {
                slots[interface].store(slot, Relaxed);
            }
        }
        assert_eq!(slots[7].load(Relaxed), SHARED);
    }

    #[test]
    fn the_sixteenth_interface_has_no_slot_until_another_goes() {
        let slots: Vec<AtomicU8> = (0..64).map(|_| AtomicU8::new(SHARED)).collect();
        for slot in SHARED + 1..COUNT {
            let own = &slots[usize::from(slot) + 20];
            assert_eq!(vacant(&slots, own), Some(slot));
            own.store(slot, Relaxed);
        }
        assert_eq!(vacant(&slots, &slots[50]), None);
        let but_one: Vec<u32> = (22..36).collect();
        release(&slots, &but_one);
        assert_eq!(vacant(&slots, &slots[50]), Some(1));
    }
}
