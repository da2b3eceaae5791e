//! HTTP/1 heads: httparse splits the bytes, this module decides whether the message is one that has a single reading.

use std::mem::MaybeUninit;

use super::field::members;
use super::line::{check_method, check_query, check_target};
use super::request::{FieldFacts, parse_length};
use super::{
    Fault, Field, Fields, Framing, Kind, MAX_FIELDS, Request, Response, ResponseBody, Version,
    authority, websocket,
};
use crate::reason::Reason;

/// Parses a request head at the start of `buffer`; `None` while it is incomplete. The number is the head's length.
///
/// # Errors
/// The fault says how to answer. An incomplete head of `max` bytes or more is one.
pub fn parse_request<'f, 'a: 'f>(
    buffer: &'a [u8],
    max: usize,
    fields: &'f mut Fields<'a>,
) -> Result<Option<(Request<'f>, usize)>, Fault> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let length = match parsed.parse_with_uninit_headers(buffer, &mut headers) {
        Ok(httparse::Status::Complete(length)) if length <= max => length,
        Ok(httparse::Status::Partial) if buffer.len() < max => return Ok(None),
        Ok(_) => return Err(too_large(buffer, max)),
        Err(error) => return Err(request_fault(error, buffer)),
    };
    if has_bare_lf(buffer.get(..length).unwrap_or_default()) {
        return Err(Fault::malformed(
            "a line that ends with a bare LF (RFC 9112 §2.2)",
        ));
    }
    let (Some(method), Some(raw_target), Some(minor)) =
        (parsed.method, parsed.path, parsed.version)
    else {
        return Err(Fault::malformed("an incomplete request line"));
    };
    let version = if minor == 0 {
        Version::H10
    } else {
        Version::H11
    };
    let mut facts = FieldFacts::default();
    for header in parsed.headers.iter() {
        let field = Field::new(header.name.as_bytes(), header.value.trim_ascii());
        facts.note(&field)?;
        fields
            .try_push(field)
            .map_err(|_full| Fault::header_too_large("more than 100 fields"))?;
    }
    check_method(method.as_bytes())?;
    let (authority, target) = effective_target(method, raw_target.as_bytes(), version, &facts)?;
    let framing = request_framing(version, &facts)?;
    let h11 = version == Version::H11;
    Ok(Some((
        Request {
            method: method.as_bytes(),
            authority,
            target,
            version,
            framing,
            fields,
            head: buffer.get(..length).unwrap_or_default(),
            keep_alive: !facts.close && (h11 || facts.keep_alive),
            expects_continue: facts.expects_continue && h11 && framing != Framing::None,
            extended_connect: false,
            upgrade: h11 && facts.upgrade_option && facts.upgrade_field && framing == Framing::None,
            accepts_trailers: facts.accepts_trailers,
            max_forwards: facts.max_forwards(method.as_bytes())?,
        },
        length,
    )))
}

/// Authority and origin-form target, from Host and whatever form the target has (RFC 9112 §3.2).
fn effective_target<'a>(
    method: &str,
    raw: &'a [u8],
    version: Version,
    facts: &FieldFacts<'a>,
) -> Result<(&'a [u8], &'a [u8]), Fault> {
    let host = match facts.host {
        Some(host) => host,
        None if version == Version::H10 => b"",
        None => {
            return Err(Fault::malformed(
                "an HTTP/1.1 request without Host (RFC 9112 §3.2)",
            ));
        }
    };
    if !host.is_empty() {
        authority::check(host)?;
    } else if version == Version::H11 {
        return Err(Fault::malformed("an empty Host field"));
    }
    if raw.first() == Some(&b'/') {
        check_target(raw)?;
        return Ok((host, raw));
    }
    if raw == b"*" && method == "OPTIONS" {
        return Ok((host, raw));
    }
    let (scheme, rest) = split_scheme(raw).ok_or(Fault::malformed(
        "the request target is no path (RFC 9112 §3.2)",
    ))?;
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    let (named, path) = rest.split_at_checked(end).unwrap_or((rest, b""));
    authority::check(named)?;
    if !host.is_empty() && !authority::is_same(host, named, scheme) {
        return Err(Fault::smuggling(
            "the target names another host than Host (RFC 9112 §3.2.2)",
        ));
    }
    if path.is_empty() {
        // RFC 9112 §3.2.4: the last proxy turns this form of OPTIONS into `*`.
        let whole: &[u8] = if method == "OPTIONS" { b"*" } else { b"/" };
        return Ok((named, whole));
    }
    if path.first() == Some(&b'?') {
        check_query(path)?;
    } else {
        check_target(path)?;
    }
    Ok((named, path))
}

/// The scheme, as far as it is one of ours, and what stands behind `://`.
fn split_scheme(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    [&b"http"[..], b"https"].into_iter().find_map(|known| {
        let (scheme, rest) = raw.split_at_checked(known.len())?;
        let rest = rest.strip_prefix(b"://")?;
        scheme.eq_ignore_ascii_case(known).then_some((scheme, rest))
    })
}

fn request_framing(version: Version, facts: &FieldFacts<'_>) -> Result<Framing, Fault> {
    match (facts.chunked, facts.length) {
        (true, Some(_)) => Err(Fault::smuggling(
            "both Transfer-Encoding and Content-Length (RFC 9112 §6.3)",
        )),
        (true, None) if version == Version::H10 => Err(Fault::smuggling(
            "Transfer-Encoding in HTTP/1.0 (RFC 9112 §6.1)",
        )),
        (true, None) => Ok(Framing::Stream),
        (false, None | Some(0)) => Ok(Framing::None),
        (false, Some(length)) => Ok(Framing::Length(length)),
    }
}

/// A request line that does not fit is 414 (RFC 9110 §15.5.15, RFC 9112 §3), fields that do not fit behind one that does are 431 (RFC
/// 6585 §5), however much of the head has arrived.
fn too_large(buffer: &[u8], max: usize) -> Fault {
    // Empty lines before it do not count (RFC 9112 §2.2).
    let begin = buffer.iter().position(|byte| !b"\r\n".contains(byte));
    let line = buffer.get(begin.unwrap_or(buffer.len())..);
    let line = line.unwrap_or_default().iter().take(max);
    if line.into_iter().any(|byte| *byte == b'\n') {
        return Fault::header_too_large("the head is larger than max_header");
    }
    Fault {
        reason: Reason::UriTooLong,
        status: 414,
        detail: "the request line is larger than max_header",
    }
}

/// Whether the request line has three parts, and the third is a version, though none of ours (RFC 9112 §2.3).
fn names_a_version(buffer: &[u8]) -> bool {
    let line = buffer.trim_ascii_start();
    let line = line.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut parts = line.splitn(3, |byte| *byte == b' ').skip(2);
    let version = parts.next().and_then(|part| part.strip_prefix(b"HTTP/"));
    matches!(version, Some([major, b'.', minor]) if major.is_ascii_digit() && minor.is_ascii_digit())
}

fn request_fault(error: httparse::Error, buffer: &[u8]) -> Fault {
    match error {
        httparse::Error::TooManyHeaders => Fault::header_too_large("more than 100 fields"),
        httparse::Error::Version if names_a_version(buffer) => Fault {
            reason: Reason::VersionRefused,
            status: 505,
            detail: "an HTTP version other than 1.0 and 1.1 on an HTTP/1 connection",
        },
        httparse::Error::HeaderName => {
            Fault::malformed("a field name that is no token (RFC 9112 §5.1)")
        }
        httparse::Error::HeaderValue => {
            Fault::malformed("a control character in a field value (RFC 9110 §5.5)")
        }
        httparse::Error::NewLine => Fault::malformed("a bare CR (RFC 9112 §2.2)"),
        httparse::Error::Version | httparse::Error::Token | httparse::Error::Status => {
            Fault::malformed("a malformed request line (RFC 9112 §3)")
        }
    }
}

#[expect(
    clippy::needless_bitwise_bool,
    reason = "without branches the compiler makes vector code of the loop"
)]
fn has_bare_lf(head: &[u8]) -> bool {
    let after = head.get(1..).unwrap_or_default();
    let pairs = head.iter().zip(after);
    let inside = pairs.fold(false, |bad, (a, b)| bad | ((*b == b'\n') & (*a != b'\r')));
    inside || head.first() == Some(&b'\n')
}

/// Parses a response head at the start of `buffer`; `None` while it is incomplete.
///
/// # Errors
/// Always of reason `UpstreamBadResponse`.
pub fn parse_response<'f, 'a: 'f>(
    buffer: &'a [u8],
    max: usize,
    asked: Asked,
    fields: &'f mut Fields<'a>,
) -> Result<Option<(Response<'f>, usize)>, Fault> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let mut config = httparse::ParserConfig::default();
    // To be taken off, whatever the endpoint means by it (RFC 9112 §5.1).
    config.allow_spaces_after_header_name_in_responses(true);
    let length = match config.parse_response_with_uninit_headers(&mut parsed, buffer, &mut headers)
    {
        Ok(httparse::Status::Complete(length)) if length <= max => length,
        Ok(httparse::Status::Partial) if buffer.len() < max => return Ok(None),
        Ok(_) => return Err(bad_response("the response head is too large")),
        Err(_) => {
            return Err(bad_response(
                "the response head breaks the grammar of HTTP/1 (RFC 9112 §4, §5)",
            ));
        }
    };
    let (Some(status), Some(minor)) = (parsed.code, parsed.version) else {
        return Err(bad_response("an incomplete status line"));
    };
    if status < 100 || (status == 101 && !asked.upgrade) {
        return Err(bad_response("a status that the request did not allow"));
    }
    let mut facts = ResponseFacts::default();
    for header in parsed.headers.iter() {
        let field = Field::new(header.name.as_bytes(), header.value.trim_ascii());
        facts.note(&field)?;
        fields
            .try_push(field)
            .map_err(|_full| bad_response("the response has more than 100 fields"))?;
    }
    if let Some(key) = &asked.websocket {
        websocket::check(status, fields, key)?;
    }
    let body = response_body(status, minor, asked, &facts)?;
    let keep_alive = !facts.close
        && (minor == 1 || facts.keep_alive)
        && !matches!(body, ResponseBody::UntilClose | ResponseBody::Tunnel);
    let phrase = parsed.reason.unwrap_or_default().as_bytes();
    Ok(Some((
        Response {
            status,
            phrase,
            fields,
            head: buffer.get(..length).unwrap_or_default(),
            body,
            keep_alive,
        },
        length,
    )))
}

/// What of the request decides how its response is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// Whether it answers HEAD, so that no body follows whatever the head says.
    pub head: bool,
    /// Whether the request asked for another protocol, so that a 101 may come.
    pub upgrade: bool,
    /// The key of a WebSocket that this hop opens for a client on a stream: only what answers it is a 101.
    pub websocket: Option<websocket::Key>,
}

#[derive(Debug, Default)]
struct ResponseFacts {
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
}

impl ResponseFacts {
    fn note(&mut self, field: &Field<'_>) -> Result<(), Fault> {
        match field.kind {
            Kind::ContentLength => {
                let length = parse_length(field.value)
                    .ok_or(bad_response("Content-Length is not a plain number"))?;
                if self.length.is_some_and(|known| known != length) {
                    return Err(bad_response(
                        "two different Content-Length fields (RFC 9112 §6.3)",
                    ));
                }
                self.length = Some(length);
            }
            Kind::TransferEncoding => {
                if self.chunked || !field.value.eq_ignore_ascii_case(b"chunked") {
                    return Err(bad_response("Transfer-Encoding is not exactly `chunked`"));
                }
                self.chunked = true;
            }
            Kind::Connection => {
                for option in members(field.value) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn response_body(
    status: u16,
    minor: u8,
    asked: Asked,
    facts: &ResponseFacts,
) -> Result<ResponseBody, Fault> {
    if status == 101 {
        return Ok(ResponseBody::Tunnel);
    }
    if status < 200 || status == 204 {
        return Ok(ResponseBody::None { declared: None });
    }
    if facts.chunked && (facts.length.is_some() || minor == 0) {
        return Err(bad_response(
            "Transfer-Encoding beside Content-Length or in HTTP/1.0 (RFC 9112 §6.3)",
        ));
    }
    if asked.head || status == 304 {
        return Ok(ResponseBody::None {
            declared: facts.length,
        });
    }
    Ok(match (facts.chunked, facts.length) {
        (true, _) => ResponseBody::Chunked,
        (false, Some(length)) => ResponseBody::Length(length),
        (false, None) => ResponseBody::UntilClose,
    })
}

/// The endpoint's fault.
pub const fn bad_response(detail: &'static str) -> Fault {
    Fault {
        reason: Reason::UpstreamBadResponse,
        status: 502,
        detail,
    }
}
