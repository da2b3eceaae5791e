//! The chunked coding (RFC 9112 §7.1), strict: every line ends with CRLF, sizes are plain hexadecimal, extensions are
//! ignored and bounded, trailers are checked and kept only where they cannot change how the message is read.

use super::Fault;
use super::body::Decoded;
use super::field::{Kind, is_alias, is_token, is_value};

const MAX_SIZE_DIGITS: u8 = 15;
const MAX_EXTENSION: u16 = 256;
/// All extensions of a message, beyond as many bytes as it has payload.
const MAX_EXTENSIONS: u64 = 16 * 1024;
const MAX_TRAILERS: usize = 8192;

/// Reads one chunked body.
#[derive(Debug, Default)]
pub struct Chunked {
    state: State,
    left: u64,
    digits: u8,
    extension: u16,
    /// Bytes of extensions in all, and of payload: the former may not outgrow the latter by much.
    extensions: u64,
    payload: u64,
    line: Vec<u8>,
    trailers: Vec<u8>,
    trailer_bytes: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    /// White space behind the size, where only an extension may follow.
    Bws,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailer,
    TrailerLf,
    Done,
}

impl Chunked {
    /// Whether the last chunk and the trailers have been seen.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The trailer section as received, without the empty line that ends it.
    pub fn trailers(&self) -> &[u8] {
        &self.trailers
    }

    /// See [`super::body::Decoder::decode`].
    pub(super) fn decode(&mut self, raw: &mut [u8]) -> Result<Decoded, Fault> {
        let mut read = 0;
        let mut written = 0;
        while self.state != State::Done {
            if self.state == State::Data {
                let available = (raw.len() - read) as u64;
                let take = self.left.min(available) as usize;
                raw.copy_within(read..read + take, written);
                read += take;
                written += take;
                self.left -= take as u64;
                self.payload += take as u64;
                if self.left > 0 {
                    break;
                }
                self.state = State::DataCr;
            }
            let Some(byte) = raw.get(read).copied() else {
                break;
            };
            read += 1;
            self.step(byte)?;
        }
        Ok(Decoded {
            payload: written,
            consumed: read,
            done: self.is_done(),
        })
    }

    /// One byte outside of chunk data.
    fn step(&mut self, byte: u8) -> Result<(), Fault> {
        self.state = match (self.state, byte) {
            (State::Size, b'\r') if self.digits > 0 => State::SizeLf,
            (State::Size | State::Bws, b';') if self.digits > 0 => State::Extension,
            (State::Size, b' ' | b'\t') if self.digits > 0 => State::Bws,
            (State::Bws, b' ' | b'\t') => {
                self.extension_byte(byte)?;
                State::Bws
            }
            (State::Bws, _) => {
                return Err(Fault::smuggling(
                    "white space behind a chunk size (RFC 9112 §7.1.1)",
                ));
            }
            (State::Size, _) => self.size_digit(byte)?,
            (State::Extension, b'\r') => State::SizeLf,
            (State::Extension, _) => self.extension_byte(byte)?,
            (State::SizeLf, b'\n') => {
                (self.digits, self.extension) = (0, 0);
                if self.left == 0 {
                    State::Trailer
                } else {
                    State::Data
                }
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size,
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::Trailer, _) => self.trailer_byte(byte)?,
            (State::TrailerLf, b'\n') => self.trailer_line()?,
            (
                State::SizeLf
                | State::DataCr
                | State::DataLf
                | State::TrailerLf
                | State::Data
                | State::Done,
                _,
            ) => {
                return Err(Fault::smuggling(
                    "a chunk line or chunk that does not end with CRLF (RFC 9112 §7.1)",
                ));
            }
        };
        Ok(())
    }

    fn size_digit(&mut self, byte: u8) -> Result<State, Fault> {
        let digit = char::from(byte).to_digit(16).ok_or(Fault::smuggling(
            "a chunk size that is no hexadecimal number",
        ))?;
        self.digits += 1;
        if self.digits > MAX_SIZE_DIGITS {
            return Err(Fault::smuggling("a chunk size of more than 15 digits"));
        }
        self.left = (self.left << 4) | u64::from(digit);
        Ok(State::Size)
    }

    fn extension_byte(&mut self, byte: u8) -> Result<State, Fault> {
        self.extension += 1;
        self.extensions += 1;
        if self.extension > MAX_EXTENSION {
            return Err(Fault::malformed("chunk extensions of more than 256 bytes"));
        }
        if self.extensions > MAX_EXTENSIONS + self.payload {
            return Err(Fault::malformed("more of chunk extensions than of payload"));
        }
        if byte == b'\n' || (byte < 0x20 && byte != b'\t') || byte == 0x7f {
            return Err(Fault::smuggling("a control character in a chunk extension"));
        }
        Ok(State::Extension)
    }

    fn trailer_byte(&mut self, byte: u8) -> Result<State, Fault> {
        if byte == b'\n' {
            return Err(Fault::smuggling(
                "a trailer line that ends with a bare LF (RFC 9112 §7.1.2)",
            ));
        }
        self.trailer_bytes += 1;
        if self.trailer_bytes > MAX_TRAILERS {
            return Err(Fault::header_too_large("trailers of more than 8 KiB"));
        }
        self.line.push(byte);
        Ok(State::Trailer)
    }

    fn trailer_line(&mut self) -> Result<State, Fault> {
        if self.line.is_empty() {
            return Ok(State::Done);
        }
        let colon = memchr::memchr(b':', &self.line)
            .ok_or(Fault::malformed("a trailer line without a colon"))?;
        let (name, rest) = self.line.split_at_checked(colon).unwrap_or_default();
        let value = rest.get(1..).unwrap_or_default().trim_ascii();
        if !is_token(name) || !is_value(value) {
            return Err(Fault::malformed(
                "a malformed trailer field (RFC 9112 §7.1.2)",
            ));
        }
        if is_safe_trailer(name) {
            for part in [name, b": ", value, b"\r\n"] {
                self.trailers.extend_from_slice(part);
            }
        }
        self.line.clear();
        Ok(State::Trailer)
    }
}

/// Fields that say how to frame, route, authenticate or control a message mean nothing behind it (RFC 9110 §6.5.1).
pub fn is_safe_trailer(name: &[u8]) -> bool {
    const REFUSED: [&[u8]; 20] = [
        b"age",
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-range",
        b"content-type",
        b"expires",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"location",
        b"pragma",
        b"range",
        b"retry-after",
        b"set-cookie",
        b"vary",
        b"warning",
        b"www-authenticate",
    ];
    Kind::of(name) == Kind::Other
        && !is_alias(name)
        && !REFUSED
            .iter()
            .any(|refused| name.eq_ignore_ascii_case(refused))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::Chunked;

    /// Feeds the bytes in pieces of `step` and returns payload, trailers and what is left, or `None` for a fault.
    fn decode(input: &[u8], step: usize) -> Option<(Vec<u8>, Vec<u8>, usize)> {
        let mut chunked = Chunked::default();
        let (mut payload, mut used) = (Vec::new(), 0);
        for piece in input.chunks(step) {
            let mut piece = piece.to_vec();
            let decoded = chunked.decode(&mut piece).ok()?;
            payload.extend_from_slice(&piece[..decoded.payload]);
            used += decoded.consumed;
            if decoded.done {
                return Some((payload, chunked.trailers().to_vec(), input.len() - used));
            }
        }
        Some((payload, b"incomplete".to_vec(), 0))
    }

    fn check(input: &str, expected: Option<(&str, &str, usize)>) {
        for step in [1, 2, 3, 7, usize::MAX] {
            let got = decode(input.as_bytes(), step);
            let want = expected.map(|(body, trailers, rest)| {
                (body.as_bytes().to_vec(), trailers.as_bytes().to_vec(), rest)
            });
            // What is left is only known when the end is not at the edge of a piece.
            let same = match (&got, &want) {
                (Some(a), Some(b)) => {
                    a.0 == b.0 && a.1 == b.1 && (a.2 == b.2 || step != usize::MAX)
                }
                (None, None) => true,
                _ => false,
            };
            assert!(same, "{input:?} in steps of {step}: {got:?}");
        }
    }

    #[test]
    fn whole_bodies() {
        check("5\r\nhello\r\n0\r\n\r\n", Some(("hello", "", 0)));
        check(
            "5;a=b\r\nhello\r\n1\r\n!\r\n0;x\r\n\r\nGET",
            Some(("hello!", "", 3)),
        );
        check(
            "5 \t ;a = b\r\nhello\r\n0 ;x\r\n\r\n",
            Some(("hello", "", 0)),
        );
        check(
            "A\r\n0123456789\r\n0\r\nX-T: v \r\nHost: evil\r\nContent-Length: 1\r\n\r\n",
            Some(("0123456789", "X-T: v\r\n", 0)),
        );
        check("5\r\nhel", Some(("hel", "incomplete", 0)));
    }

    #[test]
    fn ambiguous_bodies_are_refused() {
        for bad in [
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
            "+5\r\nhello\r\n0\r\n\r\n",
            "\r\nhello",
            ";a\r\n",
            "5 \r\nhello\r\n0\r\n\r\n",
            "5 5\r\nhello\r\n0\r\n\r\n",
            " ;a\r\nhello\r\n0\r\n\r\n",
            " 5\r\nhello\r\n",
            "3\r\nhello\r\n0\r\n\r\n",
            "10000000000000005\r\nhello\r\n",
            "5;a\nhello\r\n0\r\n\r\n",
            "0\r\nno colon\r\n\r\n",
            "0\r\nX: \u{1}\r\n\r\n",
            "0\r\r\n\r\n",
            "0\r\n\n",
            "5\0\r\nhello",
            "0\r\nX y: z\r\n\r\n",
        ] {
            check(bad, None);
        }
        check(&format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(300)), None);
        check(&format!("1{};\r\nx\r\n0\r\n\r\n", " ".repeat(300)), None);
        let crumbs = format!("1;{}\r\nx\r\n", "a".repeat(100));
        check(&(crumbs.repeat(200) + "0\r\n\r\n"), None);
        check(&format!("0\r\nX: {}\r\n\r\n", "a".repeat(9000)), None);
    }
}
