//! The class table of IPv4: one word for every /24, mapped into memory, so that a word changes without a system call and the whole
//! table within milliseconds.

use std::{
    os::fd::OwnedFd,
    sync::atomic::{AtomicU16, Ordering::Relaxed},
};

use openclaw_common::maps::CLS4;

use super::{KernelError, memory::Memory};

/// The words. A word is written whole and read whole, and each stands for itself, so no order between them is needed.
#[derive(Debug)]
pub struct Class4(Memory<AtomicU16>);

impl Class4 {
    /// Words in the table: one for every /24 of the IPv4 space.
    pub const WORDS: usize = 1 << 24;

    pub(super) fn new(map: OwnedFd) -> Result<Self, KernelError> {
        Memory::new(map, CLS4, Self::WORDS).map(Self)
    }

    /// The word of a /24 (see [`openclaw_common::abi::class::index4`]); 0 beyond the table.
    pub fn load(&self, index: u32) -> u16 {
        self.word(index).map_or(0, |word| word.load(Relaxed))
    }

    /// Sets a word.
    pub fn store(&self, index: u32, value: u16) {
        if let Some(word) = self.word(index) {
            set(word, value);
        }
    }

    /// Adds bits to a word, whoever else writes to it.
    pub fn mark(&self, index: u32, bits: u16) {
        if let Some(word) = self.word(index) {
            word.fetch_or(bits, Relaxed);
        }
    }

    /// Sets every word, in order; words beyond the slice become 0.
    pub fn replace(&self, words: &[u16]) {
        let rest = std::iter::repeat(&0);
        for (word, value) in self.0.values().iter().zip(words.iter().chain(rest)) {
            set(word, *value);
        }
    }

    fn word(&self, index: u32) -> Option<&AtomicU16> {
        self.0.values().get(index as usize)
    }
}

/// Most words stay as they are; a read shares the cache line with the kernel program, a write takes it away.
fn set(word: &AtomicU16, value: u16) {
    if word.load(Relaxed) != value {
        word.store(value, Relaxed);
    }
}
