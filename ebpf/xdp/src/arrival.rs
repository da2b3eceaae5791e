//! A word of a map that is changed by several CPUs at a time: what a source has sent, the bucket of all answers, the turn of a slot.
#![expect(unsafe_code, reason = "atomics on memory of a map")]

use core::intrinsics::{AtomicOrdering::Relaxed, atomic_cxchg, atomic_xadd};

use openclaw_common::{abi::Arrivals, bucket::Word, rate::Kind};

/// In place; the map keeps it alive until the program returns.
pub(crate) struct Arrival(*mut u64);

impl Arrival {
    /// `arrivals` is what a lookup found.
    #[inline(always)]
    pub(crate) fn new(arrivals: *mut Arrivals, kind: Kind) -> Self {
        Self(match kind {
            // SAFETY: a lookup returned it, non-null.
            Kind::Syn => unsafe { &raw mut (*arrivals).syn_ns },
            // SAFETY: a lookup returned it, non-null.
            Kind::Udp => unsafe { &raw mut (*arrivals).udp_ns },
        })
    }
}

impl Arrival {
    /// `word` is what a lookup found.
    #[inline(always)]
    pub(crate) fn at(word: *mut u64) -> Self {
        Self(word)
    }
}

impl Word for Arrival {
    #[inline(always)]
    fn load(&self) -> u64 {
        // SAFETY: a word of an element that a lookup found. Volatile, because other CPUs write it.
        unsafe { self.0.read_volatile() }
    }

    #[inline(always)]
    fn replace(&self, old: u64, new: u64) -> bool {
        // SAFETY: a word of an element that a lookup found; the order of other memory does not matter to a rate.
        let (_, was_old) =
            unsafe { atomic_cxchg::<u64, { Relaxed }, { Relaxed }>(self.0, old, new) };
        was_old
    }

    #[inline(always)]
    fn add(&self, more: u64) {
        // SAFETY: as above.
        unsafe { atomic_xadd::<u64, u64, { Relaxed }>(self.0, more) };
    }
}
