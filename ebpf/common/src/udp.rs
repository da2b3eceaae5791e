//! UDP packets to protected ports: QUIC Initials that every server discards (RFC 9000 §14.1), and the rate of each source. Where QUIC
//! is spoken only long headers are looked at: packets of an open connection have short ones (RFC 9000 §17) and cost next to nothing.

use crate::abi::{Config, checks};
use crate::decide::Tables;
use crate::packet::{Flow, Header, Packet, Transport};
use crate::ports::{self, Set};
use crate::rate::{Kind, exceeds};
use crate::verdict::Reason;

const HEADER: u16 = 8;
/// The least payload of a datagram with an Initial in it.
const LEAST_INITIAL: u16 = 1200;
const LONG: u8 = 0x80;
const VERSION_1: [u8; 4] = [0, 0, 0, 1];
/// RFC 9369 §3.1.
const VERSION_2: [u8; 4] = [0x6b, 0x33, 0x43, 0xcf];

/// What there is to check of a UDP packet to a protected port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// A QUIC Initial that is too short.
    pub is_short: bool,
}

/// The packet, if it goes to a protected port and is not part of an open QUIC connection.
#[inline(always)]
pub fn read<P: Packet + ?Sized, T: Tables>(
    config: &Config,
    flow: &Flow,
    packet: &P,
    tables: &T,
) -> Option<Datagram> {
    let Transport {
        header: Header::Udp,
        destination,
        length,
        ..
    } = flow.transport
    else {
        return None;
    };
    if config.checks & checks::PORTS_UDP == 0 {
        return None;
    }
    let (word, bit) = (ports::word(destination), ports::bit(destination));
    if tables.ports(Set::Udp, word) & bit == 0 {
        return None;
    }
    if tables.ports(Set::Quic, word) & bit == 0 {
        return Some(Datagram { is_short: false });
    }
    let [first, a, b, c, d] = packet.load::<5>(flow.offset as usize + usize::from(HEADER))?;
    if first & LONG == 0 {
        return None;
    }
    Some(Datagram {
        is_short: length < HEADER + LEAST_INITIAL && is_initial(first, [a, b, c, d]),
    })
}

/// An Initial that is too short, where such are dropped.
#[inline(always)]
pub fn invalid(config: &Config, datagram: Datagram) -> Option<Reason> {
    (datagram.is_short && config.checks & checks::INVALID != 0).then_some(Reason::QuicShort)
}

/// A packet above the rate of its source.
#[inline(always)]
pub fn rate<T: Tables>(config: &Config, flow: &Flow, tables: &T) -> Option<Reason> {
    if config.udp.cost_ns == 0 {
        return None;
    }
    exceeds(tables, flow, Kind::Udp, &config.udp).then_some(Reason::RateUdp)
}

/// The number of the type depends on the version; of other versions nothing is known.
#[inline(always)]
fn is_initial(first: u8, version: [u8; 4]) -> bool {
    let kind = (first >> 4) & 3;
    (version == VERSION_1 && kind == 0) || (version == VERSION_2 && kind == 1)
}
