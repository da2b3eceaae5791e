//! The tables of bans, of IPv4 addresses and of IPv6 /64s: one look is one cache line. A bucket is a line of slots, four for IPv4 and
//! three for IPv6; a source belongs into its first bucket, and into its second one only while the first is full. User space alone, one
//! process at a time, writes sources and ends; the kernel program reads them and counts hits in place.
//!
//! A slot that was never used has the end 0. A bucket without such a slot is full, and only then can there be more of it in second
//! buckets; so a slot that is given up in a full bucket keeps the end 1, which has always passed, until nothing of the bucket is
//! elsewhere. A slot that holds nothing names a source that never looks into its bucket, so a source alone tells a slot from the
//! others. A slot is written source first, so that a ban which is moved is in one of its buckets at any moment.

use core::borrow::Borrow;
use core::mem::{align_of, size_of};

/// The end of a slot that was never used.
pub const FREE: u64 = 0;
/// The end of a slot that holds nothing any more.
pub const GIVEN_UP: u64 = 1;
/// The end of a ban that has none.
pub const FOREVER: u64 = u64::MAX;

/// An end as [`crate::abi::Entry`] has it: 0 for none.
#[inline(always)]
pub const fn end(until_ns: u64) -> u64 {
    match until_ns {
        FOREVER => 0,
        until_ns => until_ns,
    }
}

/// Slots of a bucket for IPv4.
pub const SLOTS4: usize = 4;
/// Slots of a bucket for IPv6.
pub const SLOTS6: usize = 3;

/// A cache line of slots.
pub trait Bucket {
    /// The slot that names a source: an IPv4 address, its first byte in the highest of the lower 32 bits, or the first 64 bits of an
    /// IPv6 address.
    fn find(&self, source: u64) -> Option<usize>;

    /// Whether every slot is or was taken, so that second buckets may hold more of this one.
    fn is_full(&self) -> bool;

    /// The keys of a table, of which this is the bucket behind the last one.
    fn keys(&self) -> Keys;
}

/// The ban of an IPv4 address, or room for one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot4 {
    /// End on the monotonic clock in nanoseconds, or one of [`FREE`], [`GIVEN_UP`] and [`FOREVER`].
    pub until_ns: u64,
    /// The banned address, its first byte in the highest bits.
    pub address: u32,
    /// Packets that it decided. Counted without atomics, so approximate on several CPUs.
    pub hits: u32,
}

/// All bits set if the words are the same, else 0. Arithmetic, because which slot it is cannot be predicted, and a branch that is taken
/// wrongly waits for memory, 50 ns.
#[inline(always)]
const fn same(a: u64, b: u64) -> u64 {
    let difference = a ^ b;
    ((difference | difference.wrapping_neg()) >> 63).wrapping_sub(1)
}

/// The same for words below 2^32, in two steps less.
#[inline(always)]
pub(crate) const fn same_half(a: u32, b: u32) -> u64 {
    ((a ^ b) as u64).wrapping_sub(1) >> 32
}

/// A cache line of IPv4 bans.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket4(pub [Slot4; SLOTS4]);

impl Bucket for Bucket4 {
    #[inline(always)]
    fn find(&self, source: u64) -> Option<usize> {
        let address = source as u32;
        let [a, b, c, d] = &self.0;
        let (b, c, d) = (
            same_half(b.address, address),
            same_half(c.address, address),
            same_half(d.address, address),
        );
        if same_half(a.address, address) | b | c | d == 0 {
            return None;
        }
        Some(((b & 1) | (c & 2) | (d & 3)) as usize & (SLOTS4 - 1))
    }

    #[inline(always)]
    fn is_full(&self) -> bool {
        let [a, b, c, d] = &self.0;
        a.until_ns != FREE && b.until_ns != FREE && c.until_ns != FREE && d.until_ns != FREE
    }

    #[inline(always)]
    fn keys(&self) -> Keys {
        let [first, second, ..] = &self.0;
        Keys {
            first: first.until_ns,
            second: second.until_ns,
        }
    }
}

/// A cache line of bans of IPv6 /64s: what a slot is made of stands in three arrays, so that three slots fit.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket6 {
    /// Ends, as [`Slot4::until_ns`].
    pub until_ns: [u64; SLOTS6],
    /// The first 64 bits of the banned addresses.
    pub subnet: [u64; SLOTS6],
    /// Packets that they decided, as [`Slot4::hits`].
    pub hits: [u32; SLOTS6],
    /// Zero.
    pub reserved: u32,
}

impl Bucket for Bucket6 {
    #[inline(always)]
    fn find(&self, source: u64) -> Option<usize> {
        let [a, b, c] = self.subnet;
        let (b, c) = (same(b, source), same(c, source));
        if same(a, source) | b | c == 0 {
            return None;
        }
        Some(((b & 1) | (c & 2)) as usize)
    }

    #[inline(always)]
    fn is_full(&self) -> bool {
        let [a, b, c] = self.until_ns;
        a != FREE && b != FREE && c != FREE
    }

    #[inline(always)]
    fn keys(&self) -> Keys {
        let [first, second, _] = self.until_ns;
        Keys { first, second }
    }
}

/// What decides about the buckets of a source. Drawn at random for each table, so that nobody can choose sources that meet in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// An odd number.
    pub first: u64,
    /// An odd number.
    pub second: u64,
}

impl Keys {
    /// The two buckets of a source, never the same, in a table whose number of buckets is a power of two and `mask` one less.
    #[inline(always)]
    pub const fn buckets(self, source: u64, mask: u32) -> (u32, u32) {
        let mixed = source.wrapping_mul(self.first);
        let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(self.second);
        let first = (mixed >> 32) as u32 & mask;
        let second = (first ^ ((mixed >> 8) as u32 | 1)) & mask;
        (first, second)
    }
}

/// Bucket and slot of the ban of a source whose buckets are `first` and `second`; `bucket` gives a bucket by its number.
#[inline(always)]
pub fn find<L: Bucket, B: Borrow<L>>(
    source: u64,
    (first, second): (u32, u32),
    bucket: impl Fn(u32) -> Option<B>,
) -> Option<(B, usize)> {
    let home = bucket(first)?;
    if let Some(slot) = home.borrow().find(source) {
        return Some((home, slot));
    }
    if !home.borrow().is_full() {
        return None;
    }
    let other = bucket(second)?;
    let slot = other.borrow().find(source)?;
    Some((other, slot))
}

const _: () = {
    assert!(size_of::<Slot4>() == 16 && align_of::<Slot4>() == 8);
    assert!(size_of::<Bucket4>() == 64 && align_of::<Bucket4>() == 64);
    assert!(size_of::<Bucket6>() == 64 && align_of::<Bucket6>() == 64);
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
        let v4 = (0x0a00_0000..0x0a01_0000_u64).collect::<std::vec::Vec<_>>();
        // /64s side by side, and /48s: their differences are in other bits.
        let subnets = |shift: u32| (0..0x1_0000_u64).map(move |at| 0x2001_0db8 << 32 | at << shift);
        for sources in [v4, subnets(0).collect(), subnets(16).collect()] {
            let mut counts = std::vec![0_u32; 1 << 14];
            for source in sources {
                let (first, second) = KEYS.buckets(source, (1 << 14) - 1);
                assert_ne!(first, second);
                counts[first as usize] += 1;
            }
            // Four each on average: at random, one bucket in three thousand has more than twelve.
            let crowded = counts.iter().filter(|count| **count > 12).count();
            assert!(crowded < 30, "{crowded} buckets have more than twelve");
        }
    }

    #[test]
    fn a_ban_is_found_while_it_is_there_and_in_the_second_bucket_only_behind_a_full_first() {
        let mut buckets = [Bucket4::default(); 2];
        let ban = |address, until_ns| Slot4 {
            until_ns,
            address,
            hits: 0,
        };
        let found = |buckets: &[Bucket4], address| {
            let found = find(address, (0, 1), |index| {
                buckets.get(index as usize).copied()
            });
            found.map(|(bucket, slot)| end(bucket.0[slot].until_ns))
        };
        buckets[0].0[2] = ban(7, 900);
        assert_eq!(found(&buckets, 7), Some(900));
        buckets[0].0[2] = ban(7, FOREVER);
        assert_eq!(found(&buckets, 7), Some(0));
        buckets[1].0[3] = ban(8, 901);
        assert_eq!(found(&buckets, 8), None);
        for (slot, address) in [(0, 72), (1, 73), (3, 74)] {
            buckets[0].0[slot] = ban(address, 5 + u64::from(address));
            let expected = Some(5 + u64::from(address));
            assert_eq!(found(&buckets, address.into()), expected);
        }
        assert_eq!(found(&buckets, 8), Some(901));
        buckets[0].0[2] = ban(71, GIVEN_UP);
        assert_eq!((found(&buckets, 7), found(&buckets, 8)), (None, Some(901)));
        buckets[0].0[2].until_ns = FREE;
        assert_eq!(found(&buckets, 8), None);
    }

    #[test]
    fn each_slot_for_ipv6_is_found_by_all_bits_of_its_subnet() {
        let subnets = [1, 1 << 63, u64::MAX];
        let bucket = Bucket6 {
            subnet: subnets,
            until_ns: [9; 3],
            ..Bucket6::default()
        };
        for (at, subnet) in subnets.into_iter().enumerate() {
            assert_eq!(bucket.find(subnet), Some(at));
            for bit in 0..64 {
                assert_eq!(bucket.find(subnet ^ (1 << bit)), None, "{subnet:x} {bit}");
            }
        }
        assert!(bucket.is_full());
        for at in 0..SLOTS6 {
            let mut open = bucket;
            open.until_ns[at] = FREE;
            assert!(!open.is_full());
        }
    }
}
