//! Method and target, whatever the wire: which of them no request may have.

use super::field::is_token;
use super::{Fault, bytes};
use crate::reason::Reason;

/// An origin-form target (RFC 9112 §3.2.1), whatever the wire.
pub(super) fn check_target(target: &[u8]) -> Result<(), Fault> {
    if target.first() != Some(&b'/') {
        return Err(Fault::malformed(
            "the request target is not a path (RFC 9112 §3.2)",
        ));
    }
    let classes = bytes::common(target);
    let is_plain = |text: &[u8]| bytes::common(text) & bytes::NO_BACKSLASH != 0;
    // Some origins read a backslash in a path as a slash.
    if classes & bytes::TARGET != 0
        && (classes & bytes::NO_BACKSLASH != 0 || is_plain(split_query(target).0))
    {
        Ok(())
    } else {
        Err(BAD_CHARACTER)
    }
}

/// The query of an absolute-form without a path, question mark included (RFC 9112 §3.2.2).
pub(super) fn check_query(query: &[u8]) -> Result<(), Fault> {
    if bytes::common(query) & bytes::TARGET != 0 {
        Ok(())
    } else {
        Err(BAD_CHARACTER)
    }
}

/// Path and query, without the question mark.
pub(super) fn split_query(target: &[u8]) -> (&[u8], &[u8]) {
    match target.iter().position(|byte| *byte == b'?') {
        Some(at) => (
            target.get(..at).unwrap_or_default(),
            target.get(at + 1..).unwrap_or_default(),
        ),
        None => (target, b""),
    }
}

const BAD_CHARACTER: Fault =
    Fault::malformed("a character that no request target may hold (RFC 3986 §2)");

/// Methods that a reverse proxy does not forward.
pub(super) fn check_method(method: &[u8]) -> Result<(), Fault> {
    if !is_token(method) {
        return Err(Fault::malformed(
            "the method is not a token (RFC 9110 §9.1)",
        ));
    }
    if method == b"CONNECT" {
        return Err(Fault {
            reason: Reason::MethodRefused,
            status: 405,
            detail: "CONNECT asks for a forward proxy (RFC 9110 §9.3.6)",
        });
    }
    Ok(())
}

/// What is wrong with a Transfer-Encoding: codings before a last `chunked` are not understood here, and everything else leaves
/// the end of the body to anybody's guess (RFC 9112 §6.1, §6.3).
pub(super) fn coding_fault(value: &[u8]) -> Fault {
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let mut codings = value.rsplit(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let last = codings.next().is_some_and(is_chunked);
    let mut others = codings.peekable();
    if last && others.peek().is_some() && others.all(|other| is_token(other) && !is_chunked(other))
    {
        return Fault {
            status: 501,
            ..Fault::smuggling("a transfer coding other than `chunked` (RFC 9112 §6.1)")
        };
    }
    Fault::smuggling("Transfer-Encoding is not exactly `chunked` (RFC 9112 §6.1)")
}
