//! Whose request it is, when it came through proxies that are trusted to say so.

use std::net::{IpAddr, SocketAddr};

use super::{Field, Kind};

/// The rightmost address of X-Forwarded-For that no trusted proxy has; the peer itself unless it is one. What stands
/// left of that may be anybody's invention.
pub fn client(fields: &[Field<'_>], peer: IpAddr, trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut known = peer;
    let lines = fields
        .iter()
        .filter(|field| field.kind == Kind::XForwardedFor);
    let hops = lines
        .rev()
        .flat_map(|field| field.value.rsplit(|byte| *byte == b','));
    for hop in hops {
        if !trusted(known) {
            break;
        }
        match address(hop.trim_ascii()) {
            Some(address) => known = address,
            None => break,
        }
    }
    known
}

/// An address, with or without a port, with or without brackets.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
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
}
