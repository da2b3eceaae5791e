//! A map's values mapped into memory, so that one changes without a system call.
#![expect(unsafe_code, reason = "memory that is shared with the kernel program")]

use std::{
    fmt, io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    ptr::NonNull,
    slice,
    sync::atomic::{AtomicU8, AtomicU16},
};

use super::{
    KernelError,
    rows::{Row4, Row6, RowOfWords},
};

/// What may be shared with the kernel program.
///
/// # Safety
///
/// The type is made of atomics alone, and every pattern of its bytes is a value.
pub(super) unsafe trait Shared: Sync {}

// SAFETY: an atomic.
unsafe impl Shared for AtomicU8 {}
// SAFETY: an atomic.
unsafe impl Shared for AtomicU16 {}
// SAFETY: atomics.
unsafe impl Shared for Row4 {}
// SAFETY: atomics.
unsafe impl Shared for Row6 {}
// SAFETY: atomics.
unsafe impl Shared for RowOfWords {}

/// The values of an array, mapped for as long as this lives.
pub(super) struct Memory<T> {
    values: NonNull<T>,
    count: usize,
    _map: OwnedFd,
}

// SAFETY: the mapping belongs to this value until it drops, and is reached through atomics alone.
unsafe impl<T: Shared> Send for Memory<T> {}
// SAFETY: as above.
unsafe impl<T: Shared> Sync for Memory<T> {}

impl<T: Shared> Memory<T> {
    /// Maps `count` values; the caller has made sure that the map `name` holds as many.
    pub(super) fn new(map: OwnedFd, name: &'static str, count: usize) -> Result<Self, KernelError> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping wherever the kernel likes, which touches no memory of ours.
        let values = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                count * size_of::<T>(),
                protection,
                libc::MAP_SHARED,
                map.as_fd().as_raw_fd(),
                0,
            )
        };
        let error = io::Error::last_os_error();
        match NonNull::new(values) {
            Some(values) if values.as_ptr() != libc::MAP_FAILED => Ok(Self {
                values: values.cast(),
                count,
                _map: map,
            }),
            _ => Err(KernelError::Map {
                map: name,
                operation: "map into memory",
                source: error,
            }),
        }
    }
}

impl<T> Memory<T> {
    pub(super) fn values(&self) -> &[T] {
        // SAFETY: the mapping has that many values and lives as long as `self`, and `new` makes none of what is not `Shared`: others
        // change it through atomics or whole words.
        unsafe { slice::from_raw_parts(self.values.as_ptr(), self.count) }
    }
}

impl<T> Drop for Memory<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made, which nobody can reach any more.
        unsafe { libc::munmap(self.values.as_ptr().cast(), self.count * size_of::<T>()) };
    }
}

impl<T> fmt::Debug for Memory<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
