//! One header field, what the proxy knows of its name, and which characters it may hold (RFC 9110 §5).

use super::bytes;

/// A field as it stands in the head; the name keeps its case.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// As received.
    pub name: &'a [u8],
    /// Without the white space around it.
    pub value: &'a [u8],
    /// What the name is known as.
    pub kind: Kind,
}

impl<'a> Field<'a> {
    /// Classifies the name; says nothing about validity.
    #[inline]
    pub fn new(name: &'a [u8], value: &'a [u8]) -> Self {
        Self {
            name,
            value,
            kind: Kind::of(name),
        }
    }

    /// Compares the name, ignoring case.
    #[inline]
    pub fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// The names that decide something; everything else is `Other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the field of its name")]
#[repr(u8)]
pub enum Kind {
    Other,
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    KeepAlive,
    ProxyConnection,
    ProxyAuthenticate,
    ProxyAuthorization,
    Te,
    Trailer,
    Upgrade,
    Expect,
    Cookie,
    Forwarded,
    /// Any other name of that family, such as X-Forwarded-Prefix.
    XForwarded,
    XForwardedFor,
    XForwardedHost,
    XForwardedProto,
    XRealIp,
    XRequestId,
    Traceparent,
    UserAgent,
    Referer,
    Server,
    Date,
    Via,
    MaxForwards,
    Http2Settings,
    WebSocketKey,
    WebSocketAccept,
}

impl Kind {
    /// Looks a name up, by length first.
    #[expect(clippy::cognitive_complexity, reason = "one table, one arm a line")]
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        // Most names are told apart by their first letter.
        let first = name.first().map_or(0, |byte| byte | 0x20);
        let is = |known: &[u8]| known.first() == Some(&first) && name.eq_ignore_ascii_case(known);
        match name.len() {
            2 if is(b"te") => Self::Te,
            3 if is(b"via") => Self::Via,
            4 if is(b"host") => Self::Host,
            4 if is(b"date") => Self::Date,
            6 if is(b"cookie") => Self::Cookie,
            6 if is(b"expect") => Self::Expect,
            6 if is(b"server") => Self::Server,
            7 if is(b"referer") => Self::Referer,
            7 if is(b"trailer") => Self::Trailer,
            7 if is(b"upgrade") => Self::Upgrade,
            9 if is(b"forwarded") => Self::Forwarded,
            9 if is(b"x-real-ip") => Self::XRealIp,
            10 if is(b"user-agent") => Self::UserAgent,
            10 if is(b"connection") => Self::Connection,
            10 if is(b"keep-alive") => Self::KeepAlive,
            11 if is(b"traceparent") => Self::Traceparent,
            12 if is(b"x-request-id") => Self::XRequestId,
            12 if is(b"max-forwards") => Self::MaxForwards,
            14 if is(b"content-length") => Self::ContentLength,
            14 if is(b"http2-settings") => Self::Http2Settings,
            15 if is(b"x-forwarded-for") => Self::XForwardedFor,
            16 if is(b"x-forwarded-host") => Self::XForwardedHost,
            16 if is(b"proxy-connection") => Self::ProxyConnection,
            17 if is(b"transfer-encoding") => Self::TransferEncoding,
            17 if is(b"x-forwarded-proto") => Self::XForwardedProto,
            17 if is(b"sec-websocket-key") => Self::WebSocketKey,
            18 if is(b"proxy-authenticate") => Self::ProxyAuthenticate,
            19 if is(b"proxy-authorization") => Self::ProxyAuthorization,
            20 if is(b"sec-websocket-accept") => Self::WebSocketAccept,
            13.. if first == b'x' && is_x_forwarded(name) => Self::XForwarded,
            _ => Self::Other,
        }
    }

    /// Fields that speak about this connection only (RFC 9110 §7.6.1), and the framing, which each hop writes anew.
    #[inline]
    pub const fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::KeepAlive
                | Self::ProxyConnection
                | Self::ProxyAuthenticate
                | Self::ProxyAuthorization
                | Self::Te
                | Self::TransferEncoding
                | Self::ContentLength
                | Self::Upgrade
                | Self::Http2Settings
        )
    }

    /// Fields that a `Connection` option may not strip: naming them there is an attack on what the origin sees.
    #[inline]
    pub const fn is_protected(self) -> bool {
        matches!(
            self,
            Self::Host
                | Self::ContentLength
                | Self::TransferEncoding
                | Self::Cookie
                | Self::Forwarded
                | Self::XForwarded
                | Self::XForwardedFor
                | Self::XForwardedHost
                | Self::XForwardedProto
                | Self::XRealIp
                | Self::XRequestId
        )
    }
}

fn is_x_forwarded(name: &[u8]) -> bool {
    const BEGIN: &[u8] = b"x-forwarded-";
    let begin = name.get(..BEGIN.len());
    begin.is_some_and(|begin| begin.eq_ignore_ascii_case(BEGIN))
}

/// A token of RFC 9110 §5.6.2.
#[inline]
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && bytes::common(text) & bytes::TOKEN != 0
}

/// A token without upper case, as HTTP/2 wants names (RFC 9113 §8.2.1).
#[inline]
pub fn is_lower_token(text: &[u8]) -> bool {
    !text.is_empty() && bytes::common(text) & bytes::LOWER_TOKEN != 0
}

/// A field value of RFC 9110 §5.5: no control characters but tab, no white space at the ends.
#[inline]
pub fn is_value(text: &[u8]) -> bool {
    let is_space = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_whitespace);
    !is_space(text.first()) && !is_space(text.last()) && !bytes::has_control(text)
}

/// CGI-style origins read `X_Forwarded_For` and `X-Forwarded-For` as one name.
pub fn is_alias(name: &[u8]) -> bool {
    if memchr::memchr(b'_', name).is_none() {
        return false;
    }
    let mut plain = [0u8; 24];
    let Some(copy) = plain.get_mut(..name.len()) else {
        return false;
    };
    for (to, from) in copy.iter_mut().zip(name) {
        *to = if *from == b'_' { b'-' } else { *from };
    }
    Kind::of(copy) != Kind::Other
}

/// The members of a comma-separated list, trimmed, empty ones left out (RFC 9110 §5.6.1).
pub fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{is_token, is_value, members};

    #[test]
    fn tokens_and_values_follow_the_grammar() {
        assert!(is_token(b"X-A_b!~"));
        for bad in [&b""[..], b"a b", b"a:", b"a\0", b"\xe9", b"(x)"] {
            assert!(!is_token(bad), "{bad:?}");
        }
        assert!(is_value(b"a\tb \xff"));
        assert!(is_value(b""));
        for bad in [&b" a"[..], b"a ", b"a\r\nb", b"a\0", b"\x7f"] {
            assert!(!is_value(bad), "{bad:?}");
        }
    }

    #[test]
    fn list_members_are_trimmed_and_empty_ones_dropped() {
        assert_eq!(members(b" a, ,b ,").collect::<Vec<_>>(), [&b"a"[..], b"b"]);
    }
}
