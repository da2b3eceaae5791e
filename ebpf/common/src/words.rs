//! The table of class words of IPv6 /32s: one look is one cache line, by the rules of [`crate::ban`], where a slot holds a word instead
//! of an end. The source of a slot is [`crate::abi::class::key6`], its first byte in the highest of the lower 32 bits.

use core::mem::{align_of, size_of};

use crate::ban::{Bucket, FREE, GIVEN_UP, Keys, same_half};

/// Slots of a bucket.
pub const SLOTS: usize = 10;

/// What stands for [`GIVEN_UP`]: a bit that means nothing in a class word.
const GIVEN_UP_WORD: u16 = 1 << 8;

/// A word as the value of a slot, so that none but 0 is [`FREE`] and none is [`GIVEN_UP`].
pub const fn value(word: u16) -> u64 {
    match word {
        GIVEN_UP_WORD => GIVEN_UP,
        word => (word as u64) << 1,
    }
}

/// The word of a value.
pub const fn word(value: u64) -> u16 {
    match value {
        FREE => 0,
        GIVEN_UP => GIVEN_UP_WORD,
        value => (value >> 1) as u16,
    }
}

/// A cache line of class words.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BucketOfWords {
    /// The first 32 bits of the addresses.
    pub key: [u32; SLOTS],
    /// Their words.
    pub word: [u16; SLOTS],
    /// Zero.
    pub reserved: u32,
}

impl Bucket for BucketOfWords {
    #[inline(always)]
    fn find(&self, source: u64) -> Option<usize> {
        let (mut found, mut slot) = (0, 0);
        for (at, key) in self.key.iter().enumerate() {
            let is_it = same_half(*key, source as u32);
            found |= is_it;
            slot |= is_it & at as u64;
        }
        (found != 0).then_some(slot as usize)
    }

    /// From the last slot, since user space takes the first one that is free.
    #[inline(always)]
    fn is_full(&self) -> bool {
        self.word.iter().rev().all(|word| *word != 0)
    }

    #[inline(always)]
    fn keys(&self) -> Keys {
        let [a, b, c, d, ..] = self.key;
        Keys {
            first: (b as u64) << 32 | a as u64,
            second: (d as u64) << 32 | c as u64,
        }
    }
}

const _: () = assert!(size_of::<BucketOfWords>() == 64 && align_of::<BucketOfWords>() == 64);

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn each_slot_is_found_by_all_bits_of_its_key() {
        let mut bucket = BucketOfWords {
            word: [9; SLOTS],
            ..BucketOfWords::default()
        };
        for (at, key) in bucket.key.iter_mut().enumerate() {
            *key = 0x2001_0db8 << (at % 3) | (at as u32 + 1) << 20;
        }
        for (at, key) in bucket.key.into_iter().enumerate() {
            assert_eq!(bucket.find(key.into()), Some(at));
            for bit in 0..32 {
                assert_eq!(bucket.find((key ^ 1 << bit).into()), None, "{key:x} {bit}");
            }
        }
        assert!(bucket.is_full());
        for at in 0..SLOTS {
            let mut open = bucket;
            open.word[at] = 0;
            assert!(!open.is_full());
        }
    }

    #[test]
    fn every_word_has_a_value_of_its_own() {
        for listed in 0..16 {
            for country in 0..=0xff {
                let there = listed << 12 | country;
                assert_eq!(word(value(there)), there);
                assert_ne!(value(there), GIVEN_UP);
                assert_eq!(value(there) == FREE, there == 0);
            }
        }
        assert_eq!(value(word(GIVEN_UP)), GIVEN_UP);
    }
}
