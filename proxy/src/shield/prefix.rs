//! Address ranges as the lists keep them: a first address and a length, ordered so that a range stands before everything inside it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use openclaw_core::config::Prefix;

/// The two address families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    /// Label of the metrics page.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }
}

/// An address as a number, most significant bit first.
pub(super) trait Bits: Copy + Ord + fmt::Debug + Send + Sync + 'static {
    const ZERO: Self;
    const WIDTH: u8;
    /// Length of the range that one class word covers.
    const GRAIN: u8;
    /// Shortest range that class words can hold; a shorter one would have to be spelt out in too many.
    const COARSEST: u8;

    /// The address with everything behind `length` bits cleared.
    fn network(self, length: u8) -> Self;
    /// The address with everything behind `length` bits set.
    fn broadcast(self, length: u8) -> Self;
    fn to_ip(self) -> IpAddr;
    /// Whether a range of that length may be a ban: one host, or what one IPv6 client has.
    fn is_bannable(length: u8) -> bool;
}

impl Bits for u32 {
    const ZERO: Self = 0;
    const WIDTH: u8 = 32;
    const GRAIN: u8 = 24;
    const COARSEST: u8 = 0;

    fn network(self, length: u8) -> Self {
        self & Self::MAX
            .checked_shl(32_u32.saturating_sub(length.into()))
            .unwrap_or(0)
    }

    fn broadcast(self, length: u8) -> Self {
        self | Self::MAX.checked_shr(length.into()).unwrap_or(0)
    }

    fn to_ip(self) -> IpAddr {
        Ipv4Addr::from_bits(self).into()
    }

    fn is_bannable(length: u8) -> bool {
        length == 32
    }
}

impl Bits for u128 {
    const ZERO: Self = 0;
    const WIDTH: u8 = 128;
    const GRAIN: u8 = 32;
    const COARSEST: u8 = 32;

    fn network(self, length: u8) -> Self {
        self & Self::MAX
            .checked_shl(128_u32.saturating_sub(length.into()))
            .unwrap_or(0)
    }

    fn broadcast(self, length: u8) -> Self {
        self | Self::MAX.checked_shr(length.into()).unwrap_or(0)
    }

    fn to_ip(self) -> IpAddr {
        Ipv6Addr::from_bits(self).into()
    }

    fn is_bannable(length: u8) -> bool {
        matches!(length, 64 | 128)
    }
}

/// A range of one family. The order of the fields is the order of ranges: by first address, the wider one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Net<A> {
    pub(super) first: A,
    pub(super) length: u8,
}

impl<A: Bits> Net<A> {
    /// The range of that length around an address.
    pub(super) fn new(address: A, length: u8) -> Self {
        let length = length.min(A::WIDTH);
        Self {
            first: address.network(length),
            length,
        }
    }

    pub(super) fn host(address: A) -> Self {
        Self {
            first: address,
            length: A::WIDTH,
        }
    }

    pub(super) fn last(self) -> A {
        self.first.broadcast(self.length)
    }

    pub(super) fn covers(self, other: Self) -> bool {
        self.length <= other.length && other.first.network(self.length) == self.first
    }

    /// The class word's range around this one, or this one if it is wider.
    pub(super) fn widened_to_grain(self) -> Self {
        Self::new(self.first, self.length.min(A::GRAIN))
    }

    pub(super) fn to_prefix(self) -> Prefix {
        Prefix {
            address: self.first.to_ip(),
            length: self.length,
        }
    }
}

/// A range of either family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum AnyNet {
    V4(Net<u32>),
    V6(Net<u128>),
}

impl AnyNet {
    /// Never across families.
    pub(super) fn covers(self, other: Self) -> bool {
        match (self, other) {
            (Self::V4(range), Self::V4(other)) => range.covers(other),
            (Self::V6(range), Self::V6(other)) => range.covers(other),
            (Self::V4(_), Self::V6(_)) | (Self::V6(_), Self::V4(_)) => false,
        }
    }

    pub(super) fn family(self) -> Family {
        match self {
            Self::V4(_) => Family::V4,
            Self::V6(_) => Family::V6,
        }
    }

    pub(super) fn to_prefix(self) -> Prefix {
        match self {
            Self::V4(net) => net.to_prefix(),
            Self::V6(net) => net.to_prefix(),
        }
    }
}

impl From<Prefix> for AnyNet {
    fn from(prefix: Prefix) -> Self {
        match prefix.address {
            IpAddr::V4(address) => Self::V4(Net::new(address.to_bits(), prefix.length)),
            // IPv4 in IPv6 clothes (RFC 4291 §2.5.5.2): on the wire it is IPv4.
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(mapped) if prefix.length >= 96 => {
                    Self::V4(Net::new(mapped.to_bits(), prefix.length.saturating_sub(96)))
                }
                _ => Self::V6(Net::new(address.to_bits(), prefix.length)),
            },
        }
    }
}

impl From<IpAddr> for AnyNet {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(Net::host(address.to_bits())),
            IpAddr::V6(address) => Self::V6(Net::host(address.to_bits())),
        }
    }
}

/// Writes a single address without its length, as people do.
pub(super) fn show(prefix: &Prefix) -> String {
    let width = if prefix.address.is_ipv4() { 32 } else { 128 };
    if prefix.length == width {
        prefix.address.to_string()
    } else {
        format!("{}/{}", prefix.address, prefix.length)
    }
}

/// What was read of an address, and whether it was written with bits behind its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) prefix: Prefix,
    pub(super) had_host_bits: bool,
}

/// Reads an address or a prefix. Bits behind the length are cleared, an IPv4 address mapped into IPv6 becomes IPv4.
pub(super) fn read(text: &str) -> Result<Reading, AddressError> {
    let wrong = || AddressError::NotAnAddress(shorten(text));
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok().ok_or_else(wrong)?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let length = match length {
        None => width,
        Some(digits) if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) => {
            return Err(wrong());
        }
        Some(digits) => digits.parse().unwrap_or(u8::MAX),
    };
    if length > width {
        return Err(AddressError::TooLong {
            text: shorten(text),
            width,
        });
    }
    let net = AnyNet::from(Prefix { address, length });
    let prefix = net.to_prefix();
    let had_host_bits = match (net, address) {
        (AnyNet::V4(_), IpAddr::V6(v6)) => {
            v6.to_ipv4_mapped().map(IpAddr::V4) != Some(prefix.address)
        }
        _ => prefix.address != address,
    };
    Ok(Reading {
        prefix,
        had_host_bits,
    })
}

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AddressError {
    #[error("`{0}` is not an address or prefix, such as 203.0.113.7 or 2001:db8::/32")]
    NotAnAddress(String),
    #[error("the prefix length of `{text}` is over {width}")]
    TooLong { text: String, width: u8 },
}

/// Keeps a foreign text short enough for one line of an error.
pub(super) fn shorten(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text
        .chars()
        .take(LONGEST)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    pub(in crate::shield) fn prefix(text: &str) -> Prefix {
        read(text).unwrap().prefix
    }

    #[test]
    fn addresses_and_prefixes_are_read_and_normalised() {
        for (text, shown, had_host_bits) in [
            ("203.0.113.7", "203.0.113.7", false),
            ("203.0.113.7/32", "203.0.113.7", false),
            ("203.0.113.7/24", "203.0.113.0/24", true),
            ("0.0.0.0/0", "0.0.0.0/0", false),
            ("::/0", "::/0", false),
            ("2001:DB8::1/32", "2001:db8::/32", true),
            ("2001:db8::1", "2001:db8::1", false),
            ("::ffff:198.51.100.9", "198.51.100.9", false),
            ("::ffff:198.51.100.9/120", "198.51.100.0/24", true),
            ("::ffff:198.51.100.0/120", "198.51.100.0/24", false),
        ] {
            let reading = read(text).unwrap();
            assert_eq!(show(&reading.prefix), shown, "{text}");
            assert_eq!(reading.had_host_bits, had_host_bits, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "x",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.4/",
            "1.2.3.4/33",
            "1.2.3.4/+8",
            "1.2.3.4/-1",
            "2001:db8::/129",
            "1.2.3.4-1.2.3.9",
            "01.2.3.4",
            " 1.2.3.4",
            "1.2.3.4/256",
            "a\n",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
        let long = "x".repeat(4000);
        assert!(read(&long).unwrap_err().to_string().len() < 200);
    }

    #[test]
    fn ranges_stand_before_what_they_cover() {
        let net = |address: [u8; 4], length| Net::new(u32::from_be_bytes(address), length);
        let mut nets = [
            net([10, 0, 1, 0], 24),
            net([10, 0, 0, 0], 24),
            net([10, 0, 0, 0], 8),
            net([0, 0, 0, 0], 0),
            net([10, 0, 0, 9], 32),
        ];
        nets.sort();
        let shown: Vec<_> = nets.iter().map(|net| show(&net.to_prefix())).collect();
        assert_eq!(
            shown,
            [
                "0.0.0.0/0",
                "10.0.0.0/8",
                "10.0.0.0/24",
                "10.0.0.9",
                "10.0.1.0/24"
            ]
        );
        assert!(net([10, 0, 0, 0], 8).covers(net([10, 0, 1, 0], 24)));
        assert!(!net([10, 0, 1, 0], 24).covers(net([10, 0, 0, 0], 8)));
        assert_eq!(
            net([10, 0, 0, 0], 8).last(),
            u32::from_be_bytes([10, 255, 255, 255])
        );
        assert_eq!(net([0; 4], 0).last(), u32::MAX);
        assert_eq!(Net::<u128>::new(1, 0).last(), u128::MAX);
    }
}
