//! Clients that stay with their endpoint by a cookie. What stands in it is a number that a keyed hash gives the endpoint: it
//! says nothing of the address, nobody can make one up, and one that no endpoint has, because it went or because somebody
//! wrote it himself, is as good as none.

use std::fmt;
use std::time::Duration;

use crate::limit::cookie;

/// The number of an endpoint. The hash is the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin(u128);

impl Pin {
    /// From the first bytes of a keyed hash.
    pub const fn new(hash: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(hash))
    }

    /// What a client has brought, by the values of its Cookie fields.
    pub fn of<'a>(mut cookies: impl Iterator<Item = &'a [u8]>, name: &str) -> Option<Self> {
        let value = cookies.find_map(|text| cookie(text, name.as_bytes()))?;
        let is_plain = value.len() == 32 && value.iter().all(u8::is_ascii_hexdigit);
        let digits = str::from_utf8(value).ok().filter(|_| is_plain)?;
        u128::from_str_radix(digits, 16).ok().map(Self)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

/// The value of a Set-Cookie field (RFC 6265 §4.1). `secure`: the client came over TLS.
pub fn set_cookie(name: &str, pin: Pin, max_age: Option<Duration>, secure: bool) -> String {
    let age = max_age.map(|age| format!("; Max-Age={}", age.as_secs()));
    let age = age.unwrap_or_default();
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}={pin}; Path=/{age}; HttpOnly; SameSite=Lax{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: Pin = Pin::new([7; 16]);

    fn read(text: &str) -> Option<Pin> {
        Pin::of(std::iter::once(text.as_bytes()), "oc")
    }

    #[test]
    fn what_is_set_is_read_again() {
        let value = "07".repeat(16);
        let plain = format!("oc={value}; Path=/; HttpOnly; SameSite=Lax");
        assert_eq!(set_cookie("oc", PIN, None, false), plain);
        let whole = format!("oc={value}; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure");
        let hour = Some(Duration::from_hours(1));
        assert_eq!(set_cookie("oc", PIN, hour, true), whole);
        assert_eq!(read(&format!("a=b; oc={PIN}")), Some(PIN));
        assert_eq!(
            read(&format!("oc={}", PIN.to_string().to_uppercase())),
            Some(PIN)
        );
    }

    #[test]
    fn what_is_no_pin_is_none() {
        let value = PIN.to_string();
        for text in [
            String::new(),
            "oc=".to_owned(),
            format!("xoc={value}"),
            format!("oc={value}0"),
            format!("oc=+{}", &value.get(1..).unwrap_or_default()),
            format!("oc={}", "z".repeat(32)),
        ] {
            assert_eq!(read(&text), None, "{text}");
        }
    }
}
