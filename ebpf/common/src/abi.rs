//! Keys and values of the maps, byte for byte. Padding is spelt out, sizes are asserted, and nothing here is an enum: a map outlives
//! the process that wrote it, so a value may come from another build.

use core::mem::{align_of, size_of};

/// Names the directory of the pins (`v2`), so that a build never opens maps of another layout. Raised with any change in this file,
/// in the names or capacities of [`crate::maps`] or in the numbers of [`crate::verdict::Reason`].
pub const ABI_VERSION: u32 = 2;

/// Bits of [`Config::flags`].
pub mod flags {
    /// Without it every frame passes: the kill switch, and the safe meaning of a map that nobody has filled.
    pub const ENABLED: u32 = 1 << 0;
    /// What is dropped or would be is told through `EVENTS`, one in [`super::Config::sample_mask`] + 1. Costs one branch when off.
    pub const EVENTS: u32 = 1 << 1;
    /// The kernel program logs what it passes over or drops. Costs one branch when off.
    pub const DEBUG: u32 = 1 << 2;
}

/// Bits of [`Config::checks`]: what is asked of packets that no list decides.
pub mod checks {
    /// Packets that no honest host sends are dropped: TCP flags that contradict each other, source equal to destination, port 0,
    /// QUIC Initials that are too short.
    pub const INVALID: u32 = 1 << 0;
    /// Fragments of TCP segments are dropped.
    pub const FRAGMENTS_TCP: u32 = 1 << 1;
    /// Fragments of UDP datagrams are dropped.
    pub const FRAGMENTS_UDP: u32 = 1 << 2;
    /// `PORTS` names at least one port.
    pub const PORTS: u32 = 1 << 3;
    /// `PORTS_UDP` names at least one port.
    pub const PORTS_UDP: u32 = 1 << 4;
}

/// Values of [`Config::geo_mode`].
pub mod geo {
    /// Countries are not looked at.
    pub const OFF: u32 = 0;
    /// Countries of the mask are dropped.
    pub const DENY: u32 = 1;
    /// Only countries of the mask pass. Sources of no known country have number 0 and need bit 0, unless they are private.
    pub const ONLY: u32 = 2;
}

/// Bits of a class word: what is known of a whole IPv4 /24 or IPv6 /32.
pub mod class {
    /// Country number, 0 for unknown.
    pub const COUNTRY: u16 = 0x00ff;
    /// The whole range is allowed, whatever else is said of it.
    pub const ALLOWED: u16 = 1 << 12;
    /// The whole range is blocked, except for what a finer entry allows.
    pub const BLOCKED: u16 = 1 << 13;
    /// A prefix that covers only a part, or that expires, is in the `FINE` map of the family.
    pub const FINE: u16 = 1 << 14;
    /// At least one address of the range is in the `BAN` map of the family.
    pub const BANNED: u16 = 1 << 15;
    /// Any of the four bits that say more than the country.
    pub const LISTED: u16 = ALLOWED | BLOCKED | FINE | BANNED;

    /// Class words in one element of `CLS4`; array elements are rounded up to eight bytes, so a word an element would waste 96 MiB.
    pub const WORDS_PER_CHUNK: usize = 4096;

    /// Index of the class word of an IPv4 address, counted over all chunks.
    #[inline(always)]
    pub const fn index4(address: [u8; 4]) -> u32 {
        u32::from_be_bytes(address) >> 8
    }

    /// Key of the class word of an IPv6 address: its first 32 bits, big-endian.
    #[inline(always)]
    pub const fn key6(address: [u8; 16]) -> [u8; 4] {
        let [a, b, c, d, ..] = address;
        [a, b, c, d]
    }
}

/// A rate for each source (see [`crate::bucket`]).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Time that one packet takes of its source's share, in nanoseconds; 0 is no limit.
    pub cost_ns: u64,
    /// How far ahead of the clock a source may be, in nanoseconds: the burst without its last packet.
    pub burst_ns: u64,
}

impl Limit {
    /// Everything is admitted.
    pub const NONE: Self = Self {
        cost_ns: 0,
        burst_ns: 0,
    };
}

/// What the operator has chosen, read once per packet.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// See [`flags`].
    pub flags: u32,
    /// See [`geo`].
    pub geo_mode: u32,
    /// Bits that every class word of IPv6 has besides its own. Prefixes shorter than /32 cannot be spelt out in `CLS6`; user space puts
    /// them into `FINE6` and sets [`class::FINE`] here.
    pub default6: u16,
    /// Zero.
    pub reserved0: [u16; 3],
    /// One bit a country, number 0 in the lowest bit of the first word.
    pub geo_mask: [u64; 4],
    /// One bit a reason, by its number: what would be dropped for it is counted under its `would_` twin, and is asked the
    /// remaining checks.
    pub monitored: u64,
    /// Not 0: the host is under a flood of SYNs, which cookies answer; SYNs are not counted by source.
    pub attack: u32,
    /// Of the packets that a CPU drops for a reason, those are told whose number has none of these bits.
    pub sample_mask: u32,
    /// See [`checks`].
    pub checks: u32,
    /// Zero.
    pub reserved1: u32,
    /// TCP SYNs of one source to the ports of `PORTS`.
    pub syn: Limit,
    /// UDP packets of one source to the ports of `PORTS_UDP`; where QUIC is spoken, only those of connections that begin.
    pub udp: Limit,
    /// Zero; for MSS, window, scale and hop limit of cookies.
    pub reserved2: [u64; 19],
}

impl Config {
    /// The state of a map that nobody has filled: everything passes.
    pub const OFF: Self = Self {
        flags: 0,
        geo_mode: geo::OFF,
        default6: 0,
        reserved0: [0; 3],
        geo_mask: [0; 4],
        monitored: 0,
        attack: 0,
        sample_mask: 0,
        checks: 0,
        reserved1: 0,
        syn: Limit::NONE,
        udp: Limit::NONE,
        reserved2: [0; 19],
    };
}

/// Value of the `BAN` and `FINE` maps.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// End on the monotonic clock in nanoseconds; 0 is forever.
    pub until_ns: u64,
    /// Packets that it decided. Counted without atomics, so approximate on several CPUs.
    pub hits: u64,
    /// In a `FINE` map [`crate::verdict::Reason::Allow`] allows, [`crate::verdict::Reason::Geo`] says that the range is in another
    /// country than the rest of its class word's, and anything else blocks; in a `BAN` map it is for user space.
    pub reason: u32,
    /// Number of the country where `reason` says so; else the list that made the entry, for user space.
    pub rule: u32,
}

/// An IPv4 prefix: key of `FINE4`, in the layout that the kernel's longest-prefix trie wants.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix4 {
    /// Leading bits that count.
    pub length: u32,
    /// Network byte order.
    pub address: [u8; 4],
}

impl Prefix4 {
    /// The prefix of that length around an address, host bits cleared. A length over 32 counts as 32.
    pub const fn new(address: [u8; 4], length: u32) -> Self {
        let length = if length > 32 { 32 } else { length };
        let mask = if length == 0 {
            0
        } else {
            u32::MAX << (32 - length)
        };
        let address = (u32::from_be_bytes(address) & mask).to_be_bytes();
        Self { length, address }
    }
}

/// An IPv6 prefix: key of `FINE6`, and of `BAN6` with length 64 or 128.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix6 {
    /// Leading bits that count.
    pub length: u32,
    /// Network byte order.
    pub address: [u8; 16],
}

impl Prefix6 {
    /// The prefix of that length around an address, host bits cleared. A length over 128 counts as 128.
    pub const fn new(address: [u8; 16], length: u32) -> Self {
        let length = if length > 128 { 128 } else { length };
        let mask = if length == 0 {
            0
        } else {
            u128::MAX << (128 - length)
        };
        let address = (u128::from_be_bytes(address) & mask).to_be_bytes();
        Self { length, address }
    }

    /// The single address, as the kernel program looks it up.
    #[inline(always)]
    pub const fn host(address: [u8; 16]) -> Self {
        Self {
            length: 128,
            address,
        }
    }

    /// The /64 around an address: what is banned when an IPv6 client is, and what the kernel program looks up first.
    #[inline(always)]
    #[expect(clippy::many_single_char_names, reason = "bytes in their order")]
    pub const fn subnet(address: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = address;
        Self {
            length: 64,
            address: [a, b, c, d, e, f, g, h, 0, 0, 0, 0, 0, 0, 0, 0],
        }
    }
}

/// Value of `STATS`, one per CPU, slot and reason.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Frames.
    pub packets: u64,
    /// Their bytes, from the Ethernet header on.
    pub bytes: u64,
}

/// Value of the `RATE` maps: when a source that kept exactly to its rate would have sent what it has sent, on the monotonic clock
/// in nanoseconds; 0 for never. Each word is changed atomically.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrivals {
    /// TCP SYNs.
    pub syn_ns: u64,
    /// UDP packets.
    pub udp_ns: u64,
}

/// Record of `EVENTS`: a packet that was dropped, or would have been.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The monotonic clock in nanoseconds.
    pub time_ns: u64,
    /// Network byte order; IPv4 in the first four bytes.
    pub source: [u8; 16],
    /// Like the source.
    pub destination: [u8; 16],
    /// Of TCP and UDP, else 0.
    pub source_port: u16,
    /// Of TCP and UDP, else 0.
    pub destination_port: u16,
    /// Number of the transport protocol.
    pub protocol: u8,
    /// 4 or 6.
    pub family: u8,
    /// [`crate::verdict::Reason`].
    pub reason: u8,
    /// Country number, 0 for unknown.
    pub country: u8,
    /// Index of the interface that it came in by.
    pub interface: u32,
    /// Length of the frame.
    pub bytes: u32,
}

const _: () = {
    assert!(size_of::<Limit>() == 16 && align_of::<Limit>() == 8);
    assert!(size_of::<Arrivals>() == 16 && align_of::<Arrivals>() == 8);
    assert!(size_of::<Event>() == 56 && align_of::<Event>() == 8);
    assert!(size_of::<Config>() == 256 && align_of::<Config>() == 8);
    assert!(size_of::<Entry>() == 24 && align_of::<Entry>() == 8);
    assert!(size_of::<Prefix4>() == 8 && align_of::<Prefix4>() == 4);
    assert!(size_of::<Prefix6>() == 20 && align_of::<Prefix6>() == 4);
    assert!(size_of::<Counter>() == 16 && align_of::<Counter>() == 8);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_has_no_host_bits() {
        assert_eq!(
            Prefix4::new([203, 0, 113, 77], 28).address,
            [203, 0, 113, 64]
        );
        assert_eq!(Prefix4::new([203, 0, 113, 77], 0).address, [0; 4]);
        assert_eq!(
            Prefix4::new([203, 0, 113, 77], 99),
            Prefix4 {
                length: 32,
                address: [203, 0, 113, 77]
            }
        );
        let all = [0xff; 16];
        assert_eq!(Prefix6::new(all, 64), Prefix6::subnet(all));
        assert_eq!(Prefix6::new(all, 128), Prefix6::host(all));
        assert_eq!(
            Prefix6::new(all, 4).address,
            [0xf0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(Prefix6::new(all, 0).address, [0; 16]);
    }

    #[test]
    fn a_class_word_covers_a_24_or_a_32() {
        assert_eq!(class::index4([0, 0, 0, 255]), 0);
        assert_eq!(class::index4([255, 255, 255, 0]), 0x00ff_ffff);
        assert_eq!(
            class::key6([0x20, 1, 0xd, 0xb8, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]),
            [0x20, 1, 0xd, 0xb8]
        );
    }
}
