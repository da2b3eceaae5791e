//! What is left of an answer out of slices once one of them cannot be had from the store: its endpoint is asked for all of it, for this
//! client alone.

use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use openclaw_core::caching::Status;
use openclaw_core::caching::slices::{self, Version};
use openclaw_core::message::{Field, Response};
use openclaw_core::reason::Reason;

use super::{Through, Whose, behind};
use crate::cache::{Body, Key, Reader, Store};
use crate::exchange::mirror::Shadow;
use crate::exchange::prepare::Outbound;
use crate::exchange::wire::{Wire, WireError, handed_on};

/// So far an endpoint may be ahead of the client.
const WINDOW: u64 = 128 * 1024;

/// The bytes of a version that are asked for.
pub(super) type Part = (Version, Range<u64>);

/// The wire of such a request.
struct Rest {
    wire: Shadow,
    body: Arc<Body>,
    part: Part,
    /// What is stored, which is nothing any more if the endpoint has another version.
    store: (Arc<Store>, Key),
    /// What comes is that part.
    is_it: bool,
}

/// Asks for a part. What is read of it breaks off where it does not come.
pub(super) fn ask_for(
    part: Part,
    store: (Arc<Store>, Key),
    (whose, route): (Whose, usize),
    outbound: Outbound,
) -> Option<Reader> {
    let length = part.1.end.saturating_sub(part.1.start);
    let body = Arc::new(Body::paced(length, WINDOW));
    let reader = body.read(0);
    let mut wire = Rest {
        wire: Shadow::new(Vec::new()),
        body,
        part,
        store,
        is_it: false,
    };
    tokio::task::spawn_local(async move {
        let ask = async |through: &Through<'_>, _: &_, story: &mut _| {
            through.tries().run(&mut wire, story).await
        };
        if let Some(fault) = behind(whose, route, &outbound, ask).await {
            let reason = fault.reason.code();
            tracing::debug!(reason, "the rest behind a slice could not be fetched");
        }
    });
    reader
}

impl Wire for Rest {
    handed_on!(poll_body body consume trailers inform respond can_respond);

    fn consider(&mut self, response: &Response<'_>) -> Option<Status> {
        let found = slices::part_of(response.fields).filter(|_| response.status == 206);
        self.is_it = found.is_some_and(|found| found == self.part);
        if !self.is_it && (200..300).contains(&response.status) {
            // It has changed: two versions are never put together, and the next one begins anew.
            self.store.0.discard(&self.store.1);
        }
        None
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        payload: &[u8],
    ) -> Poll<Result<usize, WireError>> {
        if !self.is_it {
            return Poll::Ready(Err(WireError::Gone));
        }
        let near = ready!(self.body.poll_pace(cx));
        let sent = near.map_err(|_nobody| WireError::Gone);
        Poll::Ready(sent.map(|()| {
            self.body.push(payload);
            payload.len()
        }))
    }

    fn finish(&mut self, _trailers: &[Field<'_>]) {
        if self.is_it {
            self.body.finish();
        }
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        Poll::Ready(Ok(()))
    }

    fn abort(&mut self, _reason: Reason) {
        self.body.break_off();
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        self.body.break_off();
    }
}
