//! A request that could not be understood, prepared to be answered, counted and logged as any other.

use std::time::Instant;

use openclaw_core::message::{Fault, Method, RequestLine, Version};
use openclaw_core::trace;

use super::context::{Downstream, Local};
use super::error::Error;
use super::log::refused_fields;
use super::prepare::{Plan, Prepared};

/// A request whose head is still not whole when its time is over; it began at `started`.
pub fn refuse_late(
    local: &Local,
    downstream: &Downstream,
    asked: RequestLine<'_>,
    version: Version,
    started: Instant,
) -> Prepared {
    let fault = Error::LateHead.fault();
    refuse(local, downstream, (fault, asked), version, started)
}

/// A request that was refused before it could be understood; it began at `started`.
pub fn refuse(
    local: &Local,
    downstream: &Downstream,
    (fault, asked): (Fault, RequestLine<'_>),
    version: Version,
    started: Instant,
) -> Prepared {
    let id = trace::request_id(local.random_u128());
    let log = refused_fields(downstream, version, (fault, asked), &id);
    Prepared {
        serving: local.serving(),
        route: None,
        plan: Plan::Refuse(fault),
        allowance: None,
        edits: None,
        id,
        client: downstream.peer.ip().to_canonical(),
        version,
        method: Method::Other,
        is_grpc: false,
        started,
        log: Some(log),
        ids: None,
    }
}
