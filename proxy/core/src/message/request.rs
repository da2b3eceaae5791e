//! A request head, checked: the same for HTTP/1 bytes and for an HTTP/2 header list.

use super::field::{is_lower_token, is_value, members};
use super::line::{check_method, check_target, coding_fault, split_query};
use super::list::HeaderList;
use super::{Fault, Field, Fields, Framing, Kind, Version, authority};
use crate::reason::Reason;

/// A valid request head. Routing, filters and the head for the endpoint are made from this view.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// As received.
    pub method: &'a [u8],
    /// Host and optional port; empty only in HTTP/1.0 without Host.
    pub authority: &'a [u8],
    /// Path and query as received, or `*`. An absolute-form may have had a query and no path: then there is none here.
    pub target: &'a [u8],
    /// Of the wire it came over.
    pub version: Version,
    /// How long its body is.
    pub framing: Framing,
    /// Every field as received, Host and framing included: whoever renders them leaves those out by kind.
    pub fields: &'a [Field<'a>],
    /// HTTP/1: the whole head as received, in which fields lie; empty for any other wire.
    pub head: &'a [u8],
    /// HTTP/1: whether the connection may carry another request.
    pub keep_alive: bool,
    /// Whether the client waits for a 100 before it sends the body.
    pub expects_continue: bool,
    /// HTTP/1 `Connection: upgrade` with an Upgrade field (RFC 9110 §7.8).
    pub upgrade: bool,
    /// An extended CONNECT for a WebSocket (RFC 8441, RFC 9220). Method, fields and `upgrade` are those of the GET that it
    /// stands for, so that routes and filters see one thing on every wire.
    pub extended_connect: bool,
    /// The client said `TE: trailers`.
    pub accepts_trailers: bool,
    /// How many more hops a TRACE or OPTIONS may go, if it says so (RFC 9110 §7.6.2).
    pub max_forwards: Option<u8>,
}

impl<'a> Request<'a> {
    /// The path without the query.
    pub fn path(&self) -> &'a [u8] {
        match split_query(self.target).0 {
            [] => b"/",
            path => path,
        }
    }

    /// The query without its question mark; empty when there is none.
    pub fn query(&self) -> &'a [u8] {
        split_query(self.target).1
    }

    /// The first value of a field.
    pub fn field(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.fields
            .iter()
            .find(|field| field.is(name))
            .map(|field| field.value)
    }

    /// The first value of a field of a known kind.
    pub fn known(&self, kind: Kind) -> Option<&'a [u8]> {
        self.fields
            .iter()
            .find(|field| field.kind == kind)
            .map(|field| field.value)
    }
}

/// What the fields of a head say about framing and connection; filled in one pass.
#[derive(Debug, Default)]
pub(super) struct FieldFacts<'a> {
    pub host: Option<&'a [u8]>,
    pub length: Option<u64>,
    pub chunked: bool,
    pub close: bool,
    pub keep_alive: bool,
    pub upgrade_option: bool,
    pub upgrade_field: bool,
    pub expects_continue: bool,
    pub accepts_trailers: bool,
    max_forwards: Option<&'a [u8]>,
    max_forwards_again: bool,
}

impl<'a> FieldFacts<'a> {
    /// Takes note of one field of an HTTP/1 request.
    pub(super) fn note(&mut self, field: &Field<'a>) -> Result<(), Fault> {
        match field.kind {
            Kind::Host if self.host.replace(field.value).is_some() => {
                return Err(Fault::smuggling("more than one Host field (RFC 9112 §3.2)"));
            }
            Kind::ContentLength => self.note_length(field.value)?,
            Kind::TransferEncoding => {
                if self.chunked || !field.value.eq_ignore_ascii_case(b"chunked") {
                    return Err(coding_fault(field.value));
                }
                self.chunked = true;
            }
            Kind::Connection => {
                for option in members(field.value) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                    self.upgrade_option |= option.eq_ignore_ascii_case(b"upgrade");
                }
            }
            Kind::Upgrade => self.upgrade_field = true,
            Kind::MaxForwards => {
                self.max_forwards_again = self.max_forwards.replace(field.value).is_some();
            }
            Kind::Expect => {
                if !field.value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Fault {
                        reason: Reason::Malformed,
                        status: 417,
                        detail: "an expectation other than 100-continue (RFC 9110 §10.1.1)",
                    });
                }
                self.expects_continue = true;
            }
            Kind::Te => {
                self.accepts_trailers |=
                    members(field.value).any(|m| m.eq_ignore_ascii_case(b"trailers"));
            }
            _ => {}
        }
        Ok(())
    }

    /// How far a request of this method may still go (RFC 9110 §7.6.2).
    pub(super) fn max_forwards(&self, method: &[u8]) -> Result<Option<u8>, Fault> {
        let Some(value) = self.max_forwards else {
            return Ok(None);
        };
        if !matches!(method, b"TRACE" | b"OPTIONS") {
            return Ok(None);
        }
        let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        if self.max_forwards_again || !is_number {
            return Err(Fault::malformed(
                "Max-Forwards is not one number (RFC 9110 §7.6.2)",
            ));
        }
        let number = value.iter().fold(0u8, |sum, digit| {
            sum.saturating_mul(10).saturating_add(digit - b'0')
        });
        Ok(Some(number))
    }

    /// One value of digits; a second field must not differ, and lists are refused (RFC 9112 §6.3).
    pub(super) fn note_length(&mut self, value: &[u8]) -> Result<(), Fault> {
        let length = parse_length(value).ok_or(Fault::smuggling(
            "Content-Length is not a plain number (RFC 9110 §8.6)",
        ))?;
        if self.length.is_some() {
            return Err(Fault::smuggling(
                "more than one Content-Length (RFC 9112 §6.3)",
            ));
        }
        self.length = Some(length);
        Ok(())
    }
}

/// 1*DIGIT below 2^63.
pub(super) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = value.iter().fold(0u64, |sum, digit| {
        sum.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'))
    });
    i64::try_from(number).is_ok().then_some(number)
}

/// Makes a request of an HTTP/2 header list (RFC 9113 §8.2, §8.3). `ended`: no DATA follows.
///
/// # Errors
/// A fault of reason `Malformed` or `Smuggling` is a stream error `PROTOCOL_ERROR`; it may be answered with its status.
pub fn from_list<'f, 'a: 'f>(
    list: &'a HeaderList,
    ended: bool,
    fields: &'f mut Fields<'a>,
) -> Result<Request<'f>, Fault> {
    let mut pseudo = Pseudo::default();
    let mut facts = FieldFacts::default();
    for (name, value) in list.iter() {
        if let Some(name) = name.strip_prefix(b":") {
            pseudo.note(name, value, !fields.is_empty())?;
            continue;
        }
        let field = checked_list_field(name, value)?;
        note_list_field(&mut facts, &field)?;
        fields
            .try_push(field)
            .map_err(|_full| Fault::header_too_large("more than 100 fields"))?;
    }
    let extended_connect = pseudo.protocol.is_some();
    let (method, target) = pseudo.check()?;
    let authority = pseudo.effective_authority(facts.host)?;
    let framing = if extended_connect {
        switch_protocols(&facts, fields)?;
        Framing::None
    } else {
        list_framing(ended, facts.length)?
    };
    Ok(Request {
        method,
        authority,
        target,
        version: Version::H2,
        framing,
        fields,
        head: b"",
        keep_alive: true,
        expects_continue: facts.expects_continue && !ended && !extended_connect,
        upgrade: extended_connect,
        extended_connect,
        accepts_trailers: facts.accepts_trailers,
        max_forwards: facts.max_forwards(method)?,
    })
}

/// The pseudo-header fields of a request (RFC 9113 §8.3.1).
#[derive(Debug, Default)]
struct Pseudo<'a> {
    method: Option<&'a [u8]>,
    scheme: Option<&'a [u8]>,
    path: Option<&'a [u8]>,
    authority: Option<&'a [u8]>,
    protocol: Option<&'a [u8]>,
}

impl<'a> Pseudo<'a> {
    fn note(&mut self, name: &[u8], value: &'a [u8], late: bool) -> Result<(), Fault> {
        let slot = match name {
            b"method" => &mut self.method,
            b"scheme" => &mut self.scheme,
            b"path" => &mut self.path,
            b"authority" => &mut self.authority,
            b"protocol" => &mut self.protocol,
            _ => {
                return Err(Fault::malformed(
                    "an unknown pseudo-header field (RFC 9113 §8.3)",
                ));
            }
        };
        if late || slot.replace(value).is_some() {
            return Err(Fault::malformed(
                "a pseudo-header field twice or after a regular one (RFC 9113 §8.3)",
            ));
        }
        Ok(())
    }

    /// Method and target, checked; for an extended CONNECT the method that it stands for.
    fn check(&self) -> Result<(&'a [u8], &'a [u8]), Fault> {
        // First, because a CONNECT has neither scheme nor path (RFC 9113 §8.5), unless it is extended (RFC 8441 §4).
        match (self.method, self.protocol) {
            (Some(b"CONNECT"), Some(_)) => {}
            (_, Some(_)) => {
                return Err(Fault::malformed(
                    ":protocol on a method other than CONNECT (RFC 8441 §4)",
                ));
            }
            (method, None) => check_method(method.unwrap_or_default())?,
        }
        let (Some(method), Some(scheme), Some(target)) = (self.method, self.scheme, self.path)
        else {
            return Err(Fault::malformed(
                "a request without :method, :scheme or :path (RFC 9113 §8.3.1)",
            ));
        };
        if scheme != b"https" && scheme != b"http" {
            return Err(Fault::malformed("a :scheme other than http and https"));
        }
        if !(method == b"OPTIONS" && target == b"*") {
            check_target(target)?;
        }
        match self.protocol {
            Some(protocol) if protocol.eq_ignore_ascii_case(b"websocket") => Ok((b"GET", target)),
            Some(_) => Err(Fault {
                reason: Reason::MethodRefused,
                status: 501,
                detail: "an extended CONNECT for another protocol than websocket (RFC 9220 §3)",
            }),
            None => Ok((method, target)),
        }
    }

    fn effective_authority(&self, host: Option<&'a [u8]>) -> Result<&'a [u8], Fault> {
        let authority = match (self.authority, host) {
            (Some(authority), Some(host))
                if !authority::is_same(authority, host, self.scheme.unwrap_or_default()) =>
            {
                return Err(Fault::smuggling(
                    "Host differs from :authority (RFC 9113 §8.3.1)",
                ));
            }
            (Some(authority), _) => authority,
            (None, Some(host)) => host,
            (None, None) => return Err(Fault::malformed("neither :authority nor Host")),
        };
        authority::check(authority)?;
        Ok(authority)
    }
}

/// Connection-specific fields have no place in HTTP/2, but for `TE: trailers` (RFC 9113 §8.2.2).
fn note_list_field<'a>(facts: &mut FieldFacts<'a>, field: &Field<'a>) -> Result<(), Fault> {
    match field.kind {
        Kind::Te if !field.value.eq_ignore_ascii_case(b"trailers") => Err(Fault::malformed(
            "TE with a value other than trailers (RFC 9113 §8.2.2)",
        )),
        Kind::Te => {
            facts.accepts_trailers = true;
            Ok(())
        }
        Kind::ContentLength => facts.note_length(field.value),
        kind if is_connection_specific(kind) => Err(CONNECTION_SPECIFIC),
        _ => facts.note(field),
    }
}

/// Adds the field that says on HTTP/1 what `:protocol` says here.
fn switch_protocols<'a>(facts: &FieldFacts<'a>, fields: &mut Fields<'a>) -> Result<(), Fault> {
    if facts.length.is_some() {
        return Err(Fault::smuggling(
            "content-length on a CONNECT (RFC 9110 §9.3.6)",
        ));
    }
    fields
        .try_push(Field::new(b"Upgrade", b"websocket"))
        .map_err(|_full| Fault::header_too_large("more than 100 fields"))
}

fn list_framing(ended: bool, length: Option<u64>) -> Result<Framing, Fault> {
    match (ended, length) {
        (true, None | Some(0)) => Ok(Framing::None),
        (true, Some(_)) => Err(Fault::smuggling(
            "content-length without a body (RFC 9113 §8.1.1)",
        )),
        (false, Some(length)) => Ok(Framing::Length(length)),
        (false, None) => Ok(Framing::Stream),
    }
}

/// A regular field of a header list: a lower-case token and a clean value (RFC 9113 §8.2.1).
///
/// # Errors
/// `Malformed`, to be treated as a stream error.
pub fn checked_list_field<'a>(name: &'a [u8], value: &'a [u8]) -> Result<Field<'a>, Fault> {
    if !is_lower_token(name) {
        return Err(Fault::malformed(
            "a field name that is no lower-case token (RFC 9113 §8.2.1)",
        ));
    }
    if !is_value(value) {
        return Err(Fault::malformed(
            "a control character or white space at the end of a field value (RFC 9113 §8.2.1)",
        ));
    }
    Ok(Field::new(name, value))
}

/// A trailer of a header list: a regular field that is not about a connection, which no part of a message may have
/// (RFC 9113 §8.2.2).
///
/// # Errors
/// `Malformed` or `Smuggling`, to be treated as a stream error.
pub fn checked_list_trailer<'a>(name: &'a [u8], value: &'a [u8]) -> Result<Field<'a>, Fault> {
    let field = checked_list_field(name, value)?;
    if is_connection_specific(field.kind) {
        return Err(CONNECTION_SPECIFIC);
    }
    Ok(field)
}

const fn is_connection_specific(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Connection
            | Kind::KeepAlive
            | Kind::ProxyConnection
            | Kind::TransferEncoding
            | Kind::Upgrade
    )
}

const CONNECTION_SPECIFIC: Fault =
    Fault::smuggling("a connection-specific field in HTTP/2 (RFC 9113 §8.2.2)");
