//! A response head on its way to the client, whatever the endpoint speaks.

use std::time::Instant;

use openclaw_core::balance::set_cookie;
use openclaw_core::config::HOST;
use openclaw_core::message::h1::{Asked, bad_response};
use openclaw_core::message::{
    Fault, Field, Fields, Kind, Response, ResponseBody, ResponseHead, location, render, websocket,
};
use openclaw_core::template::Status;

use super::context::Local;
use super::wire::Wire;
use super::{Edits, Own};

/// How many interim responses one request may get: each is queued for the client before the next is read.
pub(super) const MAX_INTERIM: u32 = 32;
pub(super) const TOO_MANY_INTERIM: Fault =
    bad_response("the endpoint sent more than 32 interim responses");

/// Queues the head, interim or final, with what this hop changes in it; `upgrade`: the client is to learn of Upgrade. Returns the status that the client gets.
pub(super) fn pass_on<W: Wire>(
    local: &Local,
    edits: Edits<'_>,
    response: &Response<'_>,
    asked: Asked,
    upgrade: bool,
    wire: &mut W,
) -> u16 {
    let tunnel = response.body == ResponseBody::Tunnel;
    let interim = response.status < 200 && !tunnel;
    let date = local.date(Instant::now());
    let limit = edits.allowance.filter(|_| !interim);
    let limit = limit.map(|known| known.fields());
    let of_route = edits.of_route;
    let filled = of_route
        .has_variables()
        .then(|| of_route.filled(&Status(response.status)));
    let of_route = filled.as_ref().unwrap_or(of_route);
    let cookie = edits.cookie.filter(|_| !interim);
    let cookie = cookie
        .map(|(sticky, pin, is_secure)| set_cookie(&sticky.cookie, pin, sticky.max_age, is_secure));
    let place = edits
        .own
        .and_then(|own| seen_from_outside(own, response.fields));
    let cache_status = (!interim)
        .then(|| considered(wire, response, place.as_deref()))
        .flatten();
    let mut kept = Fields::new();
    render::response_fields(response.fields, of_route, upgrade, &mut kept);
    if let Some(place) = &place {
        kept = moved(&kept, place);
    }
    if let Some(cookie) = &cookie {
        // A full list goes without: the client is spread anew next time.
        let _ = kept.try_push(Field::new(b"Set-Cookie", cookie.as_bytes()));
    }
    if let Some(limit) = &limit {
        limit.put(&mut kept);
    }
    if let Some(text) = &cache_status {
        // Beside those of caches behind this one (RFC 9211 §2); a full list goes without.
        let _ = kept.try_push(Field::new(b"Cache-Status", text.as_bytes()));
    }
    if let Some(alt_svc) = edits.alt_svc.filter(|_| !interim && !tunnel) {
        let field = Field::new(b"Alt-Svc", alt_svc.as_bytes());
        render::response_field(&mut kept, of_route, field);
    }
    if !interim {
        put_date(&mut kept, &date);
    }
    let on_stream = tunnel && asked.websocket.is_some();
    if on_stream {
        websocket::strip_answer(&mut kept);
    }
    let head = ResponseHead {
        status: if on_stream { 200 } else { response.status },
        phrase: response.phrase,
        fields: &kept,
        source: response.head,
        body: response.body,
    };
    if interim {
        wire.inform(&head);
    } else {
        wire.respond(&head);
    }
    head.status
}

/// The Location of a response, where the endpoint names itself in it: by its address, by the name that the configuration has
/// for it, or by the Host that the route has set.
fn seen_from_outside(own: Own<'_>, fields: &[Field<'_>]) -> Option<Vec<u8>> {
    let place = fields.iter().find(|field| field.is(b"location"))?;
    let address = own.endpoint.address.to_string();
    let edits = &own.route.headers.request.set;
    let sets_host = edits.iter().any(|(name, _)| name == HOST);
    let mut lines = own.head.split(|byte| *byte == b'\n');
    let host = lines.find_map(|line| line.strip_prefix(b"Host: "));
    let host = host.filter(|_| sets_host).unwrap_or_default();
    let names = [
        address.as_bytes(),
        own.endpoint.label.as_bytes(),
        host.trim_ascii(),
    ];
    location::from_outside(place.value, own.route, |scheme, authority| {
        !authority.is_empty() && location::is_one_of(authority, scheme, &names)
    })
}

/// The time of the response, where it does not say it itself (RFC 9110 §6.6.1).
fn put_date<'a>(kept: &mut Fields<'a>, date: &'a [u8]) {
    if !kept.iter().any(|field| field.kind == Kind::Date) {
        // A full list goes without: a date is not worth a refusal.
        let _ = kept.try_push(Field {
            name: b"Date",
            value: date,
            kind: Kind::Date,
        });
    }
}

/// What a cache on the way has to say; it sees the place that clients will see.
fn considered<W: Wire>(
    wire: &mut W,
    response: &Response<'_>,
    place: Option<&[u8]>,
) -> Option<String> {
    let status = match place {
        Some(place) => wire.consider(&Response {
            fields: &moved(response.fields, place),
            ..*response
        }),
        None => wire.consider(response),
    };
    status.map(|status| status.text())
}

/// The fields with another place in Location.
fn moved<'a>(fields: &[Field<'a>], place: &'a [u8]) -> Fields<'a> {
    let mut moved: Fields<'a> = fields.iter().copied().collect();
    let locations = moved.iter_mut().filter(|field| field.is(b"location"));
    locations.for_each(|field| field.value = place);
    moved
}
