//! What the access log says of a request before anything is done with it.

use std::net::IpAddr;

use openclaw_core::config::Route;
use openclaw_core::message::{Kind, Request, Version};
use openclaw_core::trace::RequestId;

use super::context::Downstream;
use crate::telemetry::LogFields;

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
        protocol: protocol(request.version),
        tls: downstream.tls.as_ref().map_or("", |tls| tls.version),
        user_agent: request.known(Kind::UserAgent).map(text).unwrap_or_default(),
        referer: request.known(Kind::Referer).map(text).unwrap_or_default(),
        ..LogFields::default()
    })
}
