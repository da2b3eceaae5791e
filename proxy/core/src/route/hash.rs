//! A fast hash for tables whose keys come from the configuration alone.
//!
//! Requests only look up, so nobody on the network can fill a table with colliding keys.

use std::hash::{BuildHasherDefault, Hasher};

pub(super) type Fast = BuildHasherDefault<FastHasher>;

#[derive(Debug, Default)]
pub(super) struct FastHasher(u64);

/// Digits of pi: odd, and without a pattern in their bits.
const FACTOR: u64 = 0x243f_6a88_85a3_08d3;

impl FastHasher {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(FACTOR);
    }
}

impl Hasher for FastHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            for (to, from) in last.iter_mut().zip(rest) {
                *to = *from;
            }
            self.mix(u64::from_le_bytes(last));
        }
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }

    /// A product is best mixed in its high bits; the table takes the low ones for its bucket.
    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}
