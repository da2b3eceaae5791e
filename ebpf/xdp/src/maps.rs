//! The maps. Their names are those of [`openclaw_common::maps`], which the loader checks.
#![expect(unsafe_code, reason = "the counter of a CPU is written in place")]

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, LpmTrie, PerCpuArray},
};
use openclaw_common::{
    abi::{Config, Counter, Entry, Prefix6, class::WORDS_PER_CHUNK},
    maps::{
        BAN4_ENTRIES, BAN6_ENTRIES, CLS4_CHUNKS, CLS6_ENTRIES, FINE4_ENTRIES, FINE6_ENTRIES,
        STATS_ENTRIES,
    },
    verdict::Reason,
};

const BPF_F_NO_PREALLOC: u32 = 1;
const BPF_F_MMAPABLE: u32 = 1 << 10;

#[map]
pub(crate) static CONFIG: Array<Config> = Array::pinned(1, 0);
#[map]
pub(crate) static CLS4: Array<[u16; WORDS_PER_CHUNK]> = Array::pinned(CLS4_CHUNKS, BPF_F_MMAPABLE);
#[map]
pub(crate) static CLS6: HashMap<[u8; 4], u16> = HashMap::pinned(CLS6_ENTRIES, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static BAN4: HashMap<[u8; 4], Entry> = HashMap::pinned(BAN4_ENTRIES, 0);
#[map]
pub(crate) static BAN6: HashMap<Prefix6, Entry> = HashMap::pinned(BAN6_ENTRIES, 0);
#[map]
pub(crate) static FINE4: LpmTrie<[u8; 4], Entry> =
    LpmTrie::pinned(FINE4_ENTRIES, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static FINE6: LpmTrie<[u8; 16], Entry> =
    LpmTrie::pinned(FINE6_ENTRIES, BPF_F_NO_PREALLOC);
#[map]
static STATS: PerCpuArray<Counter> = PerCpuArray::pinned(STATS_ENTRIES, 0);

/// Counts a frame of `bytes` bytes.
#[inline(always)]
pub(crate) fn count(reason: Reason, bytes: usize) {
    let Some(counter) = STATS.get_ptr_mut(reason as u32) else {
        return;
    };
    // SAFETY: the map's own element of this CPU; a program is not interrupted by itself on its CPU.
    let counter = unsafe { &mut *counter };
    counter.packets += 1;
    counter.bytes += bytes as u64;
}
