//! [`Tables`] over the maps.
#![expect(unsafe_code, reason = "entries are read and counted in place")]

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_map_lookup_elem};
use openclaw_common::{
    abi::{Entry, Prefix4, Prefix6, class},
    decide::{Record, Tables},
};

use crate::maps;

pub(crate) struct KernelTables;

/// An entry that a lookup found; the map keeps it alive until the program returns.
pub(crate) struct Slot(*mut Entry);

impl Record for Slot {
    #[inline(always)]
    fn until_ns(&self) -> u64 {
        // SAFETY: a lookup returned it, non-null.
        unsafe { (*self.0).until_ns }
    }

    #[inline(always)]
    fn reason(&self) -> u32 {
        // SAFETY: a lookup returned it, non-null.
        unsafe { (*self.0).reason }
    }

    #[inline(always)]
    fn hit(&self) {
        // SAFETY: a lookup returned it, non-null; two CPUs may lose a count, which `Entry::hits` admits.
        unsafe { (*self.0).hits += 1 }
    }
}

impl Tables for KernelTables {
    type Record = Slot;

    #[inline(always)]
    fn class4(&self, source: [u8; 4]) -> u16 {
        let index = class::index4(source);
        let Some(chunk) = maps::CLS4.get_ptr(index / class::WORDS_PER_CHUNK as u32) else {
            return 0;
        };
        let word = index as usize % class::WORDS_PER_CHUNK;
        // SAFETY: the remainder is below the length of a chunk.
        let word = unsafe { chunk.cast::<u16>().add(word) };
        // SAFETY: inside the element that the lookup returned; user space writes whole words.
        unsafe { *word }
    }

    #[inline(always)]
    fn class6(&self, source: [u8; 16]) -> Option<u16> {
        let word = maps::CLS6.get_ptr(class::key6(source))?;
        // SAFETY: a lookup returned it, non-null; user space writes whole words.
        Some(unsafe { *word })
    }

    #[inline(always)]
    fn ban4(&self, source: [u8; 4]) -> Option<Slot> {
        maps::BAN4.get_ptr_mut(source).map(Slot)
    }

    #[inline(always)]
    fn ban6(&self, prefix: &Prefix6) -> Option<Slot> {
        maps::BAN6.get_ptr_mut(prefix).map(Slot)
    }

    #[inline(always)]
    fn fine4(&self, source: [u8; 4]) -> Option<Slot> {
        longest(
            &raw const maps::FINE4,
            &Prefix4 {
                length: 32,
                address: source,
            },
        )
    }

    #[inline(always)]
    fn fine6(&self, source: [u8; 16]) -> Option<Slot> {
        longest(&raw const maps::FINE6, &Prefix6::host(source))
    }

    #[inline(always)]
    fn now_ns(&self) -> u64 {
        // SAFETY: the helper has no preconditions.
        unsafe { bpf_ktime_get_ns() }
    }
}

/// Longest match, to be written to: the trie's own lookup hands out a shared reference.
#[inline(always)]
fn longest<M, K>(map: *const M, key: &K) -> Option<Slot> {
    let map = map.cast_mut().cast::<c_void>();
    let key: *const K = key;
    // SAFETY: a map's static is what the helper takes, and `K` is the layout of its keys.
    let entry = unsafe { bpf_map_lookup_elem(map, key.cast()) };
    if entry.is_null() {
        None
    } else {
        Some(Slot(entry.cast()))
    }
}
