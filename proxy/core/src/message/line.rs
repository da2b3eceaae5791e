//! Method and target, whatever the wire: which of them no request may have.

use super::Fault;
use super::field::is_token;
use crate::reason::Reason;

/// Visible ASCII without those that no URI holds raw. Browsers leave braces, bars, carets and backquotes in queries, so
/// these pass.
fn is_target_byte(byte: u8) -> bool {
    byte > 0x20 && byte < 0x7f && !matches!(byte, b'#' | b'"' | b'<' | b'>')
}

/// An origin-form target (RFC 9112 §3.2.1), whatever the wire.
pub(super) fn check_target(target: &[u8]) -> Result<(), Fault> {
    if target.first() != Some(&b'/') {
        return Err(Fault::malformed(
            "the request target is not a path (RFC 9112 §3.2)",
        ));
    }
    let path_end = memchr::memchr(b'?', target).unwrap_or(target.len());
    let path = target.get(..path_end).unwrap_or_default();
    // Some origins read a backslash in a path as a slash.
    if target.iter().all(|byte| is_target_byte(*byte)) && memchr::memchr(b'\\', path).is_none() {
        Ok(())
    } else {
        Err(BAD_CHARACTER)
    }
}

/// The query of an absolute-form without a path, question mark included (RFC 9112 §3.2.2).
pub(super) fn check_query(query: &[u8]) -> Result<(), Fault> {
    if query.iter().all(|byte| is_target_byte(*byte)) {
        Ok(())
    } else {
        Err(BAD_CHARACTER)
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
