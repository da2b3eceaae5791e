//! Whose request it is, when it came through proxies that are trusted to say so.

use std::net::{IpAddr, SocketAddr};

use super::{Field, Kind};

/// How many hops are looked at: each is looked for from the end of its line.
const MAX_HOPS: usize = 32;

/// The last hop that no trusted proxy has, of X-Forwarded-For or else of Forwarded (RFC 7239); the peer itself unless it
/// is trusted. What stands left of that hop may be anybody's invention; a hop without an address ends the walk.
///
/// Where both fields are there, X-Forwarded-For alone counts. Proxies that know of Forwarded nothing pass on what a client
/// wrote there, so if it counted, in whatever way, a client could choose who it is: with another's address, or, where a
/// difference meant the peer, with the proxy's.
pub fn client(fields: &[Field<'_>], peer: IpAddr, trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let lines = |kind| {
        let lines = fields.iter().rev().filter(move |field| field.kind == kind);
        lines.map(|field| field.value)
    };
    if lines(Kind::XForwardedFor).next().is_some() {
        let hops = lines(Kind::XForwardedFor).flat_map(|line| line.rsplit(|byte| *byte == b','));
        return walk(said(hops).map(address), peer, trusted);
    }
    let hops = lines(Kind::Forwarded).flat_map(elements);
    walk(said(hops).map(forwarded_for), peer, trusted)
}

/// The address in a field that has one and nothing else; none where there are two of that name.
pub fn client_in(fields: &[Field<'_>], name: &[u8]) -> Option<IpAddr> {
    let mut named = fields.iter().filter(|field| field.is(name));
    let value = named.next().filter(|_| named.next().is_none())?.value;
    let address: IpAddr = str::from_utf8(value).ok()?.parse().ok()?;
    Some(address.to_canonical())
}

/// Without empty elements, which are none (RFC 9110 §5.6.1.2): one at the end would make the proxy of its client.
fn said<'a>(hops: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    hops.map(<[u8]>::trim_ascii).filter(|hop| !hop.is_empty())
}

/// Goes from hop to hop, the nearest first, for as long as one that is trusted names the next.
fn walk(
    hops: impl Iterator<Item = Option<IpAddr>>,
    peer: IpAddr,
    trusted: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let mut known = peer;
    for hop in hops.take(MAX_HOPS) {
        match hop.filter(|_| trusted(known)) {
            Some(address) => known = address,
            None => break,
        }
    }
    known
}

/// The elements of a Forwarded line, the last first. A comma inside a quoted string parts nothing (RFC 9110 §5.6.4).
pub(super) fn elements(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let mut comma = None;
        let (mut quoted, mut escaped) = (false, false);
        for (at, byte) in line.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = quoted,
                b'"' => quoted = !quoted,
                b',' if !quoted => comma = Some(at),
                _ => {}
            }
        }
        let (before, element) = match comma {
            Some(at) => (line.get(..at), line.get(at + 1..).unwrap_or_default()),
            None => (None, line),
        };
        rest = before;
        Some(element)
    })
}

/// The value of a pair of an element, by its name with the equals sign, without quotes; none if there are two of that name.
pub(super) fn value_of<'a>(element: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let mut found = None;
    for pair in element.split(|byte| *byte == b';') {
        let pair = pair.trim_ascii();
        let (name, value) = pair.split_at_checked(wanted.len()).unwrap_or_default();
        if name.eq_ignore_ascii_case(wanted) && found.replace(value).is_some() {
            return None;
        }
    }
    let value = found?;
    match value.strip_prefix(b"\"") {
        Some(quoted) => quoted.strip_suffix(b"\""),
        None => Some(value),
    }
}

/// The address in an element's `for`; none for `unknown`, obfuscated identifiers, and what is not written as it should be.
pub(super) fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    let value = value_of(element, b"for=")?;
    // A port may be obfuscated where the address is not (RFC 7239 §6).
    let port = value.windows(2).rposition(|pair| pair == b":_");
    address(port.map_or(value, |at| value.get(..at).unwrap_or_default()))
}

/// An address, with or without a port, with or without brackets.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    // Not an address alone: with a port, perhaps. What is neither ends the walk, as RFC 7239 §6 has obfuscated names for that.
    let address = bare.parse::<IpAddr>().ok();
    let address = address.or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::client;
    use crate::message::Field;

    #[test]
    fn the_client_is_the_last_hop_that_nobody_trusted_vouches_for() {
        for (peer, lines, expected) in [
            ("192.0.2.1", &[][..], "192.0.2.1"),
            ("192.0.2.1", &["198.51.100.7"][..], "192.0.2.1"),
            ("10.0.0.1", &[][..], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.7"][..], "198.51.100.7"),
            ("10.0.0.1", &["6.6.6.6, 198.51.100.7"][..], "198.51.100.7"),
            (
                "10.0.0.1",
                &["6.6.6.6, 198.51.100.7, 10.0.0.2"][..],
                "198.51.100.7",
            ),
            (
                "10.0.0.1",
                &["6.6.6.6", "198.51.100.7", "10.0.0.2"][..],
                "198.51.100.7",
            ),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"][..], "10.0.0.3"),
            ("10.0.0.1", &["198.51.100.7:4711"][..], "198.51.100.7"),
            ("10.0.0.1", &["[2001:db8::1]:443"][..], "2001:db8::1"),
            ("10.0.0.1", &["2001:db8::1"][..], "2001:db8::1"),
            ("10.0.0.1", &["::ffff:198.51.100.7"][..], "198.51.100.7"),
            ("10.0.0.1", &["198.51.100.7, unknown"][..], "10.0.0.1"),
            ("10.0.0.1", &[""][..], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.7,"][..], "198.51.100.7"),
            (
                "10.0.0.1",
                &["6.6.6.6, 198.51.100.7 ,\t,"][..],
                "198.51.100.7",
            ),
            ("10.0.0.1", &["198.51.100.7", ""][..], "198.51.100.7"),
        ] {
            let fields: Vec<_> = lines
                .iter()
                .map(|line| Field::new(b"X-Forwarded-For", line.as_bytes()))
                .collect();
            let trusted = |address: IpAddr| address.to_string().starts_with("10.");
            let got = peer.parse().map(|peer| client(&fields, peer, trusted));
            assert_eq!(got, expected.parse(), "{peer} {lines:?}");
        }
    }

    #[test]
    fn forwarded_is_read_as_well_and_what_is_no_address_ends_the_walk() {
        for (lines, expected) in [
            (&[][..], "10.0.0.1"),
            (&["for=198.51.100.7"][..], "198.51.100.7"),
            (
                &["proto=https;For=198.51.100.7;by=10.0.0.1"][..],
                "198.51.100.7",
            ),
            (&["for=6.6.6.6, for=198.51.100.7"][..], "198.51.100.7"),
            (
                &["for=6.6.6.6, for=198.51.100.7,for=10.0.0.2"][..],
                "198.51.100.7",
            ),
            (
                &["for=6.6.6.6", "for=198.51.100.7", "for=10.0.0.2"][..],
                "198.51.100.7",
            ),
            (&["for=10.0.0.3, for=10.0.0.2"][..], "10.0.0.3"),
            (&["for=\"198.51.100.7:4711\""][..], "198.51.100.7"),
            (&["for=\"198.51.100.7:_port\""][..], "198.51.100.7"),
            (&["for=\"[2001:db8::1]:443\""][..], "2001:db8::1"),
            (&["for=\"[2001:db8::1]\";proto=http"][..], "2001:db8::1"),
            (&["for=198.51.100.7, for=unknown"][..], "10.0.0.1"),
            (&["for=198.51.100.7, for=_hidden"][..], "10.0.0.1"),
            (
                &["for=198.51.100.7, for=_hidden, for=10.0.0.2"][..],
                "10.0.0.2",
            ),
            (&["for=198.51.100.7, proto=https"][..], "10.0.0.1"),
            (&["for=198.51.100.7;for=198.51.100.8"][..], "10.0.0.1"),
            (&["for=\"198.51.100.7"][..], "10.0.0.1"),
            (
                &["for=6.6.6.6, for=198.51.100.7;ext=\"a,for=7.7.7.7\""][..],
                "198.51.100.7",
            ),
            (
                &["for=6.6.6.6, ext=\"\\\",for=7.7.7.7\";for=198.51.100.7"][..],
                "198.51.100.7",
            ),
            (&["for=198.51.100.7,"][..], "198.51.100.7"),
            (&[""][..], "10.0.0.1"),
        ] {
            assert_eq!(seen("10.0.0.1", lines, &[]), expected, "{lines:?}");
            assert_eq!(seen("192.0.2.1", lines, &[]), "192.0.2.1", "{lines:?}");
        }
    }

    #[test]
    fn beside_x_forwarded_for_a_forwarded_says_nothing() {
        let forwarded = ["for=203.0.113.9"];
        for (lines, expected) in [
            (&["198.51.100.7"][..], "198.51.100.7"),
            (&["unknown"][..], "10.0.0.1"),
            (&[""][..], "10.0.0.1"),
        ] {
            assert_eq!(seen("10.0.0.1", &forwarded, lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_walk_is_bounded() {
        let line = "for=10.0.0.2,".repeat(4000) + "for=10.0.0.3";
        assert_eq!(seen("10.0.0.1", &[&line], &[]), "10.0.0.2");
    }

    /// Whose request it is, by lines of Forwarded and of X-Forwarded-For; 10.0.0.0/8 is trusted.
    fn seen(peer: &str, forwarded: &[&str], x_forwarded_for: &[&str]) -> String {
        let field = |name: &'static [u8]| move |line: &&'_ str| (name, line.as_bytes().to_vec());
        let lines: Vec<(&[u8], Vec<u8>)> = forwarded
            .iter()
            .map(field(b"Forwarded"))
            .chain(x_forwarded_for.iter().map(field(b"X-Forwarded-For")))
            .collect();
        let fields: Vec<_> = lines
            .iter()
            .map(|(name, value)| Field::new(name, value))
            .collect();
        let trusted = |address: IpAddr| address.to_string().starts_with("10.");
        let peer = peer.parse().unwrap_or(IpAddr::from([0, 0, 0, 0]));
        client(&fields, peer, trusted).to_string()
    }
}
