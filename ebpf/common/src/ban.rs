//! The table of IPv4 bans: one look is one cache line. A bucket is a line of four slots; an address belongs into its first bucket,
//! and into its second one only while the first is full. User space alone, one process at a time, writes addresses and ends; the
//! kernel program reads them and counts hits in place.
//!
//! A slot that was never used has the end 0. A bucket without such a slot is full, and only then can there be more of it in second
//! buckets; so a slot that is given up in a full bucket keeps the end 1, which has always passed, until nothing of the bucket is
//! elsewhere. A slot that holds nothing names an address that never looks into its bucket, so an address alone tells a slot from the
//! others. A slot is written address first, so that a ban which is moved is in one of its buckets at any moment.

use core::borrow::Borrow;
use core::mem::{align_of, size_of};

/// Slots of a bucket.
pub const SLOTS: usize = 4;

/// A ban, or room for one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// End on the monotonic clock in nanoseconds, or one of [`Slot::FREE`], [`Slot::GIVEN_UP`] and [`Slot::FOREVER`].
    pub until_ns: u64,
    /// The banned address, its first byte in the highest bits.
    pub address: u32,
    /// Packets that it decided. Counted without atomics, so approximate on several CPUs.
    pub hits: u32,
}

impl Slot {
    /// The end of a slot that was never used.
    pub const FREE: u64 = 0;
    /// The end of a slot that holds nothing any more.
    pub const GIVEN_UP: u64 = 1;
    /// The end of a ban that has none.
    pub const FOREVER: u64 = u64::MAX;

    /// Whether there is a ban in it.
    #[inline(always)]
    pub const fn is_taken(&self) -> bool {
        self.until_ns > Self::GIVEN_UP
    }

    /// The end of a ban as [`crate::abi::Entry`] has it: 0 for none.
    #[inline(always)]
    pub const fn end(&self) -> u64 {
        match self.until_ns {
            Self::FOREVER => 0,
            until_ns => until_ns,
        }
    }

    /// All of the lower half set if that is the address, else 0. Arithmetic, because which slot it is cannot be predicted, and a
    /// branch that is taken wrongly waits for memory, 50 ns.
    #[inline(always)]
    const fn is(&self, address: u32) -> u64 {
        ((self.address ^ address) as u64).wrapping_sub(1) >> 32
    }
}

/// A cache line of slots.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket(pub [Slot; SLOTS]);

impl Bucket {
    /// The slot that names an address.
    #[inline(always)]
    pub const fn find(&self, address: u32) -> Option<usize> {
        let [a, b, c, d] = &self.0;
        let (b, c, d) = (b.is(address), c.is(address), d.is(address));
        if a.is(address) | b | c | d == 0 {
            return None;
        }
        Some(((b & 1) | (c & 2) | (d & 3)) as usize & (SLOTS - 1))
    }

    /// Whether every slot is or was taken, so that second buckets may hold more of this one.
    #[inline(always)]
    pub const fn is_full(&self) -> bool {
        let [a, b, c, d] = &self.0;
        a.until_ns != Slot::FREE
            && b.until_ns != Slot::FREE
            && c.until_ns != Slot::FREE
            && d.until_ns != Slot::FREE
    }

    /// The keys of a table, of which this is the bucket behind the last one.
    #[inline(always)]
    pub const fn keys(&self) -> Keys {
        let [first, second, ..] = &self.0;
        Keys {
            first: first.until_ns,
            second: second.until_ns,
        }
    }
}

/// What decides about the buckets of an address. Drawn at random for each table, so that nobody can choose addresses that meet in
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// An odd number.
    pub first: u64,
    /// An odd number.
    pub second: u64,
}

impl Keys {
    /// The two buckets of an address, never the same, in a table whose number of buckets is a power of two and `mask` one less.
    #[inline(always)]
    pub const fn buckets(self, address: u32, mask: u32) -> (u32, u32) {
        let mixed = (address as u64).wrapping_mul(self.first);
        let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(self.second);
        let first = (mixed >> 32) as u32 & mask;
        let second = (first ^ ((mixed >> 8) as u32 | 1)) & mask;
        (first, second)
    }
}

/// Bucket and slot of the ban of an address whose buckets are `first` and `second`; `bucket` gives a bucket by its number.
#[inline(always)]
pub fn find<B: Borrow<Bucket>>(
    address: u32,
    (first, second): (u32, u32),
    bucket: impl Fn(u32) -> Option<B>,
) -> Option<(B, usize)> {
    let home = bucket(first)?;
    if let Some(slot) = home.borrow().find(address) {
        return Some((home, slot));
    }
    if !home.borrow().is_full() {
        return None;
    }
    let other = bucket(second)?;
    let slot = other.borrow().find(address)?;
    Some((other, slot))
}

const _: () = {
    assert!(size_of::<Slot>() == 16 && align_of::<Slot>() == 8);
    assert!(size_of::<Bucket>() == 64 && align_of::<Bucket>() == 64);
};

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]
    use super::*;

    const KEYS: Keys = Keys {
        first: 0x9e37_79b9_7f4a_7c15,
        second: 0xd6e8_feb8_6659_fd93,
    };

    #[test]
    fn neighbours_are_spread_over_the_buckets() {
        let mut counts = std::vec![0_u32; 1 << 14];
        for address in 0x0a00_0000..0x0a01_0000_u32 {
            let (first, second) = KEYS.buckets(address, (1 << 14) - 1);
            assert_ne!(first, second);
            counts[first as usize] += 1;
        }
        // Four each on average: at random, one bucket in three thousand has more than twelve.
        let crowded = counts.iter().filter(|count| **count > 12).count();
        assert!(crowded < 30, "{crowded} buckets have more than twelve");
    }

    #[test]
    fn a_ban_is_found_while_it_is_there_and_in_the_second_bucket_only_behind_a_full_first() {
        let mut buckets = [Bucket::default(); 2];
        let ban = |address, until_ns| Slot {
            until_ns,
            address,
            hits: 0,
        };
        let found = |buckets: &[Bucket], address| {
            let found = find(address, (0, 1), |index| {
                buckets.get(index as usize).copied()
            });
            found.map(|(bucket, slot)| bucket.0[slot].end())
        };
        buckets[0].0[2] = ban(7, 900);
        assert_eq!(found(&buckets, 7), Some(900));
        buckets[0].0[2] = ban(7, Slot::FOREVER);
        assert_eq!(found(&buckets, 7), Some(0));
        buckets[1].0[3] = ban(8, 901);
        assert_eq!(found(&buckets, 8), None);
        for (slot, address) in [(0, 72), (1, 73), (3, 74)] {
            buckets[0].0[slot] = ban(address, 5 + u64::from(address));
            assert_eq!(found(&buckets, address), Some(5 + u64::from(address)));
        }
        assert_eq!(found(&buckets, 8), Some(901));
        buckets[0].0[2] = ban(71, Slot::GIVEN_UP);
        assert_eq!((found(&buckets, 7), found(&buckets, 8)), (None, Some(901)));
        buckets[0].0[2].until_ns = Slot::FREE;
        assert_eq!(found(&buckets, 8), None);
    }
}
