//! A header as it arrives. Whoever sends one is trusted; what arrives is not taken for one unless it is, to the letter.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Ends, SIGNATURE};

/// No header is longer: the line has 107 octets at most, and additions to the octets are skipped.
pub const LONGEST: usize = 4096;
/// With the end of the line.
const LONGEST_LINE: usize = 107;
/// What is at the same place in every header of octets.
const FIXED: usize = 16;
/// The addition that holds a checksum of the whole header.
const CHECKSUM: u8 = 3;

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// A client's.
    Client(Ends),
    /// The sender's own, such as a probe, or that of a client without an address that could be told.
    Own,
}

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// Reads the header at the beginning of `bytes` and tells how long it is. `None`: it has begun, and there is more to come.
///
/// # Errors
/// There is none, or one that is broken.
pub fn read(bytes: &[u8]) -> Result<Option<(Announced, usize)>, Malformed> {
    let begins = |start: &[u8]| {
        let common = start.len().min(bytes.len());
        bytes.get(..common) == start.get(..common)
    };
    if begins(b"PROXY ") {
        line(bytes)
    } else if begins(SIGNATURE) {
        octets(bytes)
    } else {
        Err(Malformed("no PROXY header"))
    }
}

fn line(bytes: &[u8]) -> Result<Option<(Announced, usize)>, Malformed> {
    let bounded = bytes.get(..LONGEST_LINE).unwrap_or(bytes);
    let Some(end) = memchr::memchr(b'\n', bounded) else {
        return if bytes.len() < LONGEST_LINE {
            Ok(None)
        } else {
            Err(Malformed("a PROXY line of more than 107 octets"))
        };
    };
    let wrong = Malformed("a PROXY line that is not as the protocol has it");
    let text = bounded.get(..end).and_then(|text| text.strip_suffix(b"\r"));
    let text = text.and_then(|text| str::from_utf8(text).ok());
    let text = text.filter(|text| text.bytes().all(|byte| (b' '..0x7f).contains(&byte)));
    let rest = text.and_then(|text| text.strip_prefix("PROXY "));
    let mut words = rest.ok_or(wrong)?.split(' ');
    let announced = match words.next() {
        // Whatever else is in the line says nothing.
        Some("UNKNOWN") => Announced::Own,
        Some("TCP4") => ends::<Ipv4Addr>(words).ok_or(wrong)?,
        Some("TCP6") => ends::<Ipv6Addr>(words).ok_or(wrong)?,
        Some(_) | None => return Err(wrong),
    };
    Ok(Some((announced, end + 1)))
}

fn ends<'a, Address>(mut words: impl Iterator<Item = &'a str>) -> Option<Announced>
where
    Address: std::str::FromStr + Into<IpAddr>,
{
    let source: Address = words.next()?.parse().ok()?;
    let destination: Address = words.next()?.parse().ok()?;
    let source = SocketAddr::new(source.into(), port(words.next()?)?);
    let destination = SocketAddr::new(destination.into(), port(words.next()?)?);
    let ends = Ends {
        source,
        destination,
    };
    words.next().is_none().then_some(Announced::Client(ends))
}

/// Digits without a sign or zeroes before them.
fn port(text: &str) -> Option<u16> {
    let port: u16 = text.parse().ok()?;
    (port.to_string() == text).then_some(port)
}

fn octets(bytes: &[u8]) -> Result<Option<(Announced, usize)>, Malformed> {
    let Some(&[command, family, high, low]) = bytes
        .get(SIGNATURE.len()..)
        .and_then(<[u8]>::first_chunk::<4>)
    else {
        return Ok(None);
    };
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => {
            return Err(Malformed(
                "a PROXY header of another version, or with another command",
            ));
        }
    };
    if family >> 4 > 3 || family & 15 > 2 {
        return Err(Malformed("a PROXY header of a family that is not assigned"));
    }
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST {
        return Err(Malformed("a PROXY header of more than 4096 octets"));
    }
    let Some(header) = bytes.get(..length) else {
        return Ok(None);
    };
    let body = header.get(FIXED..).unwrap_or_default();
    let (addresses, known) = match family >> 4 {
        // Those of a connection that has none, and those of Unix sockets.
        0 => (body.len(), None),
        1 => (12, short(body)),
        2 => (36, long(body)),
        _ => (216, None),
    };
    if !is_local {
        let additions = body.get(addresses..);
        let additions = additions.ok_or(Malformed("a PROXY header too short for its addresses"))?;
        check(header, additions)?;
    }
    let is_stream = family & 15 == 1;
    let announced = match known.filter(|_| is_stream && !is_local) {
        Some(ends) => Announced::Client(ends),
        None => Announced::Own,
    };
    Ok(Some((announced, length)))
}

fn short(body: &[u8]) -> Option<Ends> {
    let (source, rest) = body.split_first_chunk::<4>()?;
    let (destination, rest) = rest.split_first_chunk::<4>()?;
    let source = Ipv4Addr::from(*source).into();
    let destination = Ipv4Addr::from(*destination).into();
    Some(with_ports(source, destination, *rest.first_chunk::<4>()?))
}

fn long(body: &[u8]) -> Option<Ends> {
    let (source, rest) = body.split_first_chunk::<16>()?;
    let (destination, rest) = rest.split_first_chunk::<16>()?;
    let source = Ipv6Addr::from(*source).into();
    let destination = Ipv6Addr::from(*destination).into();
    Some(with_ports(source, destination, *rest.first_chunk::<4>()?))
}

fn with_ports(source: IpAddr, destination: IpAddr, [a, b, c, d]: [u8; 4]) -> Ends {
    Ends {
        source: SocketAddr::new(source, u16::from_be_bytes([a, b])),
        destination: SocketAddr::new(destination, u16::from_be_bytes([c, d])),
    }
}

/// Walks through the additions; a checksum among them must be right.
fn check(header: &[u8], mut additions: &[u8]) -> Result<(), Malformed> {
    let broken = Malformed("a PROXY header whose additions do not fit");
    while let Some((&[kind, high, low], rest)) = additions.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, after) = rest.split_at_checked(length).ok_or(broken)?;
        if kind == CHECKSUM {
            let told: [u8; 4] = value.try_into().ok().ok_or(broken)?;
            let at = header.len() - rest.len();
            if crc32c(header, at..at + 4) != u32::from_be_bytes(told) {
                return Err(Malformed("a PROXY header whose checksum is wrong"));
            }
        }
        additions = after;
    }
    additions.is_empty().then_some(()).ok_or(broken)
}

/// CRC-32C (RFC 4960 appendix B) with zeroes in place of the octets in `blank`.
fn crc32c(bytes: &[u8], blank: std::ops::Range<usize>) -> u32 {
    let step = |crc: u32, (at, byte): (usize, &u8)| {
        let byte = if blank.contains(&at) { 0 } else { *byte };
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg())
        })
    };
    !bytes.iter().enumerate().fold(u32::MAX, step)
}
