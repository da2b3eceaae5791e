//! What a trusted proxy says in Forwarded (RFC 7239) where it does not speak in the older fields: the hops, and how the client came.

use std::net::IpAddr;

use super::client::{elements, forwarded_for, value_of};
use super::{Field, Kind};

/// As many hops as are looked at for the client.
const MAX_HOPS: usize = 32;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said<'a> {
    /// From the client on; none: it is not said where that is. What stands before the client may be anybody's invention.
    pub hops: Vec<Option<IpAddr>>,
    /// By which scheme the client came, as far as that is a word.
    pub proto: Option<&'a [u8]>,
    /// Which host the client asked.
    pub host: Option<&'a [u8]>,
}

impl<'a> Said<'a> {
    /// What is said of the way of this client; none where one of the older fields says whose request it is, or where nothing is
    /// said.
    ///
    /// The proxy that the client came to wrote the element that names it, and every proxy behind that is trusted, so that the last
    /// such element counts. Where none names it, the last proxy knows as much as can be known.
    pub fn of(fields: &[Field<'a>], client: IpAddr) -> Option<Self> {
        if fields.iter().any(|one| one.kind == Kind::XForwardedFor) {
            return None;
        }
        let lines = fields.iter().rev();
        let lines = lines.filter(|field| field.kind == Kind::Forwarded);
        let elements = lines.flat_map(|field| elements(field.value));
        let elements: Vec<&[u8]> = elements.take(MAX_HOPS).collect();
        let names_it = |element: &&[u8]| forwarded_for(element) == Some(client);
        let named = elements.iter().position(names_it).unwrap_or_default();
        let element = elements.get(named)?;
        let hops = elements.iter().take(named + 1).rev();
        Some(Self {
            hops: hops.map(|element| forwarded_for(element)).collect(),
            proto: value_of(element, b"proto=").filter(|proto| is_word(proto)),
            host: value_of(element, b"host=").filter(|host| is_authority(host)),
        })
    }
}

fn is_word(proto: &[u8]) -> bool {
    !proto.is_empty() && proto.iter().all(u8::is_ascii_alphabetic)
}

fn is_authority(host: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(byte);
    !host.is_empty() && host.iter().all(is_plain)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// Hops, scheme and host.
    fn said(lines: &[&str], client: &str) -> String {
        let fields: Vec<_> = lines
            .iter()
            .map(|line| Field::new(b"Forwarded", line.as_bytes()))
            .collect();
        let Some(said) = Said::of(&fields, client.parse().unwrap()) else {
            return "nothing".to_owned();
        };
        let hops = said.hops.iter();
        let hops = hops.map(|hop| hop.map_or_else(|| "?".to_owned(), |hop| hop.to_string()));
        let text =
            |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or(b"-")).into_owned();
        let hops: Vec<String> = hops.collect();
        format!(
            "{} {} {}",
            hops.join(","),
            text(said.proto),
            text(said.host)
        )
    }

    #[test]
    fn the_element_that_names_the_client_says_how_it_came() {
        for (lines, client, expected) in [
            (&[][..], "192.0.2.1", "nothing"),
            (&["for=192.0.2.1"][..], "192.0.2.1", "192.0.2.1 - -"),
            (
                &["for=192.0.2.1;proto=https;host=www.a.test"][..],
                "192.0.2.1",
                "192.0.2.1 https www.a.test",
            ),
            (
                &[
                    "For=6.6.6.6;Proto=http, for=192.0.2.1;PROTO=\"https\";host=\"a:8443\", for=10.0.0.2;proto=http",
                ][..],
                "192.0.2.1",
                "192.0.2.1,10.0.0.2 https a:8443",
            ),
            (
                &[
                    "for=6.6.6.6;proto=http",
                    "for=\"[2001:db8::1]:4711\";proto=https",
                ][..],
                "2001:db8::1",
                "2001:db8::1 https -",
            ),
            // Nobody is named: the proxy before this one knows how it was asked.
            (
                &["for=6.6.6.6;proto=http, for=_hidden;proto=https;host=a"][..],
                "10.0.0.1",
                "? https a",
            ),
            // What is no scheme and no host is not told on.
            (
                &["for=192.0.2.1;proto=\"a b\";host=\"a\\\"b\""][..],
                "192.0.2.1",
                "192.0.2.1 - -",
            ),
        ] {
            assert_eq!(said(lines, client), expected, "{lines:?}");
        }
    }

    #[test]
    fn beside_the_older_field_it_says_nothing() {
        let fields = [
            Field::new(b"Forwarded", b"for=192.0.2.1;proto=https"),
            Field::new(b"X-Forwarded-For", b"192.0.2.1"),
        ];
        assert_eq!(Said::of(&fields, [192, 0, 2, 1].into()), None);
    }
}
