//! What a request that is refused has asked for, as far as it can be read: for logs alone.

use super::HeaderList;
use super::field::is_token;

/// The longest method that is told.
const MOST_METHOD: usize = 32;
/// As much of a target is told.
const MOST_TARGET: usize = 1024;

/// Method and target as they came, which nobody has checked. They are empty where they cannot be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestLine<'a> {
    /// As it was written.
    pub method: &'a [u8],
    /// Path and query, cut after a thousand bytes.
    pub target: &'a [u8],
    /// The version as the line of HTTP/1 names it, be it one that there is not.
    pub protocol: &'a [u8],
}

impl<'a> RequestLine<'a> {
    /// Of what a request line begins with; the rest of it may be missing.
    pub fn of_line(input: &'a [u8]) -> Self {
        let line = input.split(|byte| *byte == b'\n').next();
        let mut words = line.unwrap_or_default().splitn(2, |byte| *byte == b' ');
        let (Some(method), Some(rest)) = (words.next(), words.next()) else {
            return Self::default();
        };
        let rest = rest.strip_suffix(b"\r").unwrap_or(rest);
        // A target with a blank in it is one of the faults.
        let end = rest.windows(6).rposition(|window| window == b" HTTP/");
        let (target, protocol) = rest.split_at(end.unwrap_or(rest.len()));
        let found = Self::of(method, Some(target));
        if found.method.is_empty() {
            return found;
        }
        Self {
            protocol: version(protocol).unwrap_or_default(),
            ..found
        }
    }

    /// Of the fields of HTTP/2 and HTTP/3 (RFC 9113 §8.3.1).
    pub fn of_list(list: &'a HeaderList) -> Self {
        let find = |wanted: &[u8]| {
            let mut fields = list.iter().filter(|(name, _)| *name == wanted);
            fields.next().map(|(_, value)| value)
        };
        Self::of(find(b":method").unwrap_or_default(), find(b":path"))
    }

    fn of(method: &'a [u8], target: Option<&'a [u8]>) -> Self {
        if !is_token(method) || method.len() > MOST_METHOD {
            return Self::default();
        }
        let target = target.unwrap_or_default();
        Self {
            method,
            target: target.get(..MOST_TARGET).unwrap_or(target),
            protocol: b"",
        }
    }
}

/// What ends a line, if it is a version by its form (RFC 9112 §2.3).
fn version(end: &[u8]) -> Option<&[u8]> {
    let version = end.strip_prefix(b" ")?;
    match version.strip_prefix(b"HTTP/")? {
        [major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => Some(version),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_TARGET, RequestLine};
    use crate::message::HeaderList;

    #[test]
    fn a_request_line_tells_what_it_has() {
        let long = [&b"GET /"[..], &[b'a'; 5000]].concat();
        for (input, method, target) in [
            (&b"GET /a?b HTTP/1.1\r\nHost: a\r\n"[..], "GET", "/a?b"),
            (b"GET /a HTTP/1.1\n", "GET", "/a"),
            (b"POST /a", "POST", "/a"),
            (b"GET /a b HTTP/1.1\r\n", "GET", "/a b"),
            (b"GET \xff HTTP/1.1\r\n", "GET", "\u{fffd}"),
            (b"GET", "", ""),
            (b"", "", ""),
            (b"\x16\x03\x01 \x00", "", ""),
            (b"G(T /a HTTP/1.1\r\n", "", ""),
            (&long, "GET", &format!("/{}", "a".repeat(MOST_TARGET - 1))),
        ] {
            let asked = RequestLine::of_line(input);
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            let got = (text(asked.method), text(asked.target));
            assert_eq!(got, (method.to_owned(), target.to_owned()));
        }
    }

    #[test]
    fn a_version_is_told_as_it_is_written_or_not_at_all() {
        for (line, expected) in [
            (&b"GET / HTTP/1.1\r\n"[..], "HTTP/1.1"),
            (b"GET / HTTP/1.0\n", "HTTP/1.0"),
            (b"GET / HTTP/9.9\r\n", "HTTP/9.9"),
            (b"GET / HTTP/1.1 HTTP/2.0\r\n", "HTTP/2.0"),
            (b"GET / HTTP/11\r\n", ""),
            (b"GET / HTTP/1.1 \r\n", ""),
            (b"GET / HTTP/1.", ""),
            (b"GET / http/1.1\r\n", ""),
            (b"GET /", ""),
            (b"G(T / HTTP/1.1\r\n", ""),
        ] {
            let asked = RequestLine::of_line(line);
            assert_eq!(asked.protocol, expected.as_bytes(), "{expected}");
        }
    }

    #[test]
    fn a_list_of_fields_tells_what_it_has() {
        let mut list = HeaderList::default();
        assert_eq!(RequestLine::of_list(&list), RequestLine::default());
        list.push(b":path", b"/a");
        assert_eq!(RequestLine::of_list(&list), RequestLine::default());
        list.push(b":method", b"PUT");
        let asked = RequestLine::of_list(&list);
        assert_eq!((asked.method, asked.target), (&b"PUT"[..], &b"/a"[..]));
    }
}
