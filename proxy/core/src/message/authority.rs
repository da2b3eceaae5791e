//! The authority of a request: host and optional port (RFC 3986 §3.2, RFC 9110 §7.2).

use super::{Fault, bytes};

/// Refuses user information, spaces, lists, and everything that is no host name or address literal.
///
/// # Errors
/// `Malformed`, with 400.
pub fn check(authority: &[u8]) -> Result<(), Fault> {
    let (host, port) = split(authority);
    let host_is_good = match host.strip_prefix(b"[") {
        Some(rest) => rest.strip_suffix(b"]").is_some_and(|address| {
            !address.is_empty()
                && address
                    .iter()
                    .all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
        }),
        None => !host.is_empty() && host.len() <= 255 && bytes::common(host) & bytes::NAME != 0,
    };
    let port_is_good =
        port.is_none_or(|digits| digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit));
    if host_is_good && port_is_good {
        Ok(())
    } else {
        Err(Fault::malformed(
            "Host is not a name or address with an optional port (RFC 9110 §7.2)",
        ))
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
    use super::{check, host};

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
            "<x>",
            "a\\x",
            "\u{e9}.test",
        ] {
            assert!(check(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(host(b"www.test:80"), b"www.test");
        assert_eq!(host(b"[::1]:443"), b"[::1]");
    }
}
