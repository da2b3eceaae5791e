//! The header that goes ahead of everything else on a connection.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::{Ends, SIGNATURE, Version};

/// The header for a connection with these ends; without any it is the proxy's own, such as a probe.
pub fn write(version: Version, ends: Option<Ends>) -> Vec<u8> {
    let ends = ends.map(|ends| alike(ends.source, ends.destination));
    match version {
        Version::V1 => line(ends).into_bytes(),
        Version::V2 => octets(ends),
    }
}

/// The form has one family for both ends: where they differ, IPv4 is written as IPv6 has it (RFC 4291 §2.5.5.2).
fn alike(source: SocketAddr, destination: SocketAddr) -> (SocketAddr, SocketAddr) {
    let canonical = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
    let (source, destination) = (canonical(source), canonical(destination));
    if source.is_ipv4() == destination.is_ipv4() {
        return (source, destination);
    }
    let long = |end: SocketAddr| SocketAddr::new(mapped(end.ip()).into(), end.port());
    (long(source), long(destination))
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

fn line(ends: Option<(SocketAddr, SocketAddr)>) -> String {
    let Some((source, destination)) = ends else {
        return "PROXY UNKNOWN\r\n".to_owned();
    };
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    format!(
        "PROXY {family} {} {} {} {}\r\n",
        source.ip(),
        destination.ip(),
        source.port(),
        destination.port()
    )
}

fn octets(ends: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    let Some((source, destination)) = ends else {
        // Version 2, LOCAL; no family, no addresses.
        header.extend([0x20, 0, 0, 0]);
        return header;
    };
    let mut addresses = Vec::with_capacity(36);
    for end in [source, destination] {
        match end.ip() {
            IpAddr::V4(v4) => addresses.extend(v4.octets()),
            IpAddr::V6(v6) => addresses.extend(v6.octets()),
        }
    }
    addresses.extend(source.port().to_be_bytes());
    addresses.extend(destination.port().to_be_bytes());
    // Version 2, PROXY; a stream over IPv4 or IPv6.
    let family = if source.is_ipv4() { 0x11 } else { 0x21 };
    header.extend([0x21, family, 0]);
    header.push(addresses.len() as u8);
    header.extend(addresses);
    header
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn check(source: &str, destination: &str, line: &str, octets: &[u8]) {
        let ends = Some(Ends {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        });
        assert_eq!(write(Version::V1, ends), line.as_bytes());
        let second = write(Version::V2, ends);
        assert_eq!(second.strip_prefix(SIGNATURE).unwrap(), octets, "{line:?}");
    }

    #[test]
    fn both_ends_are_told_in_one_family() {
        check(
            "192.0.2.1:1000",
            "192.0.2.2:443",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\n",
            &[
                0x21, 0x11, 0, 12, 192, 0, 2, 1, 192, 0, 2, 2, 3, 0xe8, 1, 0xbb,
            ],
        );
        let mut octets = vec![0x21, 0x21, 0, 36];
        octets.extend([0; 15]);
        octets.extend([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1]);
        octets.extend([0, 1, 0, 2]);
        check(
            "[::1]:1",
            "10.0.0.1:2",
            "PROXY TCP6 ::1 ::ffff:10.0.0.1 1 2\r\n",
            &octets,
        );
        check(
            "[::ffff:192.0.2.1]:1000",
            "192.0.2.2:443",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\n",
            &[
                0x21, 0x11, 0, 12, 192, 0, 2, 1, 192, 0, 2, 2, 3, 0xe8, 1, 0xbb,
            ],
        );
    }

    #[test]
    fn a_connection_that_is_our_own_says_so() {
        assert_eq!(write(Version::V1, None), b"PROXY UNKNOWN\r\n");
        let octets = write(Version::V2, None);
        assert_eq!(
            octets.strip_prefix(SIGNATURE).unwrap(),
            [0x20, 0, 0, 0].as_slice()
        );
    }
}
