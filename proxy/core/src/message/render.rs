//! Heads as HTTP/1 bytes: the request for an endpoint, and which fields of a response go on to the client.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::field::{is_alias, members};
use super::lines::{Lines, push_field};
use super::{Field, Fields, Framing, Kind, Request, bytes, forwarded, via, websocket};
use crate::config::{Cdn, Forwarded, HeaderEdit};

/// Room for what this hop adds to a head.
const OWN_FIELDS: usize = 512;

/// What this hop adds to a request.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    /// The socket peer's address as text.
    pub peer: &'a str,
    /// The peer is one of `trusted_proxies`: what it says about the client is believed and extended.
    pub trusted: bool,
    /// The networks that may name their clients in fields of their own.
    pub cdns: &'a [Arc<Cdn>],
    /// One of them has named the client, so that what else is said of the way until there is anybody's.
    pub by_cdn: bool,
    /// Which fields tell the endpoint of the client.
    pub forwarded: Forwarded,
    /// Whose request it is, as far as the trusted say so: see `client`.
    pub client: IpAddr,
    /// `http` or `https`, as the client came.
    pub scheme: &'static str,
    /// Where the request came in; the Host for HTTP/1.0 requests that have none.
    pub local: SocketAddr,
    /// The value of `X-Request-Id`.
    pub request_id: &'a str,
    /// The value of `traceparent` (W3C Trace Context).
    pub traceparent: &'a str,
    /// The target for the endpoint, where a prefix is stripped.
    pub target: &'a [u8],
    /// The request came as early data (RFC 8470 §5.1).
    pub early: bool,
    /// For an extended CONNECT: the challenge that this hop makes in place of the client.
    pub websocket_key: Option<&'a websocket::Key>,
    /// What the route does to the fields, after everything else; all of it filled in.
    pub edits: &'a HeaderEdit,
}

/// Writes the request head for an HTTP/1 endpoint; the framing is written anew from what was understood.
pub fn request_head(out: &mut Vec<u8>, request: &Request<'_>, hop: &Hop<'_>) {
    out.reserve(request.head.len() + OWN_FIELDS);
    out.extend_from_slice(request.method);
    out.push(b' ');
    out.extend_from_slice(hop.target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    if !edits_name(hop.edits, b"host") {
        out.extend_from_slice(b"Host: ");
        if request.authority.is_empty() {
            out.extend_from_slice(hop.local.to_string().as_bytes());
        } else {
            out.extend_from_slice(request.authority);
        }
        out.extend_from_slice(b"\r\n");
    }
    let options = Options::of(request.fields);
    let mut lines = Lines::new(out, request.head);
    for field in request.fields {
        if !is_forwarded(field, options, hop) || edits_name(hop.edits, field.name) {
            continue;
        }
        match field.kind {
            // A proxy that is trusted may still pass on what a client wrote into fields that it does not know: an endpoint
            // must not be told of another client than the one that was decided about here.
            Kind::Forwarded if request.known(Kind::XForwardedFor).is_some() => {}
            Kind::XRealIp if !names(field.value, hop.client) => {}
            Kind::Expect if !request.expects_continue => {}
            Kind::MaxForwards if request.max_forwards.is_some() => {}
            Kind::WebSocketKey if request.extended_connect => {}
            Kind::Cookie => push_cookies(&mut lines, field, request.fields),
            _ => lines.push(field),
        }
    }
    lines.end();
    forwarded::push(out, request, hop);
    push_own(
        out,
        hop,
        "x-request-id",
        b"X-Request-Id: ",
        hop.request_id.as_bytes(),
    );
    push_own(
        out,
        hop,
        "traceparent",
        b"traceparent: ",
        hop.traceparent.as_bytes(),
    );
    push_own(out, hop, "via", b"Via: ", via::entry(request.version));
    push_hops(out, request, hop);
    if hop.early && request.field(b"early-data").is_none() {
        push_own(out, hop, "early-data", b"Early-Data: ", b"1");
    }
    push_edits(out, hop.edits);
    push_framing(out, request, hop);
    out.extend_from_slice(b"\r\n");
}

/// Framing, and what speaks about this hop's connection.
fn push_framing(out: &mut Vec<u8>, request: &Request<'_>, hop: &Hop<'_>) {
    match request.framing {
        Framing::None if matches!(request.method, b"POST" | b"PUT" | b"PATCH") => {
            out.extend_from_slice(b"Content-Length: 0\r\n");
        }
        Framing::None => {}
        Framing::Length(length) => {
            push_field(
                out,
                b"Content-Length",
                itoa::Buffer::new().format(length).as_bytes(),
            );
        }
        Framing::Stream => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    }
    if request.accepts_trailers {
        out.extend_from_slice(b"TE: trailers\r\n");
    }
    if request.upgrade && may_upgrade(request) {
        if let Some(protocol) = request.known(Kind::Upgrade) {
            push_field(out, b"Upgrade", protocol);
            if let Some(key) = hop.websocket_key {
                push_field(out, b"Sec-WebSocket-Key", key);
            }
            out.extend_from_slice(b"Connection: upgrade\r\n");
        }
    } else if request.accepts_trailers {
        out.extend_from_slice(b"Connection: TE\r\n");
    }
}

/// The names in Connection beyond the usual options, as one list; empty, as it mostly is, if there are none.
pub fn named(fields: &[Field<'_>]) -> Vec<u8> {
    let options = Options::of(fields);
    let mut list = Vec::new();
    for value in options.values().filter(|_| options.any) {
        push_all(&mut list, &[value, b","]);
    }
    list
}

/// Whether a list made by [`named`] has this name: then the trailer of that name goes no further (RFC 9110 §7.6.1).
pub fn is_named(list: &[u8], name: &[u8]) -> bool {
    members(list).any(|option| option.eq_ignore_ascii_case(name))
}

/// An upgrade to h2c would carry requests past this proxy's checks, so it is not passed on.
pub fn may_upgrade(request: &Request<'_>) -> bool {
    request.known(Kind::Upgrade).is_some_and(|protocols| {
        !members(protocols).any(|protocol| {
            protocol
                .get(..2)
                .is_some_and(|p| p.eq_ignore_ascii_case(b"h2"))
        })
    })
}

/// What the client offers to switch to, if that may go on.
pub fn offered(request: &Request<'_>) -> Vec<u8> {
    if request.extended_connect {
        return b"websocket".to_vec();
    }
    let upgrade = request.upgrade && may_upgrade(request);
    let protocols = request.known(Kind::Upgrade).filter(|_| upgrade);
    protocols.unwrap_or_default().to_vec()
}

/// End-to-end, not listed in Connection, not something only a trusted proxy may say, not an alias of such a field.
fn is_forwarded(field: &Field<'_>, options: Options<'_, '_>, hop: &Hop<'_>) -> bool {
    match field.kind {
        // Proxy-Authorization is for this hop, though this proxy asks for no credentials of its own.
        Kind::Host
        | Kind::XForwardedFor
        | Kind::XRequestId
        | Kind::Traceparent
        | Kind::ProxyAuthorization => return false,
        Kind::XForwarded
        | Kind::XForwardedHost
        | Kind::XForwardedProto
        | Kind::Forwarded
        | Kind::XRealIp => {
            return forwarded::passes(field.kind, hop);
        }
        kind if kind.is_hop_by_hop() => return false,
        _ => {}
    }
    if options.list(field) {
        return false;
    }
    if hop.cdns.iter().any(|cdn| cdn.writes(field.name)) {
        return hop.trusted && !bytes::has(field.name, b'_') && names(field.value, hop.client);
    }
    !bytes::has(field.name, b'_') || !is_alias(field.name)
}

fn names(value: &[u8], client: IpAddr) -> bool {
    let address = str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok());
    address.is_some_and(|address: IpAddr| address.to_canonical() == client)
}

/// The Connection options of a message beyond `close`, `keep-alive` and `upgrade`: names of hop-by-hop fields.
#[derive(Clone, Copy)]
struct Options<'f, 'a> {
    fields: &'f [Field<'a>],
    any: bool,
}

impl<'f, 'a> Options<'f, 'a> {
    fn of(fields: &'f [Field<'a>]) -> Self {
        let plain = |option: &[u8]| {
            [&b"close"[..], b"keep-alive", b"upgrade"]
                .iter()
                .any(|known| option.eq_ignore_ascii_case(known))
        };
        let any = Self { fields, any: true }
            .values()
            .any(|value| !plain(value) && !members(value).all(plain));
        Self { fields, any }
    }

    fn values(&self) -> impl Iterator<Item = &'a [u8]> {
        self.fields
            .iter()
            .filter(|field| field.kind == Kind::Connection)
            .map(|field| field.value)
    }

    /// Whether the field is listed, and is one that may be.
    fn list(&self, field: &Field<'_>) -> bool {
        self.any
            && !field.kind.is_protected()
            && self
                .values()
                .any(|value| members(value).any(|option| field.is(option)))
    }
}

/// The crumbs that HTTP/2 clients make of one Cookie field are one field again (RFC 9113 §8.2.3), where the first was.
fn push_cookies(lines: &mut Lines<'_, '_>, field: &Field<'_>, fields: &[Field<'_>]) {
    let mut crumbs = fields.iter().filter(|field| field.kind == Kind::Cookie);
    if !crumbs
        .next()
        .is_some_and(|first| std::ptr::eq(first, field))
    {
        return;
    }
    let mut crumbs = crumbs.peekable();
    if crumbs.peek().is_none() {
        lines.push(field);
        return;
    }
    let out = lines.out();
    push_all(out, &[field.name, b": ", field.value]);
    for crumb in crumbs {
        push_all(out, &[b"; ", crumb.value]);
    }
    out.extend_from_slice(b"\r\n");
}

/// What is left of the hops that the request may take (RFC 9110 §7.6.2).
fn push_hops(out: &mut Vec<u8>, request: &Request<'_>, hop: &Hop<'_>) {
    if let Some(hops) = request.max_forwards {
        let mut digits = itoa::Buffer::new();
        let left = digits.format(hops.saturating_sub(1)).as_bytes();
        push_own(out, hop, "max-forwards", b"Max-Forwards: ", left);
    }
}

/// A field that this hop writes, unless the route's edits say otherwise. `start` is its name as it is written, with the colon.
#[inline]
pub(super) fn push_own<const N: usize>(
    out: &mut Vec<u8>,
    hop: &Hop<'_>,
    name: &str,
    start: &[u8; N],
    value: &[u8],
) {
    if !edits_name(hop.edits, name.as_bytes()) {
        out.extend_from_slice(start);
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
}

/// Whether a 101 names a protocol, and none but what was offered (RFC 9110 §7.8).
pub fn switches_as_offered(received: &[Field<'_>], offered: &[u8]) -> bool {
    let mut chosen = received
        .iter()
        .filter(|field| field.kind == Kind::Upgrade)
        .flat_map(|field| members(field.value))
        .peekable();
    chosen.peek().is_some() && chosen.all(|protocol| is_named(offered, protocol))
}

/// Chooses the response fields that go on to the client; framing and connection fields are the wire's own. `upgrade`: the client
/// is to learn of Upgrade. Nothing in the edits is left to be filled in.
pub fn response_fields<'a>(
    received: &[Field<'a>],
    edits: &'a HeaderEdit,
    upgrade: bool,
    kept: &mut Fields<'a>,
) {
    let options = Options::of(received);
    for field in received {
        let told = upgrade && field.kind == Kind::Upgrade;
        let hop_by_hop = field.kind.is_hop_by_hop() || options.list(field);
        if (hop_by_hop && !told) || field.kind == Kind::Server || edits_name(edits, field.name) {
            continue;
        }
        // `kept` has room for every received field; only additions can overflow it.
        kept.push(*field);
    }
    for (name, value) in edits.set.iter().chain(&edits.add) {
        let value = value.plain().unwrap_or_default();
        if kept.try_push(Field::new(name.as_bytes(), value)).is_err() {
            return;
        }
    }
}

/// The fields of a response that are not about one connection (RFC 9110 §7.6.1).
pub fn end_to_end<'a>(received: &[Field<'a>]) -> Fields<'a> {
    let options = Options::of(received);
    let mut kept = Fields::new();
    let all = received.iter();
    kept.extend(
        all.filter(|field| !field.kind.is_hop_by_hop() && !options.list(field))
            .copied(),
    );
    kept
}

/// Adds a field of this hop's own to a response, unless the endpoint or the route has something to say of it.
pub fn response_field<'a>(kept: &mut Fields<'a>, edits: &HeaderEdit, field: Field<'a>) {
    if !edits_name(edits, field.name) && !kept.iter().any(|known| known.is(field.name)) {
        // A full list goes without.
        let _ = kept.try_push(field);
    }
}

#[inline]
pub(super) fn edits_name(edits: &HeaderEdit, name: &[u8]) -> bool {
    !(edits.set.is_empty() && edits.remove.is_empty()) && has_edit(edits, name)
}

fn has_edit(edits: &HeaderEdit, name: &[u8]) -> bool {
    let is = |known: &str| known.as_bytes().eq_ignore_ascii_case(name);
    edits.set.iter().any(|(known, _)| is(known)) || edits.remove.iter().any(|known| is(known))
}

fn push_edits(out: &mut Vec<u8>, edits: &HeaderEdit) {
    for (name, value) in edits.set.iter().chain(&edits.add) {
        push_field(out, name.as_bytes(), value.plain().unwrap_or_default());
    }
}

#[inline]
fn push_all(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}
