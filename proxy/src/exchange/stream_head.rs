//! Heads between their form as lines and the `http` types of the `h2` crate.

use h2::ext::Protocol;
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use openclaw_core::message::h1::bad_response;
use openclaw_core::message::{Fault, Field, Fields, Kind, render};

/// A rendered head, which is ours and well-formed, as a request of HTTP/2. Nothing if it has something in it that this
/// form cannot express. `protocol`: what an Upgrade asks for, as an extended CONNECT (RFC 8441 §4).
pub(super) fn request(
    head: &[u8],
    is_secured: bool,
    protocol: Option<&str>,
) -> Option<Request<()>> {
    let (start, lines) = head.split_at_checked(memchr::memchr(b'\n', head)? + 1)?;
    let mut start = start.trim_ascii_end().split(|byte| *byte == b' ');
    let (method, target) = (start.next()?, start.next()?);
    let mut authority = None;
    let mut fields = HeaderMap::with_capacity(32);
    for (name, value) in split(lines) {
        let kind = Kind::of(name);
        if kind == Kind::Host {
            authority = Some(Authority::try_from(value).ok()?);
        } else if kind == Kind::WebSocketKey && protocol.is_some() {
            // The challenge has no place on a stream (RFC 8441 §5).
        } else if kind == Kind::Te || kind == Kind::ContentLength || !kind.is_hop_by_hop() {
            let name = HeaderName::from_bytes(name).ok()?;
            fields
                .try_append(name, HeaderValue::from_bytes(value).ok()?)
                .ok()?;
        }
    }
    let uri = Uri::builder()
        .scheme(if is_secured {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        })
        .authority(authority?)
        .path_and_query(PathAndQuery::try_from(target).ok()?)
        .build()
        .ok()?;
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(method).ok()?;
    if let Some(protocol) = protocol {
        *request.method_mut() = Method::CONNECT;
        request.extensions_mut().insert(Protocol::from(protocol));
    }
    *request.uri_mut() = uri;
    *request.headers_mut() = fields;
    Some(request)
}

/// Trailer lines but those in `named`, see [`render::named`]; nothing if there are none.
pub(super) fn trailers(lines: &[u8], named: &[u8]) -> Option<HeaderMap> {
    let mut fields = HeaderMap::new();
    let kept = split(lines).filter(|(name, _)| !render::is_named(named, name));
    for (name, value) in kept {
        // Both were checked when they came, and a proxy may leave trailers out (RFC 9110 §6.5.1).
        if let Ok(name) = HeaderName::from_bytes(name)
            && let Ok(value) = HeaderValue::from_bytes(value)
        {
            let _ = fields.try_append(name, value);
        }
    }
    (!fields.is_empty()).then_some(fields)
}

/// The fields of a response as views.
pub(super) fn fields<'a>(map: &'a HeaderMap, fields: &mut Fields<'a>) -> Result<(), Fault> {
    for (name, value) in map {
        let field = Field::new(name.as_str().as_bytes(), value.as_bytes().trim_ascii());
        fields
            .try_push(field)
            .map_err(|_full| bad_response("the response has more than 100 fields"))?;
    }
    Ok(())
}

/// The value of a field of a rendered head.
pub(super) fn value(head: &[u8], kind: Kind) -> Option<&[u8]> {
    let mut fields = split(head).filter(|(name, _)| Kind::of(name) == kind);
    fields.next().map(|(_, value)| value)
}

/// The names and values of lines.
pub(super) fn split(lines: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines.split(|byte| *byte == b'\n').filter_map(|line| {
        let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
        Some((name, value.get(1..)?.trim_ascii()))
    })
}
