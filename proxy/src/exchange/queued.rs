//! Waiting for an endpoint while all of them have as many exchanges as they may have.

use std::net::SocketAddr;
use std::task::Context;

use openclaw_core::balance::Key;

use super::error::Error;
use super::wire::{Wire, WireError};
use crate::time::Deadline;
use crate::upstream::{Chosen, NoPlace, Upstream};

/// An endpoint with a place, within `queue_timeout`. A client that goes meanwhile leaves the queue.
pub(super) async fn wait<W: Wire>(
    upstream: &Upstream,
    tried: &[SocketAddr],
    choice: (Key, u64),
    wire: &mut W,
    deadline: &Deadline,
) -> Result<Chosen, Error> {
    let gone = |cx: &mut Context<'_>| wire.poll_gone(cx);
    let place = upstream.wait_for_place(tried, choice, deadline, gone).await;
    place.map_err(|error| match error {
        NoPlace::Saturated => Error::Saturated,
        NoPlace::Nobody => Error::NoEndpoint,
        NoPlace::Gone => Error::Wire(WireError::Gone),
    })
}
