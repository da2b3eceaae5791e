//! Names and capacities of the maps, written once for both sides. Every map is pinned by its name, so a change here raises
//! [`crate::abi::ABI_VERSION`].
//!
//! The contract of the lists, which user space compiles and [`crate::decide`] reads:
//!
//! - A prefix without an end that covers whole IPv4 /24s or IPv6 /32s becomes class bits. Any other goes into the `FINE` map of its
//!   family and sets [`crate::abi::class::FINE`] in every class word that it touches. A single address (or an IPv6 /64) may be
//!   a ban instead, with [`crate::abi::class::BANNED`] in its class word.
//! - A trie yields the longest match and nothing else. So that an allowed range beats a block at any length, user space leaves out
//!   every block that lies inside an allowed prefix. It also leaves out an entry that a shorter one of the same kind covers and
//!   outlives: once expired, the longer one would hide the shorter until it is deleted.
//! - Countries are bits of class words. Where a /24 or /32 has parts in several of which only some are admitted, those that differ from
//!   the word are in the `FINE` map, too, except inside what is allowed or blocked. So is an IPv6 range that would take too many words.
//! - An entry is inserted before its class bit is set, and the bit is cleared before the entry is removed. Where the entries of `FINE`
//!   are replaced as a whole, class words have the bits of before and of afterwards while the spare map takes over.

use crate::slot;

/// [`crate::abi::Config`], one element.
pub const CONFIG: &str = "CONFIG";
/// Class words of IPv4: an array, to be mapped into memory, of [`CLS4_CHUNKS`] chunks of
/// [`crate::abi::class::WORDS_PER_CHUNK`] words. 32 MiB.
pub const CLS4: &str = "CLS4";
/// Class words of IPv6: an array, to be mapped into memory, of [`CLS6_BUCKETS`] times [`crate::words::BucketOfWords`] and one more that
/// holds the [`crate::ban::Keys`] of the table. 8 MiB.
pub const CLS6: &str = "CLS6";
/// Banned IPv4 addresses: an array, to be mapped into memory, of [`BAN4_BUCKETS`] times [`crate::ban::Bucket4`] and one more that
/// holds the [`crate::ban::Keys`] of the table. 8 MiB.
pub const BAN4: &str = "BAN4";
/// Banned IPv6 /64s: the same of [`BAN6_BUCKETS`] times [`crate::ban::Bucket6`]. 4 MiB.
pub const BAN6: &str = "BAN6";
/// Banned IPv6 addresses, of which there are few: a client has a /64. Hash from the address to [`crate::abi::Entry`].
pub const HOST6: &str = "HOST6";
/// IPv4 prefixes that class words cannot hold: trie from [`crate::abi::Prefix4`] to [`crate::abi::Entry`].
pub const FINE4: &str = "FINE4";
/// IPv6 prefixes that class words cannot hold: trie from [`crate::abi::Prefix6`] to [`crate::abi::Entry`].
pub const FINE6: &str = "FINE6";
/// Either of [`FINE4`] and this is in use, as [`crate::abi::flags::SPARE`] says; the other is filled before it takes over.
pub const FINE4_SPARE: &str = "FINE4_SPARE";
/// The same for [`FINE6`].
pub const FINE6_SPARE: &str = "FINE6_SPARE";
/// [`crate::abi::Counter`] per CPU, indexed by [`crate::slot::counter`]: for each slot one a [`crate::verdict::Reason`].
pub const STATS: &str = "STATS";
/// The slots of interfaces: one element, to be mapped into memory, that is [`crate::slot::Table`].
pub const SLOTS: &str = "SLOTS";
/// What IPv4 sources have sent of what is limited: least-recently-used hash from the address to [`crate::abi::Arrivals`].
pub const RATE4: &str = "RATE4";
/// The same for IPv6, by /64: hash from the first eight bytes of the address.
pub const RATE6: &str = "RATE6";
/// Protected TCP ports: one bit a port, 64 to a word.
pub const PORTS: &str = "PORTS";
/// Protected UDP ports: as [`PORTS`], and behind them, from word [`PORTS_ENTRIES`] on, those of them that speak QUIC.
pub const PORTS_UDP: &str = "PORTS_UDP";
/// Dropped packets per CPU and country number.
pub const CCSTAT: &str = "CCSTAT";
/// Ring of [`crate::abi::Event`], in bytes.
pub const EVENTS: &str = "EVENTS";
/// Where listeners are bound: hash from [`crate::abi::Served`] to a word that means nothing. [`PORTS`] has the bit of each port.
pub const SERVED: &str = "SERVED";
/// When a SYN was last let through to a listener: array of times, one slot an address and port, IPv6 in the second half.
pub const KEEP: &str = "KEEP";
/// The bucket of all answers to SYNs, one element.
pub const ANSWERS: &str = "ANSWERS";
/// SYNs to protected ports per CPU, one element.
pub const SYNS: &str = "SYNS";

/// Elements of [`CLS4`]; with the words of each they make one word for every /24.
pub const CLS4_CHUNKS: u32 = 4096;
/// Buckets of [`CLS6`], a power of two.
pub const CLS6_BUCKETS: u32 = 131_072;
/// Words in [`CLS6`]: four tenths of its slots. A database of countries knows about 400,000 /32s.
pub const CLS6_ENTRIES: u32 = 524_288;
/// Buckets of [`BAN4`], a power of two.
pub const BAN4_BUCKETS: u32 = 131_072;
/// Bans in [`BAN4`]: half of its slots, so that there is always room near.
pub const BAN4_ENTRIES: u32 = 262_144;
/// Buckets of [`BAN6`], a power of two.
pub const BAN6_BUCKETS: u32 = 65_536;
/// Bans in [`BAN6`] and [`HOST6`] together: a third of the slots of [`BAN6`]. Those of [`HOST6`] are allocated as they come.
pub const BAN6_ENTRIES: u32 = 65_536;
/// Entries of [`FINE4`], allocated as they come.
pub const FINE4_ENTRIES: u32 = 1_048_576;
/// Entries of [`FINE6`], allocated as they come.
pub const FINE6_ENTRIES: u32 = 262_144;
/// Entries of [`STATS`] (16 KiB a CPU).
pub const STATS_ENTRIES: u32 = slot::COUNT as u32 * slot::REASONS;
/// Entries of [`RATE4`], allocated at the start (about 24 MiB); the source that was silent longest makes room.
pub const RATE4_ENTRIES: u32 = 262_144;
/// Entries of [`RATE6`], allocated at the start (about 12 MiB).
pub const RATE6_ENTRIES: u32 = 131_072;
/// Words of [`PORTS`].
pub const PORTS_ENTRIES: u32 = 1024;
/// Words of [`PORTS_UDP`].
pub const PORTS_UDP_ENTRIES: u32 = 2 * PORTS_ENTRIES;
/// Entries of [`CCSTAT`].
pub const CCSTAT_ENTRIES: u32 = 256;
/// Bytes of [`EVENTS`]: about 16,000 records.
pub const EVENTS_BYTES: u32 = 1 << 20;
/// Entries of [`SERVED`], allocated as they come.
pub const SERVED_ENTRIES: u32 = 16_384;
/// Elements of [`KEEP`]: 1 MiB.
pub const KEEP_ENTRIES: u32 = 131_072;
