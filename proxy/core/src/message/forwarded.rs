//! What endpoints are told of the client: X-Forwarded-For, -Proto and -Host, and Forwarded (RFC 7239). What a trusted proxy
//! said goes on, with this hop behind it; what anybody else said is replaced.

use std::net::IpAddr;

use super::field::members;
use super::render::{Hop, edits_name, push_own};
use super::said::Said;
use super::{Kind, Request};
use crate::config::Forwarded;

/// Writes the fields that the upstream is to have.
pub(super) fn push(out: &mut Vec<u8>, request: &Request<'_>, hop: &Hop<'_>) {
    if hop.forwarded != Forwarded::Rfc7239 {
        push_older(out, request, hop);
    }
    if hop.forwarded != Forwarded::X && !edits_name(hop.edits, b"forwarded") {
        push_standard(out, request, hop);
    }
}

/// Whether a field as received, which a trusted proxy may write, goes on as it is.
pub(super) fn passes(kind: Kind, hop: &Hop<'_>) -> bool {
    match kind {
        // Written anew, with this hop behind it.
        Kind::Forwarded => hop.trusted && hop.forwarded == Forwarded::X,
        Kind::XForwardedHost | Kind::XForwardedProto => {
            hop.trusted && hop.forwarded != Forwarded::Rfc7239
        }
        _ => hop.trusted,
    }
}

fn push_older(out: &mut Vec<u8>, request: &Request<'_>, hop: &Hop<'_>) {
    // A proxy that speaks of its client in Forwarded alone is understood by endpoints that know the older fields alone.
    let said = (hop.trusted && !hop.by_cdn).then(|| Said::of(request.fields, hop.client));
    let said = said.flatten();
    if !edits_name(hop.edits, b"x-forwarded-for") {
        push_forwarded_for(out, request, hop, said.as_ref());
    }
    if !(hop.trusted && request.known(Kind::XForwardedProto).is_some()) {
        let scheme = said.as_ref().and_then(|said| said.proto);
        let scheme = scheme.unwrap_or(hop.scheme.as_bytes());
        push_own(
            out,
            hop,
            "x-forwarded-proto",
            b"X-Forwarded-Proto: ",
            scheme,
        );
    }
    let host_is_said = hop.trusted && request.known(Kind::XForwardedHost).is_some();
    let host = said.as_ref().and_then(|said| said.host);
    let host = host.unwrap_or(request.authority);
    if !host_is_said && !host.is_empty() {
        push_own(out, hop, "x-forwarded-host", b"X-Forwarded-Host: ", host);
    }
}

fn push_forwarded_for(
    out: &mut Vec<u8>,
    request: &Request<'_>,
    hop: &Hop<'_>,
    said: Option<&Said<'_>>,
) {
    out.extend_from_slice(b"X-Forwarded-For: ");
    if hop.by_cdn {
        push_all(out, &[hop.client.to_string().as_bytes(), b", "]);
    } else if hop.trusted {
        for value in values(request, Kind::XForwardedFor) {
            push_all(out, &[value, b", "]);
        }
        for said in said.into_iter().flat_map(|said| &said.hops) {
            let said = said.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string());
            push_all(out, &[said.as_bytes(), b", "]);
        }
    }
    out.extend_from_slice(hop.peer.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// One line. Of the two fields that may name the client the one that decided is told.
fn push_standard(out: &mut Vec<u8>, request: &Request<'_>, hop: &Hop<'_>) {
    out.extend_from_slice(b"Forwarded: ");
    if hop.by_cdn {
        push_node(out, hop.client.to_string().as_bytes());
        push_pair(out, b";host=", request.known(Kind::XForwardedHost));
        push_pair(out, b";proto=", request.known(Kind::XForwardedProto));
        out.extend_from_slice(b", ");
    } else if hop.trusted && request.known(Kind::XForwardedFor).is_some() {
        let hops = values(request, Kind::XForwardedFor).flat_map(members);
        let mut hops = hops.peekable();
        while let Some(hop) = hops.next() {
            push_node(out, hop);
            if hops.peek().is_none() {
                // As the proxy behind it was asked.
                push_pair(out, b";host=", request.known(Kind::XForwardedHost));
                push_pair(out, b";proto=", request.known(Kind::XForwardedProto));
            }
            out.extend_from_slice(b", ");
        }
    } else if hop.trusted {
        for value in values(request, Kind::Forwarded) {
            push_all(out, &[value, b", "]);
        }
    }
    push_node(out, hop.peer.as_bytes());
    let authority = Some(request.authority).filter(|authority| !authority.is_empty());
    push_pair(out, b";host=", authority);
    push_all(out, &[b";proto=", hop.scheme.as_bytes(), b"\r\n"]);
}

/// RFC 7239 §6: an IPv6 address in brackets and quoted; what is no address is not told on.
fn push_node(out: &mut Vec<u8>, node: &[u8]) {
    let address = str::from_utf8(node).ok().and_then(|text| text.parse().ok());
    match address {
        Some(IpAddr::V4(_)) => push_all(out, &[b"for=", node]),
        Some(IpAddr::V6(_)) => push_all(out, &[b"for=\"[", node, b"]\""]),
        None => out.extend_from_slice(b"for=unknown"),
    }
}

/// A quoted value; one that cannot be quoted as it is is left out.
fn push_pair(out: &mut Vec<u8>, name: &[u8], value: Option<&[u8]>) {
    let value = value.filter(|value| !value.iter().any(|byte| b"\"\\".contains(byte)));
    if let Some(value) = value {
        push_all(out, &[name, b"\"", value, b"\""]);
    }
}

fn values<'a>(request: &Request<'a>, kind: Kind) -> impl Iterator<Item = &'a [u8]> {
    let fields = request.fields.iter();
    fields
        .filter(move |field| field.kind == kind && !field.value.is_empty())
        .map(|field| field.value)
}

fn push_all(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}
