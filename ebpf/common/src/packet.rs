//! Reading a frame: Ethernet, up to three VLAN tags, IPv4 with options, IPv6 with extension headers, then as much of TCP, UDP and
//! `ICMPv6` as decisions need. A frame whose source can be read yields a [`Flow`] however broken the rest is, so that no trick with options
//! or extension headers takes a source past the lists.

use core::net::{IpAddr, SocketAddr};

use crate::chain::is_extension;
pub use crate::chain::{Chain, MAX_EXTENSIONS};
pub use crate::transport::{Header, Transport};

const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
/// IPv6 in Ethernet.
pub const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const ETHERTYPE_VLAN: [u8; 2] = [0x81, 0x00];
const ETHERTYPE_QINQ: [u8; 2] = [0x88, 0xa8];

/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;
/// Protocol number of `ICMPv6`.
pub const ICMP6: u8 = 58;

/// Bytes of one frame, from the destination MAC address on, behind bounds checks.
pub trait Packet {
    /// The `N` bytes at `offset`; nothing if the frame ends before them.
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;

    /// Length of the frame in bytes.
    fn len(&self) -> usize;

    /// Whether there is no byte at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drives `chain` to its end. The kernel program replaces the loop, which the verifier would walk once per path, by a callback.
    fn walk(&self, chain: &mut Chain) {
        while let Some(offset) = chain.wants() {
            chain.advance(self.load(offset as usize));
        }
    }
}

impl Packet for [u8] {
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..)?.first_chunk().copied()
    }

    fn len(&self) -> usize {
        <[u8]>::len(self)
    }
}

/// An address in network byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// IPv4.
    V4([u8; 4]),
    /// IPv6.
    V6([u8; 16]),
}

impl Address {
    /// 127.0.0.1 or `::1`, which no list can lock out. The rest of 127.0.0.0/8 can be listed like any other address.
    #[inline(always)]
    pub fn is_local_host(self) -> bool {
        match self {
            Self::V4(address) => u32::from_be_bytes(address) == 0x7f00_0001,
            Self::V6(address) => u128::from_be_bytes(address) == 1,
        }
    }
}

impl Address {
    /// 127.0.0.0/8 or `::1`: what the host says to itself.
    #[inline(always)]
    pub fn is_loopback(self) -> bool {
        match self {
            Self::V4([first, ..]) => first == 127,
            Self::V6(address) => u128::from_be_bytes(address) == 1,
        }
    }
}

impl From<IpAddr> for Address {
    /// An IPv4 address mapped into IPv6, as dual-stack sockets report it, is the IPv4 address.
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.octets()),
            IpAddr::V6(v6) => Self::V6(v6.octets()),
        }
    }
}

/// What a decision needs to know of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// Number of the transport protocol.
    pub protocol: u8,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// Whether the packet is a fragment, the first or a later one.
    pub fragment: bool,
    /// Where the network header starts in the frame.
    pub network: u32,
    /// Where the transport header starts in the frame.
    pub offset: u32,
    /// The header behind.
    pub transport: Transport,
}

impl Flow {
    /// The flow of a TCP connection that a listener has accepted, for decisions where there is no kernel program.
    pub fn accepted(peer: SocketAddr, local: SocketAddr) -> Self {
        Self {
            source: peer.ip().into(),
            destination: local.ip().into(),
            protocol: TCP,
            hop_limit: u8::MAX,
            fragment: false,
            network: 0,
            offset: 0,
            transport: Transport::tcp(peer.port(), local.port(), 0x02),
        }
    }

    /// Whether the host loses its link or its address without this packet: IPv6 neighbour discovery (RFC 4861, with the hop limit
    /// that proves a sender on the link) and DHCP (RFC 2131, RFC 8415). Decided before any list.
    #[inline(always)]
    pub fn is_essential(&self) -> bool {
        let Transport {
            header,
            source,
            destination,
            message,
            ..
        } = self.transport;
        match header {
            Header::Icmp6 => {
                matches!(message, 133..=137) && self.hop_limit == u8::MAX && !self.fragment
            }
            Header::Udp => match self.source {
                Address::V4(_) => matches!((source, destination), (67, 68) | (68, 67)),
                Address::V6(_) => matches!((source, destination), (546, 547) | (547, 546)),
            },
            Header::Tcp | Header::Opaque | Header::Broken => false,
        }
    }
}

/// What a frame turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// An IP packet.
    Flow(Flow),
    /// Another protocol.
    NotIp,
    /// No source could be read.
    Malformed,
}

/// Reads a frame.
#[inline(always)]
pub fn parse<P: Packet + ?Sized>(packet: &P) -> Parsed {
    let Some((ethertype, offset)) = network_header(packet) else {
        return Parsed::Malformed;
    };
    let flow = match ethertype {
        ETHERTYPE_IPV4 => ipv4(packet, offset),
        ETHERTYPE_IPV6 => ipv6(packet, offset),
        // A fourth tag.
        ETHERTYPE_VLAN | ETHERTYPE_QINQ => None,
        _ => return Parsed::NotIp,
    };
    match flow {
        Some(flow) => Parsed::Flow(flow),
        None => Parsed::Malformed,
    }
}

/// The flow of an IPv4 packet without tags; nothing where it is anything else.
#[inline(always)]
pub fn parse_plain4<P: Packet + ?Sized>(packet: &P) -> Option<Flow> {
    if packet.load(12)? == ETHERTYPE_IPV4 {
        ipv4(packet, 14)
    } else {
        None
    }
}

/// The flow of an IPv6 packet without tags and extension headers; nothing where it is anything else.
#[inline(always)]
pub fn parse_plain6<P: Packet + ?Sized>(packet: &P) -> Option<Flow> {
    if packet.load(12)? != ETHERTYPE_IPV6 {
        return None;
    }
    let header = Header6::read(packet, 14)?;
    if is_extension(u32::from(header.next)) {
        return None;
    }
    let transport = Transport::read(packet, 14 + 40, header.next);
    Some(header.flow(14, &Chain::new(header.next, 14 + 40), transport))
}

/// The ethertype behind at most three tags, and where its header starts. Interfaces unpack two; a third is read so that no list is
/// passed by adding one that the next device takes off.
#[inline(always)]
fn network_header<P: Packet + ?Sized>(packet: &P) -> Option<([u8; 2], usize)> {
    let ethertype = packet.load(12)?;
    if !matches!(ethertype, ETHERTYPE_VLAN | ETHERTYPE_QINQ) {
        return Some((ethertype, 14));
    }
    let ethertype = packet.load(16)?;
    if !matches!(ethertype, ETHERTYPE_VLAN | ETHERTYPE_QINQ) {
        return Some((ethertype, 18));
    }
    let ethertype = packet.load(20)?;
    if !matches!(ethertype, ETHERTYPE_VLAN | ETHERTYPE_QINQ) {
        return Some((ethertype, 22));
    }
    Some((packet.load(24)?, 26))
}

/// RFC 791 §3.1.
#[inline(always)]
#[expect(clippy::many_single_char_names, reason = "bytes in their order")]
fn ipv4<P: Packet + ?Sized>(packet: &P, offset: usize) -> Option<Flow> {
    let [
        first,
        _,
        _,
        _,
        _,
        _,
        fragment_high,
        fragment_low,
        hop_limit,
        protocol,
        _,
        _,
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
    ] = packet.load::<20>(offset)?;
    let header = usize::from(first & 0x0f) * 4;
    if first >> 4 != 4 || header < 20 {
        return None;
    }
    let fragment = u16::from_be_bytes([fragment_high, fragment_low]);
    let position = fragment & 0x1fff;
    let transport = if position == 0 {
        Transport::read(packet, offset + header, protocol)
    } else {
        Transport::OPAQUE
    };
    Some(Flow {
        source: Address::V4([a, b, c, d]),
        destination: Address::V4([e, f, g, h]),
        protocol,
        hop_limit,
        fragment: fragment & 0x3fff != 0,
        network: offset as u32,
        offset: (offset + header) as u32,
        transport,
    })
}

/// RFC 8200 §3.
struct Header6 {
    next: u8,
    hop_limit: u8,
    source: [u8; 16],
    destination: [u8; 16],
}

impl Header6 {
    #[inline(always)]
    fn read<P: Packet + ?Sized>(packet: &P, offset: usize) -> Option<Self> {
        let [first, _, _, _, _, _, next, hop_limit] = packet.load::<8>(offset)?;
        let source = packet.load::<16>(offset + 8)?;
        let destination = packet.load::<16>(offset + 24)?;
        if first >> 4 != 6 {
            return None;
        }
        Some(Self {
            next,
            hop_limit,
            source,
            destination,
        })
    }

    /// The flow at the end of the chain of headers.
    #[inline(always)]
    fn flow(&self, offset: usize, chain: &Chain, transport: Transport) -> Flow {
        Flow {
            source: Address::V6(self.source),
            destination: Address::V6(self.destination),
            protocol: chain.next as u8,
            hop_limit: self.hop_limit,
            fragment: chain.fragment != 0,
            network: offset as u32,
            offset: chain.offset,
            transport,
        }
    }
}

/// RFC 8200 §3 and §4.
#[inline(always)]
fn ipv6<P: Packet + ?Sized>(packet: &P, offset: usize) -> Option<Flow> {
    let header = Header6::read(packet, offset)?;
    let mut chain = Chain::new(header.next, offset + 40);
    if is_extension(chain.next) {
        packet.walk(&mut chain);
    }
    let transport = match chain.state {
        Chain::OPEN => Transport::read(packet, chain.offset as usize, chain.next as u8),
        Chain::LATER_FRAGMENT => Transport::OPAQUE,
        _ => Transport::BROKEN,
    };
    Some(header.flow(offset, &chain, transport))
}
