//! Response heads as HTTP/1 bytes, with the framing and connection fields of this hop.

use openclaw_core::message::lines::{Lines, push_field};
use openclaw_core::message::{Kind, ResponseBody, ResponseHead, Version, phrase};

/// How the payload of a response is delimited on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// As it is: the length is in the head, or the end is the close.
    Raw,
    Chunked,
}

/// What the request and the connection say about the response.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResponseTerms {
    pub version: Version,
    pub keep_alive: bool,
}

/// Writes a final head; tells how the payload is to be coded and whether the connection can live on.
pub(super) fn final_head(
    out: &mut Vec<u8>,
    head: &ResponseHead<'_>,
    terms: ResponseTerms,
) -> (Coding, bool) {
    let mut keep_alive = terms.keep_alive;
    let mut coding = Coding::Raw;
    push_start(out, head);
    match head.body {
        ResponseBody::None {
            declared: Some(length),
        }
        | ResponseBody::Length(length) => push_length(out, length),
        ResponseBody::None { declared: None } => {}
        ResponseBody::Chunked | ResponseBody::UntilClose if terms.version != Version::H10 => {
            coding = Coding::Chunked;
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        ResponseBody::Chunked | ResponseBody::UntilClose => keep_alive = false,
        ResponseBody::Tunnel => {
            out.extend_from_slice(b"Connection: upgrade\r\n\r\n");
            return (Coding::Raw, false);
        }
    }
    let option: &[u8] = if !keep_alive {
        b"close"
    } else if terms.version == Version::H10 {
        b"keep-alive"
    } else {
        b""
    };
    // Upgrade is never sent without its option (RFC 9110 §7.8).
    let upgrade = head.fields.iter().any(|field| field.kind == Kind::Upgrade);
    match (option, upgrade) {
        (b"", true) => out.extend_from_slice(b"Connection: upgrade\r\n"),
        (b"", false) => {}
        (option, true) => push_field(out, b"Connection", &[option, b", upgrade"].concat()),
        (option, false) => push_field(out, b"Connection", option),
    }
    out.extend_from_slice(b"\r\n");
    (coding, keep_alive)
}

/// Writes an interim (1xx) head.
pub(super) fn interim_head(out: &mut Vec<u8>, head: &ResponseHead<'_>) {
    push_start(out, head);
    out.extend_from_slice(b"\r\n");
}

fn push_start(out: &mut Vec<u8>, head: &ResponseHead<'_>) {
    let phrase = if head.phrase.is_empty() {
        phrase(head.status).as_bytes()
    } else {
        head.phrase
    };
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(head.status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(phrase);
    out.extend_from_slice(b"\r\n");
    let mut lines = Lines::new(out, head.source);
    for field in head.fields {
        if field.kind != Kind::ContentLength {
            lines.push(field);
        }
    }
    lines.end();
}

fn push_length(out: &mut Vec<u8>, length: u64) {
    push_field(
        out,
        b"Content-Length",
        itoa::Buffer::new().format(length).as_bytes(),
    );
}

/// The line before a chunk.
pub(super) fn push_chunk_size(out: &mut Vec<u8>, size: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut started = false;
    for shift in (0..usize::BITS / 4).rev() {
        let digit = (size >> (4 * shift)) & 0xf;
        started |= digit != 0;
        if started {
            out.push(DIGITS.get(digit).copied().unwrap_or(b'0'));
        }
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::{Coding, ResponseTerms, final_head, push_chunk_size};
    use openclaw_core::message::{Field, ResponseBody, ResponseHead, Version};

    fn check(body: ResponseBody, terms: (Version, bool), expected: &str, outcome: (Coding, bool)) {
        let fields = [Field::new(b"X", b"y")];
        let head = ResponseHead {
            status: 200,
            phrase: b"",
            fields: &fields,
            source: b"",
            body,
        };
        let mut out = Vec::new();
        let got = final_head(
            &mut out,
            &head,
            ResponseTerms {
                version: terms.0,
                keep_alive: terms.1,
            },
        );
        assert_eq!(
            String::from_utf8_lossy(&out),
            format!("HTTP/1.1 200 OK\r\nX: y\r\n{expected}\r\n")
        );
        assert_eq!(got, outcome);
    }

    #[test]
    fn framing_and_connection_fields_follow_the_body_and_the_version() {
        let length = ResponseBody::Length(5);
        check(
            length,
            (Version::H11, true),
            "Content-Length: 5\r\n",
            (Coding::Raw, true),
        );
        check(
            length,
            (Version::H11, false),
            "Content-Length: 5\r\nConnection: close\r\n",
            (Coding::Raw, false),
        );
        check(
            length,
            (Version::H10, true),
            "Content-Length: 5\r\nConnection: keep-alive\r\n",
            (Coding::Raw, true),
        );
        let chunked = "Transfer-Encoding: chunked\r\n";
        check(
            ResponseBody::Chunked,
            (Version::H11, true),
            chunked,
            (Coding::Chunked, true),
        );
        check(
            ResponseBody::UntilClose,
            (Version::H11, true),
            chunked,
            (Coding::Chunked, true),
        );
        check(
            ResponseBody::UntilClose,
            (Version::H10, true),
            "Connection: close\r\n",
            (Coding::Raw, false),
        );
        check(
            ResponseBody::None { declared: None },
            (Version::H11, true),
            "",
            (Coding::Raw, true),
        );
        check(
            ResponseBody::Tunnel,
            (Version::H11, true),
            "Connection: upgrade\r\n",
            (Coding::Raw, false),
        );
    }

    #[test]
    fn chunk_sizes_are_plain_hexadecimal() {
        let mut out = Vec::new();
        push_chunk_size(&mut out, 0x1a0f);
        assert_eq!(out, b"1a0f\r\n");
    }
}
