//! The header behind the network header, as far as decisions need it.

use crate::packet::{ICMP6, Packet, TCP, UDP};

/// What follows the network header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// `ICMPv6`.
    Icmp6,
    /// Anything else, or a fragment that is not the first.
    Opaque,
    /// A header that is cut short, impossible, or one too many.
    Broken,
}

/// The header behind the network header. Fields that the kind does not have are 0: values that are unset on some ways through the
/// program are what the verifier refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// Its kind.
    pub header: Header,
    /// Source port of TCP and UDP.
    pub source: u16,
    /// Destination port of TCP and UDP.
    pub destination: u16,
    /// Length of UDP header and payload, as the header says.
    pub length: u16,
    /// Length of the TCP header in words of four bytes, as it says itself.
    pub words: u8,
    /// TCP flags from CWR to FIN, FIN in the lowest bit.
    pub flags: u8,
    /// Message type of `ICMPv6`.
    pub message: u8,
}

impl Transport {
    /// Nothing is known of it.
    pub const OPAQUE: Self = Self {
        header: Header::Opaque,
        source: 0,
        destination: 0,
        length: 0,
        words: 0,
        flags: 0,
        message: 0,
    };

    /// It cannot be read.
    pub const BROKEN: Self = Self {
        header: Header::Broken,
        ..Self::OPAQUE
    };

    /// A TCP header without options.
    #[inline(always)]
    pub const fn tcp(source: u16, destination: u16, flags: u8) -> Self {
        Self {
            header: Header::Tcp,
            source,
            destination,
            words: 5,
            flags,
            ..Self::OPAQUE
        }
    }

    /// A UDP header.
    #[inline(always)]
    pub const fn udp(source: u16, destination: u16, length: u16) -> Self {
        Self {
            header: Header::Udp,
            source,
            destination,
            length,
            ..Self::OPAQUE
        }
    }

    /// An `ICMPv6` header.
    #[inline(always)]
    pub const fn icmp6(message: u8) -> Self {
        Self {
            header: Header::Icmp6,
            message,
            ..Self::OPAQUE
        }
    }

    /// Reads it; what the frame does not hold is broken.
    #[inline(always)]
    pub(crate) fn read<P: Packet + ?Sized>(packet: &P, offset: usize, protocol: u8) -> Self {
        match protocol {
            TCP => match packet.load::<20>(offset) {
                Some([a, b, c, d, _, _, _, _, _, _, _, _, words, flags, ..]) => {
                    let source = u16::from_be_bytes([a, b]);
                    Self {
                        words: words >> 4,
                        ..Self::tcp(source, u16::from_be_bytes([c, d]), flags)
                    }
                }
                None => Self::BROKEN,
            },
            UDP => match packet.load::<8>(offset) {
                Some([a, b, c, d, high, low, ..]) => Self::udp(
                    u16::from_be_bytes([a, b]),
                    u16::from_be_bytes([c, d]),
                    u16::from_be_bytes([high, low]),
                ),
                None => Self::BROKEN,
            },
            ICMP6 => match packet.load::<4>(offset) {
                Some([message, ..]) => Self::icmp6(message),
                None => Self::BROKEN,
            },
            _ => Self::OPAQUE,
        }
    }
}
