//! What is found on the disk: it is read before the request is carried out, and its plan made anew.

use std::sync::Arc;
use std::time::{Duration, Instant};

use openclaw_core::caching::{self, Answer, Forwarded, Use};
use openclaw_core::message::Method;

use super::Refresh;
use super::look::{self, Lying, Purpose, Stored};
use crate::cache::Object;
use crate::exchange::context::Local;
use crate::exchange::error::Error;
use crate::exchange::prepare::{Plan, Prepared};
use crate::time::Deadline;

/// A disk that needs longer than this is as good as none.
const WAIT: Duration = Duration::from_secs(5);

/// Whether there may be something on the disk for a request.
fn lies_on_disk(plan: &Plan) -> bool {
    match plan {
        Plan::Forward(outbound) => {
            let asking = outbound.caching.as_ref();
            asking.is_some_and(|asking| asking.lying.is_some())
        }
        Plan::Stored(..) | Plan::Answer(_) | Plan::Options | Plan::Refuse(_) => false,
    }
}

/// Makes it the answer, or what the origin is asked about.
pub(in crate::exchange) async fn settle(
    local: &Local,
    prepared: &mut Prepared,
    deadline: &Deadline,
) {
    if lies_on_disk(&prepared.plan) {
        // Boxed, so that exchanges that need not wait need not have room for it.
        Box::pin(read(local, prepared, deadline)).await;
    }
}

async fn read(local: &Local, prepared: &mut Prepared, deadline: &Deadline) {
    let Plan::Forward(outbound) = &mut prepared.plan else {
        return;
    };
    let Some(asking) = &mut outbound.caching else {
        return;
    };
    let Some(lying) = asking.lying.take() else {
        return;
    };
    let mut loading = Box::pin(asking.store.load(&asking.key, lying.file));
    let loaded = deadline.within(WAIT, |cx| loading.as_mut().poll(cx)).await;
    drop(loading);
    let client = look::view(&lying.fields);
    // It may have been confirmed since it was found, with a Vary that is narrower.
    let suits = |object: &Arc<Object>| object.chosen.matches(&client);
    let found = loaded.flatten().filter(suits).map(|object| {
        let request = (lying.method, &*client);
        let answer = look::read(Arc::clone(&object), request, Instant::now());
        (object, answer)
    });
    let is_sound = match &found {
        Some((_, Some(answer))) => is_sound(&lying, answer, deadline).await,
        Some((_, None)) => true,
        None => false,
    };
    match found {
        Some((object, answer)) if is_sound => decide(local, prepared, &lying, &object, answer),
        Some(_) | None if lying.heard.only_if_cached => {
            prepared.plan = Plan::Refuse(Error::NotStored.fault());
        }
        Some(_) | None => {}
    }
}

/// Whether at least the beginning of what would be sent is what was stored: as long as nothing is said, the origin can be asked.
async fn is_sound(lying: &Lying, answer: &Stored, deadline: &Deadline) -> bool {
    let (Some(reader), Method::Get) = (&answer.reader, lying.method) else {
        return true;
    };
    let range = match &answer.answer {
        Answer::Whole => 0..answer.object.body.length().unwrap_or(u64::MAX),
        Answer::Part(range) => range.clone(),
        Answer::NotModified | Answer::NoSuchPart => return true,
    };
    let first = deadline.within(WAIT, |cx| reader.poll_first(&range, cx));
    matches!(first.await, Some(Ok(())))
}

fn decide(
    local: &Local,
    prepared: &mut Prepared,
    lying: &Lying,
    object: &Arc<Object>,
    answer: Option<Stored>,
) {
    let Plan::Forward(mut outbound) = std::mem::replace(&mut prepared.plan, Plan::Options) else {
        return;
    };
    let now = Instant::now();
    let judged = object.judge(now, &lying.heard);
    let (why, if_error, answer) = match (judged, answer) {
        (Use::Fresh, Some(answer)) => {
            local.buffers.give_back(outbound.head);
            prepared.plan = Plan::Stored(Box::new(answer), None);
            return;
        }
        (Use::WhileRevalidating, Some(answer)) => (Forwarded::Stale, false, Some(answer)),
        (Use::Ask { .. }, _) if lying.heard.only_if_cached => {
            local.buffers.give_back(outbound.head);
            prepared.plan = Plan::Refuse(Error::NotStored.fault());
            return;
        }
        (Use::Ask { if_error }, _) => (look::doubt(object, now), if_error, None),
        // It has no beginning any more.
        (Use::Fresh | Use::WhileRevalidating, None) => {
            prepared.plan = Plan::Forward(outbound);
            return;
        }
    };
    let mut asking = outbound.caching.take();
    if let Some(Purpose::Store(wish)) = asking.as_mut().map(|asking| &mut asking.purpose) {
        let stored = object.view();
        for (name, value) in caching::questions(&stored) {
            ask(&mut outbound.head, name, value);
        }
        wish.why = why;
        wish.if_error = if_error;
        wish.stale = Some(Arc::clone(object));
    }
    prepared.plan = if let Some(answer) = answer {
        // What answers a HEAD alone is not stored.
        let again = asking.filter(|asking| asking.stale().is_some());
        let again = again.map(|asking| Box::new(Refresh { asking, outbound }));
        Plan::Stored(Box::new(answer), again)
    } else {
        outbound.caching = asking;
        Plan::Forward(outbound)
    };
}

/// Adds a field to a request's head.
pub(super) fn ask(head: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    // The empty line at the end moves behind it.
    if head.ends_with(b"\r\n\r\n") {
        head.truncate(head.len() - 2);
        for part in [name, b": ", value, b"\r\n\r\n"] {
            head.extend_from_slice(part);
        }
    }
}
