//! The class table of IPv4: one word for every /24, mapped into memory, so that a word changes without a system call and the whole
//! table within milliseconds.
#![expect(unsafe_code, reason = "memory that is shared with the kernel program")]

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    ptr::NonNull,
    slice,
    sync::atomic::{AtomicU16, Ordering::Relaxed},
};

use openclaw_common::maps::CLS4;

use super::KernelError;

/// The words. A word is written whole and read whole, and each stands for itself, so no order between them is needed.
#[derive(Debug)]
pub struct Class4 {
    words: NonNull<AtomicU16>,
    _map: OwnedFd,
}

// SAFETY: the mapping belongs to this value until it drops, and is reached through atomics alone.
unsafe impl Send for Class4 {}
// SAFETY: as above.
unsafe impl Sync for Class4 {}

impl Class4 {
    /// Words in the table: one for every /24 of the IPv4 space.
    pub const WORDS: usize = 1 << 24;
    const BYTES: usize = Self::WORDS * size_of::<AtomicU16>();

    pub(super) fn new(map: OwnedFd) -> Result<Self, KernelError> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping wherever the kernel likes, which touches no memory of ours.
        let words = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                Self::BYTES,
                protection,
                libc::MAP_SHARED,
                map.as_fd().as_raw_fd(),
                0,
            )
        };
        let error = io::Error::last_os_error();
        match NonNull::new(words) {
            Some(words) if words.as_ptr() != libc::MAP_FAILED => Ok(Self {
                words: words.cast(),
                _map: map,
            }),
            _ => Err(KernelError::Map {
                map: CLS4,
                operation: "map into memory",
                source: error,
            }),
        }
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

    /// Sets bits; returns the word before.
    pub fn fetch_or(&self, index: u32, bits: u16) -> u16 {
        self.word(index)
            .map_or(0, |word| word.fetch_or(bits, Relaxed))
    }

    /// Keeps only these bits; returns the word before.
    pub fn fetch_and(&self, index: u32, bits: u16) -> u16 {
        self.word(index)
            .map_or(0, |word| word.fetch_and(bits, Relaxed))
    }

    /// Sets every word, in order; words beyond the slice become 0.
    pub fn replace(&self, words: &[u16]) {
        let rest = std::iter::repeat(&0);
        for (word, value) in self.words().iter().zip(words.iter().chain(rest)) {
            set(word, *value);
        }
    }

    fn word(&self, index: u32) -> Option<&AtomicU16> {
        self.words().get(index as usize)
    }

    fn words(&self) -> &[AtomicU16] {
        // SAFETY: the mapping has that many words and lives as long as `self`; others change it through atomics or whole words.
        unsafe { slice::from_raw_parts(self.words.as_ptr(), Self::WORDS) }
    }
}

/// Most words stay as they are; a read shares the cache line with the kernel program, a write takes it away.
fn set(word: &AtomicU16, value: u16) {
    if word.load(Relaxed) != value {
        word.store(value, Relaxed);
    }
}

impl Drop for Class4 {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made, which nobody can reach any more.
        unsafe { libc::munmap(self.words.as_ptr().cast(), Self::BYTES) };
    }
}
