//! Keys and values of the maps, byte for byte. Padding is spelt out, sizes are asserted, and nothing here is an enum: a map outlives
//! the process that wrote it, so a value may come from another build.

use core::mem::{align_of, size_of};

use crate::packet::Address;

/// Names the directory of the pins (`v4`), so that a build never opens maps of another layout. Raised with any change in this file,
/// in the names or capacities of [`crate::maps`] or in the numbers of [`crate::verdict::Reason`].
pub const ABI_VERSION: u32 = 5;

/// Bits of [`Config::flags`].
pub mod flags {
    /// Without it every frame passes: the kill switch, and the safe meaning of a map that nobody has filled.
    pub const ENABLED: u32 = 1 << 0;
    /// What is dropped or would be is told through `EVENTS`, one in [`super::Config::sample_mask`] + 1. Costs one branch when off.
    pub const EVENTS: u32 = 1 << 1;
    /// The kernel program logs what it passes over or drops. Costs one branch when off.
    pub const DEBUG: u32 = 1 << 2;
    /// The ranges of `FINE4_SPARE` and `FINE6_SPARE` count, not those of `FINE4` and `FINE6`.
    pub const SPARE: u32 = 1 << 3;
}

/// Bits of [`Config::checks`]: what is asked of packets that no list decides.
pub mod checks {
    /// Packets that no honest host sends are dropped: TCP flags that contradict each other, port 0, QUIC Initials that are too short.
    pub const INVALID: u32 = 1 << 0;
    /// Fragments of TCP segments are dropped.
    pub const FRAGMENTS_TCP: u32 = 1 << 1;
    /// Fragments of UDP datagrams are dropped.
    pub const FRAGMENTS_UDP: u32 = 1 << 2;
    /// `PORTS` names at least one port.
    pub const PORTS: u32 = 1 << 3;
    /// `PORTS_UDP` names at least one port.
    pub const PORTS_UDP: u32 = 1 << 4;
    /// Packets whose source is their destination are dropped, whoever is allowed: an address of this host always is.
    pub const LAND: u32 = 1 << 5;
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
    /// At least one address of the range is banned, in the `BAN` map of the family or in `HOST6`.
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

/// Bits of [`Cookies::flags`].
pub mod cookies {
    /// A listener whose queue has overflowed is relieved, attack or not.
    pub const ARMED: u32 = 1 << 0;
    /// Under attack cookies are made without a socket. Needs `tcp_syncookies = 2` and Linux 6.0.
    pub const RAW: u32 = 1 << 1;
    /// Timestamps, and with them all other options, may be answered. Needs `tcp_timestamps = 2`: with 1 the kernel adds a secret.
    pub const TIMESTAMPS: u32 = 1 << 2;
    /// `tcp_sack` is on.
    pub const SACK: u32 = 1 << 3;
    /// `tcp_window_scaling` is on.
    pub const SCALING: u32 = 1 << 4;
}

/// How SYNs are answered with cookies.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cookies {
    /// See [`cookies`].
    pub flags: u32,
    /// The MSS that we announce over IPv4.
    pub mss4: u16,
    /// The MSS that we announce over IPv6.
    pub mss6: u16,
    /// The window that we announce.
    pub window: u16,
    /// The scale of later windows, as the listeners would announce it.
    pub scale: u8,
    /// TTL or hop limit of answers.
    pub hop_limit: u8,
    /// Zero.
    pub reserved: u32,
    /// How often a SYN goes to its listener, in nanoseconds.
    pub keep_ns: u64,
    /// Answers in all.
    pub answers: Limit,
}

impl Cookies {
    /// No cookies but under attack, and then bare ones.
    pub const NONE: Self = Self {
        flags: 0,
        mss4: 536,
        mss6: 1220,
        window: 64_240,
        scale: 0,
        hop_limit: 64,
        reserved: 0,
        keep_ns: 10_000_000_000,
        answers: Limit::NONE,
    };
}

/// An address and port that a listener of ours is bound to: key of `SERVED`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Served {
    /// Network byte order; IPv4 as `::ffff:a.b.c.d`.
    pub address: [u8; 16],
    /// The port.
    pub port: u16,
    /// Zero.
    pub reserved: u16,
}

impl Served {
    /// The key of an address and port.
    #[inline(always)]
    pub const fn new(address: Address, port: u16) -> Self {
        let address = match address {
            Address::V4([a, b, c, d]) => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d],
            Address::V6(address) => address,
        };
        Self {
            address,
            port,
            reserved: 0,
        }
    }

    /// The address of the key.
    pub const fn address(&self) -> Address {
        match self.address {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => Address::V4([a, b, c, d]),
            address => Address::V6(address),
        }
    }
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
    /// See [`Cookies`].
    pub cookies: Cookies,
    /// Zero.
    pub reserved2: [u64; 14],
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
        cookies: Cookies::NONE,
        reserved2: [0; 14],
    };
}

/// Value of `HOST6` and the `FINE` maps.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// End on the monotonic clock in nanoseconds; 0 is forever.
    pub until_ns: u64,
    /// Packets that it decided. Counted without atomics, so approximate on several CPUs.
    pub hits: u64,
    /// In a `FINE` map [`crate::verdict::Reason::Allow`] allows, [`crate::verdict::Reason::Geo`] says that the range is in another
    /// country than the rest of its class word's, and anything else blocks; in `HOST6` it is for user space.
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

/// An IPv6 prefix: key of `FINE6`.
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
}

/// The /64 around an IPv6 address: what is banned when an IPv6 client is.
#[inline(always)]
#[expect(clippy::many_single_char_names, reason = "bytes in their order")]
pub const fn subnet([a, b, c, d, e, f, g, h, ..]: [u8; 16]) -> [u8; 8] {
    [a, b, c, d, e, f, g, h]
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
    assert!(size_of::<Cookies>() == 40 && align_of::<Cookies>() == 8);
    assert!(size_of::<Served>() == 20 && align_of::<Served>() == 2);
    assert!(size_of::<Event>() == 56 && align_of::<Event>() == 8);
    assert!(size_of::<Config>() == 256 && align_of::<Config>() == 8);
    assert!(size_of::<Entry>() == 24 && align_of::<Entry>() == 8);
    assert!(size_of::<Prefix4>() == 8 && align_of::<Prefix4>() == 4);
    assert!(size_of::<Prefix6>() == 20 && align_of::<Prefix6>() == 4);
    assert!(size_of::<Counter>() == 16 && align_of::<Counter>() == 8);
};

#[cfg(test)]
mod tests;
