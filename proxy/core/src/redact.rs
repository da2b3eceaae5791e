//! What logs leave out of what a client wrote: values of query parameters, header fields, the end of an address.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::Bytes;

/// Stands for what is left out.
const LEFT_OUT: &str = "redacted";

/// What is left out. Nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redact {
    /// Names of query parameters, in small letters.
    pub query: Vec<String>,
    /// `user-agent` is left out.
    pub user_agent: bool,
    /// `referer` is left out.
    pub referer: bool,
    /// So many bits of an IPv4 address are kept, and twice as many of an IPv6 address.
    pub client: Option<u8>,
}

impl Redact {
    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The address without its end.
    pub fn address(&self, address: IpAddr) -> IpAddr {
        let Some(bits) = self.client else {
            return address;
        };
        match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32)));
                Ipv4Addr::from_bits(v4.to_bits() & mask.unwrap_or(0)).into()
            }
            IpAddr::V6(v6) => {
                let bits = 2 * u32::from(bits.min(64));
                let mask = u128::MAX.checked_shl(128 - bits);
                Ipv6Addr::from_bits(v6.to_bits() & mask.unwrap_or(0)).into()
            }
        }
    }

    /// A target, or a whole address of a page, with the values of those parameters left out.
    pub fn target<'a>(&self, target: &'a str) -> Cow<'a, str> {
        let Some((path, query)) = target.split_once('?').filter(|_| !self.query.is_empty()) else {
            return Cow::Borrowed(target);
        };
        let secret = |pair: &str| {
            let (name, _) = pair.split_once('=')?;
            self.is_secret(name).then(|| format!("{name}={LEFT_OUT}"))
        };
        let pairs = query.split(['&', ';']);
        if !pairs.clone().any(|pair| secret(pair).is_some()) {
            return Cow::Borrowed(target);
        }
        let pairs = pairs.map(|pair| secret(pair).map_or(Cow::Borrowed(pair), Cow::Owned));
        let pairs: Vec<Cow<'_, str>> = pairs.collect();
        Cow::Owned(format!("{path}?{}", pairs.join("&")))
    }

    /// Whatever way the name is written, and wherever it stands in one such as `user[token]` or `token[]`. Blanks around it, which
    /// many applications pass over, make no other name of it.
    fn is_secret(&self, name: &str) -> bool {
        let mut plain = Vec::with_capacity(name.len());
        let mut bytes = name.bytes();
        while let Some(byte) = bytes.next() {
            let byte = match byte {
                b'%' => escaped(&mut bytes).unwrap_or(byte),
                b'+' => b' ',
                other => other,
            };
            plain.push(byte.to_ascii_lowercase());
        }
        let is_blank = |byte: &u8| *byte <= b' ';
        let is_one = |part: &[u8]| {
            let start = part
                .iter()
                .position(|byte| !is_blank(byte))
                .unwrap_or(part.len());
            let end = part
                .iter()
                .rposition(|byte| !is_blank(byte))
                .map_or(start, |at| at + 1);
            let part = part.get(start..end).unwrap_or_default();
            self.query.iter().any(|secret| secret.as_bytes() == part)
        };
        is_one(&plain) || plain.split(|byte| matches!(byte, b'[' | b']')).any(is_one)
    }
}

/// Two digits of hexadecimal at the front, taken if they are there.
fn escaped(bytes: &mut Bytes<'_>) -> Option<u8> {
    let mut ahead = bytes.clone();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (high, low) = (digit(ahead.next()?)?, digit(ahead.next()?)?);
    *bytes = ahead;
    u8::try_from(high << 4 | low).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secret_parameters_are_left_out_however_they_are_written() {
        let redact = Redact {
            query: vec!["token".into(), "api_key".into()],
            ..Redact::default()
        };
        for (target, expected) in [
            ("/", "/"),
            ("/a?b=1", "/a?b=1"),
            ("/a?token=1", "/a?token=redacted"),
            ("/a?b=1&TOKEN=2&c=3", "/a?b=1&TOKEN=redacted&c=3"),
            ("/a?%74oken=2", "/a?%74oken=redacted"),
            ("/a?token", "/a?token"),
            ("/a?token[]=2", "/a?token[]=redacted"),
            ("/a?token%5B0%5d=2", "/a?token%5B0%5d=redacted"),
            ("/a?user[api_key]=2", "/a?user[api_key]=redacted"),
            (
                "/a?+token=2&%20token+=3",
                "/a?+token=redacted&%20token+=redacted",
            ),
            ("/a?%2B%74o%6Ben=2", "/a?%2B%74o%6Ben=2"),
            ("/a?token[=2&[]=3", "/a?token[=redacted&[]=3"),
            ("/a?tokens=1&token2=2", "/a?tokens=1&token2=2"),
            ("/a?token=1&token=2", "/a?token=redacted&token=redacted"),
            ("/a?b=1;api_key=2", "/a?b=1&api_key=redacted"),
            ("/a?&token=a=b&", "/a?&token=redacted&"),
            ("/a?%zz=1&token=%", "/a?%zz=1&token=redacted"),
            (
                "https://x.test/a?token=1",
                "https://x.test/a?token=redacted",
            ),
        ] {
            assert_eq!(redact.target(target), expected, "{target}");
        }
        assert_eq!(Redact::default().target("/a?token=1"), "/a?token=1");
    }

    #[test]
    fn addresses_keep_their_beginning() {
        let redact = |bits| Redact {
            client: bits,
            ..Redact::default()
        };
        for (bits, address, expected) in [
            (None, "192.0.2.77", "192.0.2.77"),
            (Some(24), "192.0.2.77", "192.0.2.0"),
            (Some(16), "192.0.2.77", "192.0.0.0"),
            (Some(32), "192.0.2.77", "192.0.2.77"),
            (Some(24), "2001:db8:1:2::7", "2001:db8:1::"),
            (Some(32), "2001:db8:1:2::7", "2001:db8:1:2::"),
            (Some(0), "192.0.2.77", "0.0.0.0"),
        ] {
            let kept = address.parse().map(|address| redact(bits).address(address));
            assert_eq!(
                kept.map(|kept: IpAddr| kept.to_string()).as_deref(),
                Ok(expected)
            );
        }
        assert!(redact(None).is_empty() && !redact(Some(24)).is_empty());
    }
}
