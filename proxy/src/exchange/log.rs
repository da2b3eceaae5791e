//! What the access log says of a request: before anything is done with it, or, where nobody wanted to know before, at its end.

use std::net::IpAddr;

use openclaw_core::config::Route;
use openclaw_core::message::{Fault, Kind, Request, RequestLine, Version};
use openclaw_core::trace::RequestId;

use super::Story;
use super::context::Downstream;
use super::prepare::{Plan, Prepared};
use super::stream_head::split;
use crate::telemetry::{Hedged, LogFields};

/// The name of a version, for logs.
pub(crate) fn protocol(version: Version) -> &'static str {
    match version {
        Version::H10 => "HTTP/1.0",
        Version::H11 => "HTTP/1.1",
        Version::H2 => "HTTP/2",
        Version::H3 => "HTTP/3",
    }
}

pub(super) fn log_fields(
    downstream: &Downstream,
    request: &Request<'_>,
    route: Option<&Route>,
    (id, client): (&RequestId, IpAddr),
) -> Box<LogFields> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Box::new(LogFields {
        id: id.as_str().to_owned(),
        listener: downstream.listener.name.to_string(),
        route: route
            .map(|route| route.name.to_string())
            .unwrap_or_default(),
        client: client.to_string(),
        method: text(request.method),
        host: text(request.authority),
        path: text(request.target),
        protocol: protocol(request.version).into(),
        tls: downstream.tls.as_ref().map_or("", |tls| tls.version),
        user_agent: request.known(Kind::UserAgent).map(text).unwrap_or_default(),
        referer: request.known(Kind::Referer).map(text).unwrap_or_default(),
        ..LogFields::default()
    })
}

/// The same of a request that was not understood, with what it has asked for as far as that can be read.
pub(super) fn refused_fields(
    downstream: &Downstream,
    version: Version,
    (fault, asked): (Fault, RequestLine<'_>),
    id: &RequestId,
) -> Box<LogFields> {
    Box::new(LogFields {
        id: id.as_str().to_owned(),
        listener: downstream.listener.name.to_string(),
        client: downstream.peer_text.clone(),
        method: String::from_utf8_lossy(asked.method).into_owned(),
        path: String::from_utf8_lossy(asked.target).into_owned(),
        protocol: match version {
            Version::H10 | Version::H11 => {
                let claimed = String::from_utf8_lossy(asked.protocol);
                claimed.into_owned().into()
            }
            Version::H2 | Version::H3 => protocol(version).into(),
        },
        tls: downstream.tls.as_ref().map_or("", |tls| tls.version),
        detail: fault.detail,
        ..LogFields::default()
    })
}

/// Adds how it ended.
pub(super) fn complete(fields: &mut LogFields, prepared: &Prepared, story: &Story) {
    if let Some(endpoint) = &story.endpoint {
        endpoint.label.as_ref().clone_into(&mut fields.endpoint);
    }
    if let Plan::Forward(outbound) = &prepared.plan
        && let Some(upstream) = prepared.serving.upstreams.get(outbound.upstream)
    {
        let name = upstream.config.name.as_ref();
        name.clone_into(&mut fields.upstream);
    }
    fields.detail = story.detail;
    fields.hedge = story.hedge.map_or("", Hedged::word);
}

/// The same as [`log_fields`] and [`complete`] for a request of which nothing was kept while it went well: from the head that the
/// endpoint got.
pub(super) fn late_fields(
    downstream: &Downstream,
    prepared: &Prepared,
    story: &Story,
) -> LogFields {
    let config = &prepared.serving.snapshot.config;
    let route = prepared.route.and_then(|index| config.routes.get(index));
    let head: &[u8] = match &prepared.plan {
        Plan::Forward(outbound) => &outbound.head,
        Plan::Stored(_, Some(refresh)) => &refresh.outbound.head,
        Plan::Stored(_, None) | Plan::Answer(_) | Plan::Options | Plan::Refuse(_) => &[],
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut fields = LogFields {
        id: prepared.id.as_str().to_owned(),
        listener: downstream.listener.name.to_string(),
        route: route
            .map(|route| route.name.to_string())
            .unwrap_or_default(),
        client: prepared.client.to_string(),
        method: prepared.method.name().to_owned(),
        protocol: protocol(prepared.version).into(),
        tls: downstream.tls.as_ref().map_or("", |tls| tls.version),
        is_as_sent: !head.is_empty(),
        ..LogFields::default()
    };
    let (start, lines) = head.split_at(memchr::memchr(b'\n', head).unwrap_or_default());
    let mut start = start.trim_ascii_end().split(|byte| *byte == b' ');
    if let Some((method, target)) = start.next().zip(start.next()) {
        fields.method = text(method);
        fields.path = text(target);
    }
    let field = |kind| {
        let mut fields = split(lines).filter(|(name, _)| Kind::of(name) == kind);
        fields
            .next()
            .map_or_else(String::new, |(_, value)| text(value))
    };
    fields.host = field(Kind::Host);
    fields.user_agent = field(Kind::UserAgent);
    fields.referer = field(Kind::Referer);
    complete(&mut fields, prepared, story);
    fields
}
