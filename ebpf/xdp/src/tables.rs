//! [`Tables`] over the maps.
#![expect(unsafe_code, reason = "entries are read and counted in place")]

use core::{borrow::Borrow, ffi::c_void, mem::offset_of, ptr::NonNull};

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::generated::{bpf_ktime_get_ns, bpf_map_lookup_elem},
    programs::XdpContext,
};
use openclaw_common::{
    abi::{Arrivals, Config, Entry, Prefix4, Prefix6, class, flags, subnet},
    ban::{self, Bucket, Bucket4, Bucket6, SLOTS6, Slot4},
    decide::{Record, Tables},
    maps::{BAN4_BUCKETS, BAN6_BUCKETS, CLS6_BUCKETS, PORTS_ENTRIES},
    packet::{Address, Flow},
    ports::Set,
    rate::Kind,
    verdict::{Reason, Verdict},
    words::{self, BucketOfWords},
};

use crate::{arrival::Arrival, clock, events, maps};

/// The maps, for the packet of one run.
pub(crate) struct KernelTables<'a> {
    ctx: &'a XdpContext,
    /// Whether the spare maps are those in use.
    is_spare: bool,
}

impl<'a> KernelTables<'a> {
    #[inline(always)]
    pub(crate) fn new(ctx: &'a XdpContext, config: &Config) -> Self {
        let is_spare = config.flags & flags::SPARE != 0;
        Self { ctx, is_spare }
    }
}

/// An entry that a lookup found; the map keeps it alive until the program returns.
/// Never null, so that "none" is a null pointer to the verifier, too, and not a register that was not set.
pub(crate) struct Slot(NonNull<Entry>);

impl Record for Slot {
    #[inline(always)]
    fn until_ns(&self) -> u64 {
        // SAFETY: a lookup returned it, non-null.
        unsafe { (*self.0.as_ptr()).until_ns }
    }

    #[inline(always)]
    fn reason(&self) -> u32 {
        // SAFETY: a lookup returned it, non-null.
        unsafe { (*self.0.as_ptr()).reason }
    }

    #[inline(always)]
    fn rule(&self) -> u32 {
        // SAFETY: a lookup returned it, non-null.
        unsafe { (*self.0.as_ptr()).rule }
    }

    #[inline(always)]
    fn hit(&self) {
        // SAFETY: a lookup returned it, non-null; two CPUs may lose a count, which `Entry::hits` admits.
        unsafe { (*self.0.as_ptr()).hits += 1 }
    }
}

/// A ban that a look into the buckets found: its end and its hits, never null as [`Slot`].
pub(crate) struct Ban {
    until_ns: NonNull<u64>,
    hits: NonNull<u32>,
}

impl Ban {
    /// A slot of a bucket that a lookup returned.
    #[inline(always)]
    fn of4(slot: NonNull<Slot4>) -> Self {
        Self {
            // SAFETY: a field of the slot.
            until_ns: unsafe { slot.byte_add(offset_of!(Slot4, until_ns)) }.cast(),
            // SAFETY: as above.
            hits: unsafe { slot.byte_add(offset_of!(Slot4, hits)) }.cast(),
        }
    }
}

impl Record for Ban {
    #[inline(always)]
    fn until_ns(&self) -> u64 {
        // SAFETY: of a bucket that a lookup returned; user space writes whole words.
        ban::end(unsafe { *self.until_ns.as_ref() })
    }

    #[inline(always)]
    fn reason(&self) -> u32 {
        Reason::Ban as u32
    }

    #[inline(always)]
    fn rule(&self) -> u32 {
        0
    }

    #[inline(always)]
    fn hit(&self) {
        // SAFETY: of a bucket that a lookup returned; two CPUs may lose a count, which `Slot4::hits` admits.
        unsafe { *self.hits.as_ptr() += 1 }
    }
}

impl Tables for KernelTables<'_> {
    type Record = Slot;
    type Ban4 = Ban;
    type Ban6 = Ban;
    type Word = Arrival;

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
        let key = u64::from(u32::from_be_bytes(class::key6(source)));
        let header = bucket_of_words(CLS6_BUCKETS)?;
        let header: &BucketOfWords = header.borrow();
        let buckets = header.keys().buckets(key, CLS6_BUCKETS - 1);
        let (bucket, slot) = ban::find::<BucketOfWords, _>(key, buckets, bucket_of_words)?;
        // The verifier has lost that ten is the most.
        if slot >= words::SLOTS {
            return None;
        }
        // SAFETY: a field of the bucket.
        let words = unsafe { bucket.0.byte_add(offset_of!(BucketOfWords, word)) }.cast::<u16>();
        // SAFETY: just compared with their length.
        let word = unsafe { words.add(slot) };
        // SAFETY: inside the element that the lookup returned; user space writes whole words.
        Some(unsafe { *word.as_ptr() })
    }

    #[inline(always)]
    fn ban4(&self, source: [u8; 4]) -> Option<Ban> {
        let address = u64::from(u32::from_be_bytes(source));
        let header = bucket4(BAN4_BUCKETS)?;
        let header: &Bucket4 = header.borrow();
        let buckets = header.keys().buckets(address, BAN4_BUCKETS - 1);
        let (bucket, slot) = ban::find::<Bucket4, _>(address, buckets, bucket4)?;
        // SAFETY: `find` names one of the slots of the bucket.
        Some(Ban::of4(unsafe { bucket.0.cast::<Slot4>().add(slot) }))
    }

    #[inline(always)]
    fn ban6(&self, source: [u8; 16]) -> Option<Ban> {
        let subnet = u64::from_be_bytes(subnet(source));
        let header = bucket6(BAN6_BUCKETS)?;
        let header: &Bucket6 = header.borrow();
        let buckets = header.keys().buckets(subnet, BAN6_BUCKETS - 1);
        let (bucket, slot) = ban::find::<Bucket6, _>(subnet, buckets, bucket6)?;
        // The verifier has lost that three is the most.
        if slot >= SLOTS6 {
            return None;
        }
        // SAFETY: a field of the bucket.
        let until_ns = unsafe { bucket.0.byte_add(offset_of!(Bucket6, until_ns)) }.cast::<u64>();
        // SAFETY: as above.
        let hits = unsafe { bucket.0.byte_add(offset_of!(Bucket6, hits)) }.cast::<u32>();
        // SAFETY: just compared with their length.
        let until_ns = unsafe { until_ns.add(slot) };
        // SAFETY: as above.
        let hits = unsafe { hits.add(slot) };
        Some(Ban { until_ns, hits })
    }

    #[inline(always)]
    fn host6(&self, source: [u8; 16]) -> Option<Slot> {
        slot(maps::HOST6.get_ptr_mut(source))
    }

    #[inline(always)]
    fn fine4(&self, source: [u8; 4]) -> Option<Slot> {
        let map = if self.is_spare {
            &raw const maps::FINE4_SPARE
        } else {
            &raw const maps::FINE4
        };
        longest(
            map,
            &Prefix4 {
                length: 32,
                address: source,
            },
        )
    }

    #[inline(always)]
    fn fine6(&self, source: [u8; 16]) -> Option<Slot> {
        let map = if self.is_spare {
            &raw const maps::FINE6_SPARE
        } else {
            &raw const maps::FINE6
        };
        longest(map, &Prefix6::host(source))
    }

    #[inline(always)]
    fn ports(&self, set: Set, word: u32) -> u64 {
        let word = match set {
            Set::Tcp => maps::PORTS.get(word),
            Set::Udp => maps::PORTS_UDP.get(word),
            Set::Quic => maps::PORTS_UDP.get(PORTS_ENTRIES + word),
        };
        match word {
            Some(word) => *word,
            None => 0,
        }
    }

    #[inline(always)]
    #[expect(clippy::many_single_char_names, reason = "bytes in their order")]
    fn bucket(&self, source: Address, kind: Kind, first_ns: u64) -> Option<Arrival> {
        let arrivals = match kind {
            Kind::Syn => Arrivals {
                syn_ns: first_ns,
                udp_ns: 0,
            },
            Kind::Udp => Arrivals {
                syn_ns: 0,
                udp_ns: first_ns,
            },
        };
        let no_exist = u64::from(BPF_NOEXIST);
        let found = match source {
            Address::V4(source) => {
                let found = maps::RATE4.get_ptr_mut(source);
                if found.is_none() {
                    // Another CPU may have been first: its packet is counted, this one is not.
                    let _ = maps::RATE4.insert(source, arrivals, no_exist);
                }
                found
            }
            Address::V6([a, b, c, d, e, f, g, h, ..]) => {
                let subnet = [a, b, c, d, e, f, g, h];
                let found = maps::RATE6.get_ptr_mut(subnet);
                if found.is_none() {
                    let _ = maps::RATE6.insert(subnet, arrivals, no_exist);
                }
                found
            }
        }?;
        Some(Arrival::new(found, kind))
    }

    #[inline(always)]
    fn note(&self, config: &Config, flow: &Flow, reason: Reason, country: u8) {
        if country != 0 && matches!(reason.verdict(), Verdict::Drop) {
            maps::count_country(country);
        }
        if config.flags & flags::EVENTS != 0 {
            events::tell(self.ctx, config.sample_mask, flow, reason, country);
        }
    }

    #[inline(always)]
    fn now_ns(&self) -> u64 {
        // SAFETY: the helper has no preconditions.
        unsafe { bpf_ktime_get_ns() }
    }

    #[inline(always)]
    fn tick_ns(&self) -> u64 {
        clock::tick_ns()
    }
}

/// A bucket of a table; the map keeps it alive until the program returns.
struct InPlace<B>(NonNull<B>);

impl<B> Borrow<B> for InPlace<B> {
    #[inline(always)]
    fn borrow(&self) -> &B {
        // SAFETY: a lookup returned it; user space writes whole words.
        unsafe { self.0.as_ref() }
    }
}

#[inline(always)]
fn bucket4(index: u32) -> Option<InPlace<Bucket4>> {
    NonNull::new(maps::BAN4.get_ptr_mut(index)?).map(InPlace)
}

#[inline(always)]
fn bucket6(index: u32) -> Option<InPlace<Bucket6>> {
    NonNull::new(maps::BAN6.get_ptr_mut(index)?).map(InPlace)
}

#[inline(always)]
fn bucket_of_words(index: u32) -> Option<InPlace<BucketOfWords>> {
    NonNull::new(maps::CLS6.get_ptr_mut(index)?).map(InPlace)
}

#[inline(always)]
fn slot(found: Option<*mut Entry>) -> Option<Slot> {
    NonNull::new(found?).map(Slot)
}

/// Longest match, to be written to: the trie's own lookup hands out a shared reference.
#[inline(always)]
fn longest<M, K>(map: *const M, key: &K) -> Option<Slot> {
    let map = map.cast_mut().cast::<c_void>();
    let key: *const K = key;
    // SAFETY: a map's static is what the helper takes, and `K` is the layout of its keys.
    let entry = unsafe { bpf_map_lookup_elem(map, key.cast()) };
    NonNull::new(entry.cast()).map(Slot)
}
