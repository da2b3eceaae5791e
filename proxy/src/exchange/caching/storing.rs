//! The wire of an exchange with something between: what goes to the client is stored on its way, or kept from the client where what
//! is stored is the better answer.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use openclaw_core::caching::{
    self, Asked, Chosen, Confirmed, Directives, Freshness, Rule, Status, Times, is_kept,
};
use openclaw_core::message::{
    Field, HeaderList, Kind, Response, ResponseBody, ResponseHead, render,
};
use openclaw_core::reason::Reason;

use super::look::{Asking, Purpose, Slice, Wish, view};
use super::{forgetting, slicing};
use crate::cache::{Body, Filling, Key, Lead, Moment, Object, Store};
use crate::exchange::wire::{Wire, WireError, handed_on};

/// A wire whose response is stored if it may be.
pub(super) struct Storing<'a, W> {
    wire: &'a mut W,
    store: &'a Arc<Store>,
    key: &'a Key,
    purpose: &'a Purpose,
    rule: &'a Rule,
    /// The one that is asked for, where it is a part of something large.
    slice: Option<&'a Slice>,
    /// When the request was sent.
    asked: SystemTime,
    /// The same as the store tells the time.
    since: Moment,
    /// Of the fill that others wait for.
    lead: Option<Lead>,
    state: State,
    /// What comes is not in the coding that it should be in.
    is_makeshift: bool,
    /// For a response that has no date.
    date: [u8; 29],
}

enum State {
    /// No final head yet.
    Asked,
    /// The response goes to the client only.
    Passing,
    /// It goes to the client and into the store.
    Storing(Filling),
    /// It goes into the store; the client has gone, and others read along.
    Alone(Filling),
    /// The client does not see it.
    Kept(Outcome),
}

/// Why a response was kept from the client.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// What is stored holds; this is it, with the new fields.
    Confirmed(Arc<Object>),
    /// The origin failed.
    Failed,
}

impl<'a, W: Wire> Storing<'a, W> {
    pub(super) fn new(
        wire: &'a mut W,
        asking: &'a Asking,
        rule: &'a Rule,
        lead: Option<Lead>,
        date: [u8; 29],
    ) -> Self {
        Self {
            wire,
            store: &asking.store,
            key: &asking.key,
            purpose: &asking.purpose,
            rule,
            slice: asking.slice.as_ref(),
            asked: SystemTime::now(),
            since: asking.store.moment(),
            lead,
            state: State::Asked,
            is_makeshift: false,
            date,
        }
    }

    /// What the client has not seen, if that is so.
    pub(super) fn end(self) -> Option<Outcome> {
        match self.state {
            State::Kept(outcome) => Some(outcome),
            State::Asked | State::Passing | State::Storing(_) | State::Alone(_) => None,
        }
    }

    fn times(&self) -> Times {
        let seconds = |time: SystemTime| {
            time.duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs())
        };
        Times {
            asked: seconds(self.asked),
            came: seconds(SystemTime::now()),
        }
    }

    /// The client has gone. What others read goes on without it.
    fn goes_on_alone(&mut self) -> bool {
        match std::mem::replace(&mut self.state, State::Passing) {
            State::Storing(filling) if filling.is_read() => {
                self.wire.leave();
                self.state = State::Alone(filling);
                true
            }
            state @ (State::Asked
            | State::Passing
            | State::Storing(_)
            | State::Alone(_)
            | State::Kept(_)) => {
                self.state = state;
                false
            }
        }
    }

    /// Decides about the response to a request for what may be stored.
    fn weigh(&mut self, wish: &Wish, response: &Response<'_>) -> Option<Status> {
        let told = |confirmed, stored| Status::Forwarded {
            why: wish.why,
            confirmed,
            stored,
        };
        if let Some(stale) = &wish.stale {
            if response.status == 304 {
                let confirmed = self.confirmed(wish, stale, response.fields);
                self.state = State::Kept(Outcome::Confirmed(confirmed));
                return None;
            }
            if wish.if_error && matches!(response.status, 500 | 502 | 503 | 504) {
                self.state = State::Kept(Outcome::Failed);
                return None;
            }
        }
        let mut fields = render::end_to_end(response.fields);
        if !fields.iter().any(|field| field.kind == Kind::Date) {
            // RFC 9110 §6.6.1.
            let _ = fields.try_push(Field::new(b"Date", &self.date));
        }
        let came = (response.status, &*fields, response.body);
        let (status, key) = slicing::meant(self.slice, self.key, came);
        let head = (status, &*fields, response.body);
        let verdict = caching::freshness(wish.asked, head, self.rule, self.times());
        let client = view(&wish.fields);
        let is_makeshift = std::mem::take(&mut self.is_makeshift);
        let stored = verdict.and_then(|freshness| {
            if is_makeshift {
                return Err(caching::Refusal::Busy);
            }
            let chosen = Chosen::of(&fields, &self.rule.vary, &client);
            let chosen = chosen.ok_or(caching::Refusal::Varies)?;
            let mut list = HeaderList::default();
            for field in fields.iter().filter(|field| is_kept(field)) {
                list.push(field.name, field.value);
            }
            let length = length_of(response.body);
            if let Some(refusal) = length.and_then(|length| self.store.refuses(length)) {
                return Err(refusal);
            }
            Ok(Object::new(
                (Arc::clone(&self.rule.owner), chosen),
                (response.status, list, Arc::new(Body::coming(length))),
                freshness,
            ))
        });
        match stored {
            Ok(object) => {
                let most = self.rule.max_object;
                if self.slice.is_some_and(|slice| slice.version.is_none()) && key != *self.key {
                    slicing::mark(self.store, self.key, (&object, self.since));
                }
                let lead = shared(self.lead.take(), &object);
                let filling = self.store.fill(&key, (object, self.since), lead, most);
                self.state = State::Storing(filling);
                Some(told(false, Some(Ok(()))))
            }
            Err(refusal) => {
                self.state = State::Passing;
                if let Some(lead) = self.lead.take() {
                    self.pass(lead, wish, head);
                }
                Some(told(false, Some(Err(refusal))))
            }
        }
    }

    /// Has nobody wait for the next one of what is not stored.
    fn pass(&self, lead: Lead, wish: &Wish, head: (u16, &[Field<'_>], ResponseBody)) {
        // What follows a slice that is stored is asked for again.
        if self.slice.is_some_and(|slice| slice.version.is_some()) {
            return;
        }
        let anybody = Asked {
            has_credentials: false,
            ..wish.asked
        };
        // A client must not part all others by what it sends.
        match caching::freshness(anybody, head, self.rule, self.times()) {
            Ok(_) if wish.asked.has_credentials => lead.pass_with_credentials(),
            Ok(_) | Err(_) => lead.pass(),
        }
    }

    /// What is stored, with the fields of the 304 in the place of its own (RFC 9111 §4.3.4). It is stored so only if everybody may
    /// have these fields as well.
    fn confirmed(&mut self, wish: &Wish, stale: &Arc<Object>, fields: &[Field<'_>]) -> Arc<Object> {
        let new = render::end_to_end(fields);
        let old = stale.view();
        let mut all = caching::updated(&old, &new);
        let mut list = HeaderList::default();
        for field in &all {
            list.push(field.name, field.value);
        }
        let is_varied = new.iter().any(|field| field.is(b"Vary"));
        let chosen = if is_varied {
            Chosen::of(&all, &self.rule.vary, &view(&wish.fields))
        } else {
            Some(stale.chosen.clone())
        };
        let confirmed = match &chosen {
            Some(_) => caching::confirmed(wish.asked, &all, self.rule),
            None => Confirmed::Gone,
        };
        // How old it was is said by the 304 itself; where there are too many fields it is as new as it came.
        for field in new.iter().filter(|field| field.is(b"Age")) {
            let _ = all.try_push(*field);
        }
        let directives = Directives::of_response(&all);
        let freshness = Freshness::of(stale.status, &all, &directives, self.rule, self.times());
        let object = Arc::new(Object::new(
            (Arc::clone(&self.rule.owner), chosen.unwrap_or_default()),
            (stale.status, list, Arc::clone(&stale.body)),
            freshness,
        ));
        match confirmed {
            Confirmed::Renewed => {
                self.store.renew(self.key, (stale, &object), self.since);
                self.lead = shared(self.lead.take(), &object);
                if let Some(lead) = &self.lead {
                    lead.publish(Arc::clone(&object));
                }
            }
            // Who has no credentials asks once for all.
            Confirmed::Untouched => {
                if let Some(lead) = self.lead.take() {
                    lead.pass_with_credentials();
                }
            }
            Confirmed::Gone => {
                self.store.discard(self.key);
                if let Some(lead) = self.lead.take() {
                    lead.pass();
                }
            }
        }
        object
    }
}

impl<W: Wire> Wire for Storing<'_, W> {
    handed_on!(poll_body poll_gone body consume trailers inform can_respond);

    fn make_do(&mut self) {
        self.is_makeshift = true;
    }

    fn consider(&mut self, response: &Response<'_>) -> Option<Status> {
        match self.purpose {
            Purpose::Store(wish) => self.weigh(wish, response),
            Purpose::Forget(snapshot) => {
                forgetting::forget(self.store, snapshot, self.key, response);
                self.state = State::Passing;
                Some(passed(caching::Forwarded::Method))
            }
            Purpose::Pass(why) => {
                self.state = State::Passing;
                Some(passed(*why))
            }
        }
    }

    fn respond(&mut self, head: &ResponseHead<'_>) {
        if !matches!(self.state, State::Kept(_)) {
            self.wire.respond(head);
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        payload: &[u8],
    ) -> Poll<Result<usize, WireError>> {
        if let State::Storing(filling) | State::Alone(filling) = &mut self.state {
            ready!(filling.poll_room(payload.len(), cx));
        }
        let sent = match &mut self.state {
            State::Kept(_) => Poll::Ready(Ok(payload.len())),
            State::Alone(filling) => {
                let is_wanted = filling.is_read() && filling.take(payload);
                Poll::Ready(is_wanted.then_some(payload.len()).ok_or(WireError::Gone))
            }
            // Nobody reads what is no slice.
            State::Passing if self.slice.is_some() => Poll::Ready(Err(WireError::Gone)),
            State::Asked | State::Passing | State::Storing(_) => self.wire.poll_send(cx, payload),
        };
        let State::Storing(filling) = &mut self.state else {
            return sent;
        };
        if sent.is_pending() {
            filling.wait();
        }
        match sent {
            Poll::Ready(Ok(count)) => {
                let taken = payload.get(..count).unwrap_or_default();
                if !filling.take(taken) {
                    self.state = State::Passing;
                }
                sent
            }
            Poll::Ready(Err(WireError::Gone)) if self.goes_on_alone() => {
                self.poll_send(cx, payload)
            }
            Poll::Ready(Err(_)) | Poll::Pending => sent,
        }
    }

    fn finish(&mut self, trailers: &[Field<'_>]) {
        match std::mem::replace(&mut self.state, State::Passing) {
            State::Kept(outcome) => {
                self.state = State::Kept(outcome);
                return;
            }
            // Whoever comes next finds it, and not when this client has taken the last byte.
            State::Storing(filling) | State::Alone(filling) => filling.finish(),
            State::Asked | State::Passing => {}
        }
        self.wire.finish(trailers);
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        if matches!(self.state, State::Alone(_)) {
            return Poll::Ready(Ok(()));
        }
        match self.wire.poll_flush(cx) {
            Poll::Ready(Err(WireError::Gone)) if self.goes_on_alone() => Poll::Ready(Ok(())),
            flushed @ (Poll::Ready(_) | Poll::Pending) => flushed,
        }
    }

    fn abort(&mut self, reason: Reason) {
        self.state = State::Passing;
        self.wire.abort(reason);
    }
}

/// The place of who fetches, where what has come is for those who wait as well; else they wait no longer.
fn shared(lead: Option<Lead>, object: &Object) -> Option<Lead> {
    let lead = lead?;
    if object.is_for_others(Instant::now()) {
        return Some(lead);
    }
    lead.pass();
    None
}

/// As far as it is known before it comes.
pub(super) const fn length_of(body: ResponseBody) -> Option<u64> {
    match body {
        ResponseBody::Length(length) => Some(length),
        ResponseBody::None { .. } => Some(0),
        ResponseBody::Chunked | ResponseBody::UntilClose | ResponseBody::Tunnel => None,
    }
}

fn passed(why: caching::Forwarded) -> Status {
    Status::Forwarded {
        why,
        confirmed: false,
        stored: None,
    }
}
