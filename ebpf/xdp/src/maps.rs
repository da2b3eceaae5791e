//! The maps. Their names are those of [`openclaw_common::maps`], which the loader checks.
#![expect(unsafe_code, reason = "the counter of a CPU is written in place")]

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf},
    programs::XdpContext,
};
use openclaw_common::{
    abi::{Arrivals, Config, Counter, Entry, Served, class::WORDS_PER_CHUNK},
    ban::{Bucket4, Bucket6},
    maps::{
        BAN4_BUCKETS, BAN6_BUCKETS, BAN6_ENTRIES, CCSTAT_ENTRIES, CLS4_CHUNKS, CLS6_BUCKETS,
        EVENTS_BYTES, FINE4_ENTRIES, FINE6_ENTRIES, KEEP_ENTRIES, PORTS_ENTRIES, PORTS_UDP_ENTRIES,
        RATE4_ENTRIES, RATE6_ENTRIES, SERVED_ENTRIES, STATS_ENTRIES,
    },
    slot,
    verdict::Reason,
    words::BucketOfWords,
};

const BPF_F_NO_PREALLOC: u32 = 1;
const BPF_F_MMAPABLE: u32 = 1 << 10;

#[map]
pub(crate) static CONFIG: Array<Config> = Array::pinned(1, 0);
#[map]
pub(crate) static CLS4: Array<[u16; WORDS_PER_CHUNK]> = Array::pinned(CLS4_CHUNKS, BPF_F_MMAPABLE);
#[map]
pub(crate) static CLS6: Array<BucketOfWords> = Array::pinned(CLS6_BUCKETS + 1, BPF_F_MMAPABLE);
#[map]
pub(crate) static BAN4: Array<Bucket4> = Array::pinned(BAN4_BUCKETS + 1, BPF_F_MMAPABLE);
#[map]
pub(crate) static BAN6: Array<Bucket6> = Array::pinned(BAN6_BUCKETS + 1, BPF_F_MMAPABLE);
#[map]
pub(crate) static HOST6: HashMap<[u8; 16], Entry> =
    HashMap::pinned(BAN6_ENTRIES, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static FINE4: LpmTrie<[u8; 4], Entry> =
    LpmTrie::pinned(FINE4_ENTRIES, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static FINE6: LpmTrie<[u8; 16], Entry> =
    LpmTrie::pinned(FINE6_ENTRIES, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static FINE4_SPARE: LpmTrie<[u8; 4], Entry> =
    LpmTrie::pinned(FINE4_ENTRIES, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static FINE6_SPARE: LpmTrie<[u8; 16], Entry> =
    LpmTrie::pinned(FINE6_ENTRIES, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static RATE4: LruHashMap<[u8; 4], Arrivals> = LruHashMap::pinned(RATE4_ENTRIES, 0);
#[map]
pub(crate) static RATE6: LruHashMap<[u8; 8], Arrivals> = LruHashMap::pinned(RATE6_ENTRIES, 0);
#[map]
pub(crate) static PORTS: Array<u64> = Array::pinned(PORTS_ENTRIES, 0);
#[map]
pub(crate) static PORTS_UDP: Array<u64> = Array::pinned(PORTS_UDP_ENTRIES, 0);
#[map]
pub(crate) static SERVED: HashMap<Served, u32> = HashMap::pinned(SERVED_ENTRIES, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static KEEP: Array<u64> = Array::pinned(KEEP_ENTRIES, 0);
#[map]
pub(crate) static ANSWERS: Array<u64> = Array::pinned(1, 0);
#[map]
static SYNS: PerCpuArray<u64> = PerCpuArray::pinned(1, 0);
#[map]
static CCSTAT: PerCpuArray<u64> = PerCpuArray::pinned(CCSTAT_ENTRIES, 0);
#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::pinned(EVENTS_BYTES, 0);
#[map]
static STATS: PerCpuArray<Counter> = PerCpuArray::pinned(STATS_ENTRIES, 0);
#[map]
static SLOTS: Array<slot::Table> = Array::pinned(1, BPF_F_MMAPABLE);

/// Where a frame of this interface is counted.
#[inline(always)]
fn counter(ctx: &XdpContext, reason: Reason) -> u32 {
    slot::counter(slot_of(ctx), reason)
}

#[inline(always)]
fn slot_of(ctx: &XdpContext) -> u8 {
    let interface = ctx.ingress_ifindex();
    let Some(table) = SLOTS.get_ptr(0) else {
        return slot::SHARED;
    };
    if interface >= slot::INTERFACES {
        return slot::SHARED;
    }
    // SAFETY: just compared with the length of the table.
    let slot = unsafe { table.cast::<u8>().add(interface) };
    // SAFETY: inside the element that the lookup returned; user space writes whole bytes.
    unsafe { *slot }
}

/// Counts a frame of `bytes` bytes.
#[inline(always)]
pub(crate) fn count(ctx: &XdpContext, reason: Reason, bytes: usize) {
    let Some(counter) = STATS.get_ptr_mut(counter(ctx, reason)) else {
        return;
    };
    // SAFETY: the map's own element of this CPU; a program is not interrupted by itself on its CPU.
    let counter = unsafe { &mut *counter };
    counter.packets += 1;
    counter.bytes += bytes as u64;
}

/// Packets of this interface that this CPU has counted for a reason so far.
#[inline(always)]
pub(crate) fn counted(ctx: &XdpContext, reason: Reason) -> u64 {
    match STATS.get(counter(ctx, reason)) {
        Some(counter) => counter.packets,
        None => 0,
    }
}

/// Counts a dropped packet of a country.
#[inline(always)]
pub(crate) fn count_country(country: u8) {
    let Some(drops) = CCSTAT.get_ptr_mut(u32::from(country)) else {
        return;
    };
    // SAFETY: the map's own element of this CPU; a program is not interrupted by itself on its CPU.
    unsafe { *drops += 1 };
}

/// Counts a SYN to a protected port.
#[inline(always)]
pub(crate) fn count_syn() {
    let Some(syns) = SYNS.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: the map's own element of this CPU; a program is not interrupted by itself on its CPU.
    unsafe { *syns += 1 };
}
