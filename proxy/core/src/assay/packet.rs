//! A packet that somebody might send, from a line such as `tcp 203.0.113.9 -> :443 syn` to the frame on the wire.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use openclaw_common::packet::{ICMP6, TCP, UDP};

/// Protocol number of ICMP.
const ICMP: u8 = 1;
/// What a source without a port sends from.
const SOURCE_PORT: u16 = 40_000;
/// This host where a packet does not say: addresses for documentation (RFC 5737, RFC 3849).
const HOST4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const HOST6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);
const SYN: u8 = 0x02;
/// RFC 9000 §14.1.
const LEAST_INITIAL: usize = 1200;
/// The first byte and the version of a QUIC Initial (RFC 9000 §17.2.2).
const INITIAL: [u8; 5] = [0xc3, 0, 0, 0, 1];

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// As it is written.
    pub text: String,
    source: End,
    destination: End,
    kind: Kind,
    is_fragment: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    address: IpAddr,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// With its flags.
    Tcp(u8),
    /// A datagram; with so many bytes of a QUIC Initial, if it is one.
    Udp(Option<usize>),
    Icmp,
}

impl Packet {
    /// Reads `PROTOCOL SOURCE[:PORT] -> [ADDRESS]:PORT WORD…`.
    ///
    /// # Errors
    /// A sentence that says what is not understood.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let protocol = words.next().unwrap_or_default();
        let source = words.next().unwrap_or_default();
        if words.next() != Some("->") {
            return Err("a packet has an arrow between its two ends".to_owned());
        }
        let destination = words.next().unwrap_or_default();
        let (source, port) = end(source, None)?;
        let source = End {
            address: source,
            port: port.unwrap_or(SOURCE_PORT),
        };
        let here = match source.address {
            IpAddr::V4(_) => HOST4.into(),
            IpAddr::V6(_) => HOST6.into(),
        };
        let (destination, port) = end(destination, Some(here))?;
        if source.address.is_ipv4() != destination.is_ipv4() {
            return Err("the two ends are of two families".to_owned());
        }
        let (kind, is_fragment) = kind(protocol, words)?;
        let port = port.or((kind == Kind::Icmp).then_some(0));
        let destination = End {
            address: destination,
            port: port.ok_or("the port that it goes to is missing")?,
        };
        Ok(Self {
            text: text.to_owned(),
            source,
            destination,
            kind,
            is_fragment,
        })
    }

    /// The frame, from the destination's MAC address on.
    pub(super) fn frame(&self) -> Vec<u8> {
        let payload = self.payload();
        match (self.source.address, self.destination.address) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.frame4(source, destination, &payload)
            }
            (source, destination) => self.frame6(wide(source), wide(destination), &payload),
        }
    }

    fn frame4(&self, source: Ipv4Addr, destination: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
        let mut frame = ethernet([8, 0]);
        frame.extend([0x45, 0]);
        frame.extend(length(20 + payload.len()));
        frame.extend([0, 1]);
        // More fragments, or one that is not to be parted (RFC 791 §3.1).
        frame.extend(if self.is_fragment {
            [0x20, 0]
        } else {
            [0x40, 0]
        });
        frame.extend([64, self.protocol(false), 0, 0]);
        frame.extend(source.octets());
        frame.extend(destination.octets());
        frame.extend(payload);
        frame
    }

    fn frame6(&self, source: Ipv6Addr, destination: Ipv6Addr, payload: &[u8]) -> Vec<u8> {
        let protocol = self.protocol(true);
        // A fragment header, the first of several (RFC 8200 §4.5).
        let header = [protocol, 0, 0, 1, 0, 0, 0, 1];
        let (next, header) = if self.is_fragment {
            (44, &header[..])
        } else {
            (protocol, &[][..])
        };
        let mut frame = ethernet([0x86, 0xdd]);
        frame.extend([0x60, 0, 0, 0]);
        frame.extend(length(header.len() + payload.len()));
        frame.extend([next, 64]);
        frame.extend(source.octets());
        frame.extend(destination.octets());
        frame.extend(header);
        frame.extend(payload);
        frame
    }

    fn protocol(&self, is_v6: bool) -> u8 {
        match self.kind {
            Kind::Tcp(_) => TCP,
            Kind::Udp(_) => UDP,
            Kind::Icmp if is_v6 => ICMP6,
            Kind::Icmp => ICMP,
        }
    }

    fn payload(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.kind == Kind::Icmp {
            // An echo request, of either family by its own number (RFC 792, RFC 4443 §4.1).
            let is_v4 = self.source.address.is_ipv4();
            bytes.extend([if is_v4 { 8 } else { 128 }, 0, 0, 0, 0, 1, 0, 1]);
            return bytes;
        }
        bytes.extend(self.source.port.to_be_bytes());
        bytes.extend(self.destination.port.to_be_bytes());
        match self.kind {
            Kind::Tcp(flags) => {
                bytes.extend([0, 0, 0, 1, 0, 0, 0, 0]);
                bytes.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
            }
            Kind::Udp(initial) => {
                let data = initial.unwrap_or(8);
                bytes.extend(length(8 + data));
                bytes.extend([0, 0]);
                let start = bytes.len();
                bytes.extend(initial.map_or([0; 5], |_| INITIAL));
                bytes.resize(start + data, 0);
            }
            Kind::Icmp => {}
        }
        bytes
    }
}

fn kind<'a>(protocol: &str, words: impl Iterator<Item = &'a str>) -> Result<(Kind, bool), String> {
    let mut flags = None;
    let mut initial = None;
    let mut is_fragment = false;
    for word in words.flat_map(|word| word.split(',')) {
        let lower = word.to_ascii_lowercase();
        match (protocol, flag(&lower), lower.as_str()) {
            (_, _, "fragment") => is_fragment = true,
            ("tcp", Some(flag), _) => flags = Some(flags.unwrap_or(0) | flag),
            ("tcp", None, "none") => flags = Some(flags.unwrap_or(0)),
            ("udp", _, "initial") => initial = Some(LEAST_INITIAL),
            ("udp", _, "short") => initial = Some(LEAST_INITIAL / 2),
            _ => {
                return Err(format!(
                    "`{word}` says nothing of a packet of {protocol}: write flags of TCP, `initial` or `short` (of QUIC), or `fragment`"
                ));
            }
        }
    }
    let kind = match protocol {
        // What opens a connection, where nothing else is said.
        "tcp" => Kind::Tcp(flags.unwrap_or(SYN)),
        "udp" => Kind::Udp(initial),
        "icmp" => Kind::Icmp,
        _ => return Err(format!("`{protocol}` is none of tcp, udp and icmp")),
    };
    Ok((kind, is_fragment))
}

/// RFC 9293 §3.1.
fn flag(word: &str) -> Option<u8> {
    match word {
        "fin" => Some(0x01),
        "syn" => Some(SYN),
        "rst" => Some(0x04),
        "psh" => Some(0x08),
        "ack" => Some(0x10),
        "urg" => Some(0x20),
        _ => None,
    }
}

/// An address, a port, or both; `here` stands for an address that is missing.
fn end(text: &str, here: Option<IpAddr>) -> Result<(IpAddr, Option<u16>), String> {
    let address = |text: &str| {
        let inside = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        inside.unwrap_or(text).parse::<IpAddr>().ok()
    };
    let with_port = || {
        let (start, port) = text.rsplit_once(':')?;
        let port = port.parse().ok()?;
        let address = here
            .filter(|_| start.is_empty())
            .or_else(|| address(start))?;
        Some((address, Some(port)))
    };
    let alone = address(text).map(|address| (address, None));
    alone.or_else(with_port).ok_or_else(|| {
        format!("`{text}` is no address with a port, such as 203.0.113.9:443 or [2001:db8::9]:443")
    })
}

fn wide(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

fn ethernet(ethertype: [u8; 2]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend(ethertype);
    frame
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}
