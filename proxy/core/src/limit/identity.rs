//! Whose request it is, as far as a limit is concerned.

use std::fmt;
use std::net::IpAddr;

use crate::config::LimitKey;
use crate::route::Request;

/// Whom a request is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Identity<'a> {
    /// One IPv4 address, or the /64 of an IPv6 address.
    Client(IpAddr),
    /// The value of a header or of a cookie.
    Value(&'a [u8]),
    /// All who come to the route.
    Everyone,
}

impl<'a> Identity<'a> {
    /// A request without the header or cookie counts for its client: leaving it out must not be a way around the limit.
    pub fn of(key: &LimitKey, request: &'a impl Request) -> Self {
        let value = match key {
            LimitKey::ClientIp => None,
            LimitKey::Header(name) => request.header(name),
            LimitKey::Cookie(name) => request
                .cookies()
                .find_map(|text| cookie(text, name.as_bytes())),
            LimitKey::Route => return Identity::Everyone,
        };
        value.filter(|value| !value.is_empty()).map_or_else(
            || Identity::Client(network_of(request.client())),
            Identity::Value,
        )
    }
}

/// What one client has: an IPv4 address, or the /64 of an IPv6 address.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & (u128::MAX << 64)).into()),
    }
}

/// The value of a cookie among those of one field.
pub(crate) fn cookie<'a>(text: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    cookies(text, wanted).next()
}

/// All values of a cookie: a name may stand there more than once.
pub(crate) fn cookies<'a>(text: &'a [u8], wanted: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    text.split(|byte| *byte == b';').filter_map(move |pair| {
        let pair = pair.trim_ascii();
        let (name, value) = pair.split_at_checked(memchr::memchr(b'=', pair)?)?;
        (name == wanted).then(|| value.get(1..).unwrap_or_default())
    })
}

/// For people. A header or cookie may be a secret: only its beginning is shown.
impl fmt::Display for Identity<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(IpAddr::V4(address)) => write!(out, "{address}"),
            Self::Client(address @ IpAddr::V6(_)) => write!(out, "{address}/64"),
            Self::Value(value) => {
                let shown = value.get(..value.len().min(16) / 4).unwrap_or_default();
                write!(out, "{}…", shown.escape_ascii())
            }
            Self::Everyone => out.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::route::tests::Asked;

    #[test]
    fn a_request_counts_for_what_the_limit_names_or_for_its_client() {
        let check = |key: &LimitKey, asked: &Asked, expected: &str| {
            assert_eq!(Identity::of(key, asked).to_string(), expected);
        };
        let plain = Asked::parse("GET / @192.0.2.7");
        let rich = Asked::parse(
            "GET / x-api-key:secret-key-of-mine cookie:a=1;+sid=abcdefgh cookie:sid=other @2001:db8:1:2:3::4",
        );
        let mapped = Asked::parse("GET / x-api-key: cookie:sidx=1;+sid @::ffff:192.0.2.7");
        let header = LimitKey::Header("x-api-key".into());
        let cookie = LimitKey::Cookie("sid".into());
        check(&LimitKey::ClientIp, &plain, "192.0.2.7");
        check(&LimitKey::ClientIp, &rich, "2001:db8:1:2::/64");
        check(&LimitKey::ClientIp, &mapped, "192.0.2.7");
        check(&LimitKey::Route, &rich, "*");
        check(&header, &rich, "secr…");
        check(&header, &plain, "192.0.2.7");
        check(&header, &mapped, "192.0.2.7");
        check(&cookie, &rich, "ab…");
        check(&cookie, &plain, "192.0.2.7");
        check(&cookie, &mapped, "192.0.2.7");
    }
}
