//! Which exchanges are recorded for the collector of traces, and what endpoints are told of a trace.

use openclaw_core::message::{Kind, Request};
use openclaw_core::trace::{self, Context, Ids, Traceparent};

use super::context::Local;
use super::serving::Serving;

/// Who a request is in its trace, if it is recorded. A trusted proxy decides for its requests; of others a part is drawn, as what
/// anybody says must not make us record everything.
pub(super) fn ids(
    local: &Local,
    serving: &Serving,
    request: &Request<'_>,
    is_trusted: bool,
) -> Option<Box<Ids>> {
    let trace = &serving.snapshot.config.trace;
    trace.otlp.as_ref()?;
    let received = received(request);
    let mut random = local.random.borrow_mut();
    let is_recorded = match received.filter(|_| is_trusted) {
        Some(context) => context.is_recorded(),
        None => trace.sample.takes(random.u32(..)),
    };
    is_recorded.then(|| {
        let (trace, own, sent) = (random.u128(..), random.u64(..), random.u64(..));
        Box::new(Ids::new(received, trace, own, sent))
    })
}

/// The trace that the request belongs to, or a new one, with a span of ours. Where nothing is recorded, ever, others may.
pub(super) fn header(
    local: &Local,
    serving: &Serving,
    request: &Request<'_>,
    ids: Option<&Ids>,
) -> Traceparent {
    if let Some(ids) = ids {
        return ids.traceparent();
    }
    let mut random = local.random.borrow_mut();
    let (fresh, parent) = (random.u128(..), random.u64(..));
    if serving.snapshot.config.trace.otlp.is_some() {
        return trace::unrecorded(received(request), fresh, parent);
    }
    trace::traceparent(request.known(Kind::Traceparent), fresh, parent)
}

/// A request's head for another endpoint than the first, and the span that it speaks of.
pub(super) type Renamed = Box<(u64, Vec<u8>)>;

/// The head under a span of its own; none where the operator has another field sent.
pub(super) fn renamed(local: &Local, ids: &Ids, head: &[u8]) -> Option<Renamed> {
    let span = local.random.borrow_mut().u64(1..);
    let old = ids.traceparent();
    // Nobody else knows the span that was drawn for the first, so it stands nowhere else.
    let mut windows = head.windows(old.len());
    let at = windows.position(|part| part == old.as_bytes())?;
    let mut head = head.to_vec();
    let place = head.get_mut(at..at + old.len())?;
    place.copy_from_slice(ids.under(span).as_bytes());
    Some(Box::new((span, head)))
}

fn received(request: &Request<'_>) -> Option<Context> {
    request.known(Kind::Traceparent).and_then(Context::of)
}
