//! The answer to a SYN: what its options ask for, read as Linux reads them, and the SYN-ACK that a listener of Linux with SYN cookies
//! would send, so that the listener takes the ACK which follows (RFC 9293 §3.1, RFC 7323, RFC 2018). The cookie itself is the
//! kernel's.
//!
//! A cookie has no room for options. Like Linux we put them into the lowest bits of our timestamp, which the ACK brings back; without
//! timestamps there is the MSS alone.

use crate::abi::{Cookies, cookies};

/// Bytes of the longest TCP header, and what [`Options::advance`] may ask for behind its last byte, in words of eight.
pub const HEADER_WORDS: usize = 10;
/// A header with no options.
const BARE: u32 = 20;
/// The most steps that the options of one header take.
pub const STEPS: u32 = 40;

const TIMESTAMPS: u32 = 1 << 0;
const SACK: u32 = 1 << 1;
const SCALING: u32 = 1 << 2;

/// RFC 7323 §2.3.
const MOST_SCALE: u8 = 14;
/// Low bits of our timestamp: their window scale, all ones for none; then SACK, then ECN, which we never offer.
const STAMP_BITS: u32 = 6;
const STAMP_NO_SCALE: u32 = 0x0f;
const STAMP_SACK: u32 = 1 << 4;

const SYN_ACK: u32 = 0x12;
const DONT_FRAGMENT: u32 = 0x4000;
const TCP: u32 = 6;

/// A walk along the options of a SYN, one a step. Full words, because the kernel program keeps it on the stack across a callback.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    at: u32,
    end: u32,
    found: u32,
    scale: u32,
    /// Their timestamp, its bytes as they came.
    stamp: u32,
}

impl Options {
    /// Of a header of `length` bytes.
    #[inline(always)]
    pub const fn new(length: u32) -> Self {
        Self {
            at: BARE,
            end: length,
            found: 0,
            scale: 0,
            stamp: 0,
        }
    }

    /// What a walk would find in a header of `length` bytes where its options are those of Linux, which nearly every client and every
    /// tool that floods sends: MSS, SACK permitted, timestamps, window scale. Half of what a walk costs an answer, as each step is a
    /// call.
    #[inline(always)]
    pub const fn usual(header: &[u64; HEADER_WORDS], length: u32) -> Option<Self> {
        let [_, _, third, fourth, fifth, ..] = header;
        // The first byte of the header in the lowest bits, on any host.
        let (third, fourth, fifth) = (third.to_le(), fourth.to_le(), fifth.to_le());
        let is_usual = length == 40
            && (third >> 32) as u16 == 0x0402
            && fourth as u32 == 0x0a08_0204
            && (fifth >> 32) as u32 & 0x00ff_ffff == 0x0003_0301;
        if !is_usual {
            return None;
        }
        let scale = (fifth >> 56) as u32;
        Some(Self {
            at: length,
            end: length,
            found: TIMESTAMPS | SACK | SCALING,
            scale: if scale > MOST_SCALE as u32 {
                MOST_SCALE as u32
            } else {
                scale
            },
            stamp: ((fourth >> 32) as u32).to_le(),
        })
    }

    /// Where in the header the next option starts; nothing at the end of the walk.
    #[inline(always)]
    pub fn wants(&self) -> Option<u32> {
        if self.at < self.end {
            Some(self.at)
        } else {
            None
        }
    }

    /// Takes the ten bytes from where [`Self::wants`] asked. Linux stops at the first option whose length cannot be, and keeps what
    /// it has read.
    #[inline(always)]
    pub fn advance(&mut self, option: [u8; 10]) {
        let [kind, length, first, second, third, fourth, ..] = option;
        match kind {
            0 => self.at = self.end,
            1 => self.at += 1,
            _ => {
                let next = self.at + u32::from(length);
                if length < 2 || next > self.end {
                    self.at = self.end;
                    return;
                }
                match (kind, length) {
                    (3, 3) => {
                        self.found |= SCALING;
                        self.scale = u32::from(if first > MOST_SCALE {
                            MOST_SCALE
                        } else {
                            first
                        });
                    }
                    (4, 2) => self.found |= SACK,
                    (8, 10) => {
                        self.found |= TIMESTAMPS;
                        self.stamp = u32::from_ne_bytes([first, second, third, fourth]);
                    }
                    _ => {}
                }
                self.at = next;
            }
        }
    }
}

/// A SYN, as far as its answer depends on it. Words are as they came.
#[derive(Clone, Copy, Debug)]
pub struct Syn {
    /// Sum of the words of both addresses.
    pub addresses: u64,
    /// The MSS to announce.
    pub mss: u16,
    /// Source port, then destination port.
    pub ports: u32,
    /// Its sequence number.
    pub sequence: u32,
}

/// A TCP header with its options; its words are in network byte order.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// The first [`Self::bytes`] of these are the segment.
    pub words: [u32; 10],
    /// Whether all of them are; else six.
    pub is_long: bool,
}

impl Segment {
    /// Bytes of a segment whose only option is the MSS.
    pub const SHORT: u32 = 24;
    /// Bytes of a segment with all options.
    pub const LONG: u32 = 40;

    /// Its length.
    #[inline(always)]
    pub const fn bytes(&self) -> u32 {
        if self.is_long {
            Self::LONG
        } else {
            Self::SHORT
        }
    }
}

/// The SYN-ACK with this cookie, with its checksum.
#[inline(always)]
pub fn segment(
    config: &Cookies,
    syn: &Syn,
    cookie: u32,
    options: &Options,
    now_ns: u64,
) -> Segment {
    let is_long = config.flags & cookies::TIMESTAMPS != 0 && options.found & TIMESTAMPS != 0;
    let bytes = if is_long {
        Segment::LONG
    } else {
        Segment::SHORT
    };
    let mut words = [0; 10];
    words[0] = syn.ports.rotate_left(16);
    words[1] = cookie.to_be();
    words[2] = u32::from_be(syn.sequence).wrapping_add(1).to_be();
    words[3] = ((bytes / 4) << 28 | SYN_ACK << 16 | u32::from(config.window)).to_be();
    words[5] = (0x0204_0000 | u32::from(syn.mss)).to_be();
    if is_long {
        let has_sack = config.flags & cookies::SACK != 0 && options.found & SACK != 0;
        let has_scaling = config.flags & cookies::SCALING != 0 && options.found & SCALING != 0;
        let scale = if has_scaling {
            options.scale
        } else {
            STAMP_NO_SCALE
        };
        // SACK permitted or two of padding, then the head of the timestamps.
        words[6] = if has_sack {
            0x0402_080a_u32
        } else {
            0x0101_080a
        }
        .to_be();
        words[7] = stamp(now_ns, scale | if has_sack { STAMP_SACK } else { 0 }).to_be();
        words[8] = options.stamp;
        words[9] = if has_scaling {
            0x0103_0300 | u32::from(config.scale)
        } else {
            0x0101_0101
        }
        .to_be();
    }
    let sum = syn.addresses + pseudo(bytes) + first(words) + last(words);
    // The checksum and an urgent pointer of zero.
    let [high, low] = fold(sum).to_ne_bytes();
    words[4] = u32::from_ne_bytes([high, low, 0, 0]);
    Segment { words, is_long }
}

/// Linux counts milliseconds of the monotonic clock, and never announces a time to come.
#[inline(always)]
fn stamp(now_ns: u64, bits: u32) -> u32 {
    let now_ms = (now_ns / 1_000_000) as u32;
    let stamp = now_ms >> STAMP_BITS << STAMP_BITS | bits;
    if stamp > now_ms {
        stamp.wrapping_sub(1 << STAMP_BITS)
    } else {
        stamp
    }
}

/// The IPv4 header before a segment of `bytes` bytes, in network byte order, with its checksum; addresses as they stand in headers.
#[inline(always)]
pub fn ipv4(config: &Cookies, source: u32, destination: u32, bytes: u32) -> [u32; 5] {
    let mut words = [
        (0x4500_0000 | (20 + bytes)).to_be(),
        DONT_FRAGMENT.to_be(),
        (u32::from(config.hop_limit) << 24 | TCP << 16).to_be(),
        source,
        destination,
    ];
    let [high, low] = fold(
        u64::from(words[0])
            + u64::from(words[1])
            + u64::from(words[2])
            + u64::from(words[3])
            + u64::from(words[4]),
    )
    .to_ne_bytes();
    words[2] |= u32::from_ne_bytes([0, 0, high, low]);
    words
}

/// The IPv6 header before a segment of `bytes` bytes, in network byte order; addresses as they stand in headers.
#[inline(always)]
pub fn ipv6(config: &Cookies, source: [u32; 4], destination: [u32; 4], bytes: u32) -> [u32; 10] {
    let second = (bytes << 16 | TCP << 8 | u32::from(config.hop_limit)).to_be();
    [
        0x6000_0000_u32.to_be(),
        second,
        source[0],
        source[1],
        source[2],
        source[3],
        destination[0],
        destination[1],
        destination[2],
        destination[3],
    ]
}

/// Protocol and length, as both pseudo headers have them (RFC 9293 §3.1, RFC 8200 §8.1).
#[inline(always)]
fn pseudo(bytes: u32) -> u64 {
    u64::from((TCP + bytes).to_be())
}

/// Sum of the first five words. Spelt out: the verifier walks each turn of a loop.
#[inline(always)]
const fn first(words: [u32; 10]) -> u64 {
    words[0] as u64 + words[1] as u64 + words[2] as u64 + words[3] as u64 + words[4] as u64
}

/// Sum of the other five.
#[inline(always)]
const fn last(words: [u32; 10]) -> u64 {
    words[5] as u64 + words[6] as u64 + words[7] as u64 + words[8] as u64 + words[9] as u64
}

/// The checksum over words whose sum this is, in memory order: sums of ones' complement are the same in any byte order (RFC 1071
/// §2).
#[inline(always)]
fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    !(sum as u16)
}

#[cfg(test)]
mod tests;
