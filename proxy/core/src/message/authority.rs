//! The authority of a request: host and optional port (RFC 3986 §3.2, RFC 9110 §7.2).

use std::net::Ipv6Addr;

use super::{Fault, bytes};

/// Refuses user information, spaces, lists, and everything that is no host name or address literal.
///
/// # Errors
/// `Malformed`, with 400.
pub fn check(authority: &[u8]) -> Result<(), Fault> {
    let (host, port) = split(authority);
    let host_is_good = match host.strip_prefix(b"[") {
        // A zone means something to the host alone that has the interface (RFC 6874).
        Some(rest) => rest
            .strip_suffix(b"]")
            .and_then(|address| str::from_utf8(address).ok())
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => {
            !host.is_empty()
                && host.len() <= 255
                && bytes::common(host) & bytes::NAME != 0
                && is_percent_encoded(host)
        }
    };
    let port_is_good = port.is_none_or(|digits| digits.is_empty() || number(digits).is_some());
    if host_is_good && port_is_good {
        Ok(())
    } else {
        Err(Fault::malformed(
            "Host is not a name or address with an optional port (RFC 9110 §7.2)",
        ))
    }
}

/// Whether two authorities of one scheme are the same (RFC 3986 §6.2.3): letters of either case, and the scheme's own port may
/// be missing or empty.
pub fn is_same(one: &[u8], other: &[u8], scheme: &[u8]) -> bool {
    if one.eq_ignore_ascii_case(other) {
        return true;
    }
    let usual = if scheme.eq_ignore_ascii_case(b"https") {
        443
    } else {
        80
    };
    let port = |port: Option<&[u8]>| {
        port.filter(|digits| !digits.is_empty())
            .map_or(Some(usual), number)
    };
    let ((host, own), (other_host, others)) = (split(one), split(other));
    host.eq_ignore_ascii_case(other_host) && port(own) == port(others)
}

/// A port: at most five digits, and no more than there are ports.
fn number(digits: &[u8]) -> Option<u16> {
    if digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits
        .iter()
        .fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    u16::try_from(number).ok()
}

/// Two hexadecimal digits behind each percent sign (RFC 3986 §2.1).
fn is_percent_encoded(host: &[u8]) -> bool {
    host.split(|byte| *byte == b'%').skip(1).all(|rest| {
        rest.get(..2)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// The authority without a port that says nothing: an empty one, or the scheme's own.
pub fn without_usual_port<'a>(authority: &'a str, scheme: &str) -> &'a str {
    let usual = if scheme == "https" { "443" } else { "80" };
    match authority.rsplit_once(':') {
        Some((host, port)) if (port.is_empty() || port == usual) && !host.is_empty() => host,
        Some(_) | None => authority,
    }
}

/// The host without the port; brackets of an IPv6 literal stay.
pub fn host(authority: &[u8]) -> &[u8] {
    split(authority).0
}

/// An authority is short: searched byte by byte, it is done before anything faster is set up.
fn split(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    let find = |wanted: u8, from: usize| {
        let rest = authority.get(from..).unwrap_or_default();
        Some(from + rest.iter().position(|byte| *byte == wanted)?)
    };
    let start = match authority.first() {
        Some(b'[') => find(b']', 0).unwrap_or_default(),
        _ => 0,
    };
    match find(b':', start) {
        Some(at) => (
            authority.get(..at).unwrap_or_default(),
            Some(authority.get(at + 1..).unwrap_or_default()),
        ),
        None => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::{check, host, is_same};

    #[test]
    fn authorities() {
        for good in [
            "a",
            "www.test:80",
            "[::1]:443",
            "[2001:db8::1]",
            "a_b.test",
            "127.0.0.1:",
            "x:65535",
            "x:00080",
            "[::ffff:192.0.2.1]",
            "a%2db",
        ] {
            assert!(check(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a b",
            "u@h",
            "a,b",
            "[::1",
            "::1",
            "a/b",
            "a:b",
            "a:123456",
            "a:65536",
            "[:::]",
            "[192.0.2.1]",
            "[fe80::1%25lo]",
            "a%2",
            "a%zz",
            "<x>",
            "a\\x",
            "\u{e9}.test",
        ] {
            assert!(check(bad.as_bytes()).is_err(), "{bad}");
        }
        for (one, other, scheme, same) in [
            ("a", "A", "http", true),
            ("a", "a:80", "http", true),
            ("a:", "a:080", "HTTP", true),
            ("a", "a:443", "https", true),
            ("a", "a:80", "https", false),
            ("a", "b", "http", false),
            ("[::1]", "[::1]:80", "http", true),
            ("a:1", "a:2", "http", false),
        ] {
            let got = is_same(one.as_bytes(), other.as_bytes(), scheme.as_bytes());
            assert_eq!(got, same, "{one} {other} {scheme}");
        }
        assert_eq!(host(b"www.test:80"), b"www.test");
        assert_eq!(host(b"[::1]:443"), b"[::1]");
    }
}
