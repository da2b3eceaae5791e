//! A range of something that is not stored whole, answered out of slices: those that are missing are fetched behind the answer, each
//! once for all who want it. What is known of the whole is stored beside them; as long as that is fresh, so are they, and a slice
//! counts only if it is of the same version.

use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use openclaw_core::caching::slices::{self, Version};
use openclaw_core::caching::{Directives, Rule, Status, Use};
use openclaw_core::message::{Fault, Field, HeaderList, Method, ResponseBody};

use super::look::{self, Asking, Purpose, Slice, Stored, Wish};
use super::lying::ask;
use super::pieces::Pieces;
use super::stored::queue;
use super::storing::length_of;
use super::{Behind, Through, WAIT, Whose, fetch_behind, rest};
use crate::cache::{self, Body, Found, Key, Lead, Moment, Object, Reader, Store, Turn};
use crate::exchange::Story;
use crate::exchange::answer;
use crate::exchange::error::Error;
use crate::exchange::prepare::Outbound;
use crate::exchange::wire::Wire;
use crate::telemetry::Cache;

/// One request that is answered so.
pub(super) struct Slicing<'a> {
    through: &'a Through<'a>,
    rule: &'a Rule,
    asking: &'a Asking,
    wish: &'a Wish,
    /// The request without its range.
    outbound: &'a Outbound,
    behind: Behind<'a>,
    pub(super) size: u64,
    /// Not all that it has needed until now was stored.
    has_fetched: Cell<bool>,
}

impl Through<'_> {
    /// Answers in slices; `None` if this request is to be answered as any other.
    pub(super) async fn in_slices<W: Wire>(
        &self,
        (rule, asking, wish): (&Rule, &Asking, &Wish),
        wire: &mut W,
        story: &mut Story,
    ) -> Option<Option<Fault>> {
        let slicing = Slicing {
            through: self,
            rule,
            asking,
            wish,
            outbound: asking.in_slices.as_deref()?,
            behind: self.behind?,
            size: rule.slice?,
            has_fetched: Cell::new(false),
        };
        // Boxed, so that exchanges without slices need not have room for it.
        Box::pin(slicing.answer(wire, story)).await
    }
}

impl Slicing<'_> {
    async fn answer<W: Wire>(&self, wire: &mut W, story: &mut Story) -> Option<Option<Fault>> {
        let (head, first) = {
            let mut first = Box::pin(self.first());
            let deadline = self.through.time.0;
            deadline
                .within(WAIT, |cx| first.as_mut().poll(cx))
                .await??
        };
        let Some((version, _)) = slices::part_of(&first.view()).filter(|_| first.status == 206)
        else {
            // The endpoint knows nothing of ranges and sends the whole, which is stored as such.
            let stored = look::read(
                first,
                (Method::Get, &look::view(&self.wish.fields)),
                Instant::now(),
            )?;
            story.cache = Some(Cache::Hit);
            let why = self.wish.why;
            let stored = Stored {
                status: Status::Collapsed { why },
                ..stored
            };
            return Some(self.through.answer(&stored, wire, story).await);
        };
        let stored = self.whole(&head, &version);
        let (status, range) = queue(self.through.local, self.through.edits, &stored, false, wire);
        story.passage.status = status;
        let mut pieces = Pieces::new(self, &version, range);
        let next = |cx: &mut Context<'_>| pieces.poll_next(cx);
        let place = (self.through.time.0, self.through.downstream);
        let patience = self.through.time.1.upstream;
        let sent = answer::send_as_it_comes(next, patience, wire, place).await;
        story.passage.bytes_out = *sent.as_ref().unwrap_or(&0);
        if !self.has_fetched.get() {
            story.cache = Some(Cache::Hit);
        }
        Some(sent.err().map(Error::fault))
    }

    /// What says of the whole what there is to say, and the slice in which the range begins.
    async fn first(&self) -> Option<(Arc<Object>, Arc<Object>)> {
        let begins = slices::begins(&look::view(&self.wish.fields))?;
        let known = self.stored(&cache::of_slices(&self.asking.key)).await;
        let known = known.filter(|known| self.is_fresh(known));
        let version = known
            .as_ref()
            .and_then(|known| Some(slices::part_of(&known.view())?.0));
        let number = begins.of(version.as_ref().map(|version| version.total))? / self.size;
        let first = match self.slice(number, version.as_ref()).await {
            // It has changed, and is asked for as if nothing were known.
            None if version.is_some() => {
                self.asking.store.discard(&self.asking.key);
                self.slice(number, None).await?
            }
            first => first?,
        };
        // What has just come says more than what was known.
        let head = known.filter(|_| !self.has_fetched.get());
        Some((head.unwrap_or_else(|| Arc::clone(&first)), first))
    }

    fn is_fresh(&self, known: &Object) -> bool {
        let heard = if self.rule.obeys_requests {
            Directives::of_request(&look::view(&self.wish.fields))
        } else {
            Directives::default()
        };
        known.judge(Instant::now(), &heard) == Use::Fresh
    }

    /// A stored head or slice, if it is for this request.
    async fn stored(&self, key: &Key) -> Option<Arc<Object>> {
        let store = &self.asking.store;
        let owner = &self.rule.owner;
        let found = {
            let client = look::view(&self.wish.fields);
            match store.find(key, owner, &client) {
                Found::Object(object) => Ok(object),
                Found::OtherVariant | Found::Nothing => Err(store.on_disk(key, owner, &client)),
            }
        };
        let object = match found {
            Ok(object) => object,
            Err(file) => store.load(key, file?).await?,
        };
        // One on the disk may have been confirmed since it was found, with a Vary that is narrower.
        let suits = object.chosen.matches(&look::view(&self.wish.fields));
        (object.status == 206 && suits).then_some(object)
    }

    /// A slice of that version, stored or as it comes; of any, if none is known. `None`: it cannot be had.
    pub(super) async fn slice(
        &self,
        number: u64,
        version: Option<&Version>,
    ) -> Option<Arc<Object>> {
        let slice = Slice {
            size: self.size,
            number,
            version: version.cloned(),
        };
        let key = slice.key(&self.asking.key);
        let is_it = |object: &Arc<Object>| {
            version.is_some() && version == slices::part_of(&object.view()).map(|it| it.0).as_ref()
        };
        if let Some(stored) = self.stored(&key).await.filter(is_it) {
            return Some(stored);
        }
        let fill = match self
            .asking
            .store
            .turn(&key, self.wish.asked, Instant::now())
        {
            Turn::Pass => return None,
            Turn::Follow(fill) => fill,
            Turn::Lead(lead) => {
                // Somebody may have brought it between the look and the turn.
                if let Some(stored) = self.stored(&key).await.filter(is_it) {
                    return Some(stored);
                }
                let fill = lead.fill();
                self.fetch(slice, lead);
                fill
            }
        };
        self.has_fetched.set(true);
        let object = fill.object().await?;
        let is_ours = object.route == self.rule.owner
            && object.chosen.matches(&look::view(&self.wish.fields))
            && object.is_for_others(Instant::now());
        is_ours.then_some(object)
    }

    /// Fetches it, also if the client goes.
    fn fetch(&self, slice: Slice, lead: Lead) {
        let range = slices::wanted(slice.size, slice.number);
        let outbound = self.part(&range, slice.version.as_ref());
        let asking = Asking {
            store: Arc::clone(&self.asking.store),
            key: Arc::clone(&self.asking.key),
            looked: Instant::now(),
            purpose: Purpose::Store(self.wish.clone()),
            lying: None,
            in_slices: None,
            slice: Some(slice),
        };
        let asking = Box::new(asking);
        let fetch = fetch_behind(self.whose(), self.behind.route, asking, outbound, lead);
        tokio::task::spawn_local(fetch);
    }

    /// Asks for what the store cannot give.
    pub(super) fn rest(&self, version: &Version, range: Range<u64>) -> Option<Reader> {
        self.has_fetched.set(true);
        let asked = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        let outbound = self.part(&asked, Some(version));
        let store = (Arc::clone(&self.asking.store), Arc::clone(&self.asking.key));
        let whose = (self.whose(), self.behind.route);
        rest::ask_for((version.clone(), range), store, whose, outbound)
    }

    fn whose(&self) -> Whose {
        let Behind {
            local,
            downstream,
            serving,
            ..
        } = self.behind;
        (Rc::clone(local), Rc::clone(downstream), Rc::clone(serving))
    }

    /// The request for a part, of that version alone where one is known.
    fn part(&self, range: &str, version: Option<&Version>) -> Outbound {
        let mut head = self.outbound.head.clone();
        ask(&mut head, b"Range", range.as_bytes());
        if let Some(version) = version {
            ask(&mut head, b"If-Range", version.tag());
        }
        self.outbound.with_head(head)
    }

    /// The whole as if it were stored, but for its payload.
    fn whole(&self, head: &Object, version: &Version) -> Stored {
        let mut fields = HeaderList::default();
        let kept = head.fields.iter();
        for (name, value) in kept.filter(|(name, _)| !name.eq_ignore_ascii_case(b"content-range")) {
            fields.push(name, value);
        }
        let body = Arc::new(Body::coming(Some(version.total)));
        let of = (Arc::clone(&head.route), head.chosen.clone());
        let mut whole = Object::new(of, (200, fields, body), head.freshness);
        whole.came = head.came;
        let client = look::view(&self.wish.fields);
        let stored = look::stored(Arc::new(whole), (Method::Get, &client), Instant::now());
        if !self.has_fetched.get() {
            return stored;
        }
        Stored {
            status: Status::Forwarded {
                why: self.wish.why,
                confirmed: false,
                stored: Some(Ok(())),
            },
            ..stored
        }
    }
}

impl Outbound {
    /// The same with another head, past the cache; of its response nothing is put into a coding or taken out of one.
    fn with_head(&self, head: Vec<u8>) -> Self {
        Self {
            upstream: self.upstream,
            head,
            framing: self.framing,
            asked: self.asked,
            knows_upgrade: self.knows_upgrade,
            protocols: self.protocols.clone(),
            named: self.named.clone(),
            max_body: self.max_body,
            is_grpc: self.is_grpc,
            idempotent: self.idempotent,
            ends: self.ends,
            key: self.key,
            mirror_key: self.mirror_key,
            came: None,
            caching: None,
            coding: None,
        }
    }
}

/// As which status and under which key a response is stored: a slice that was asked for as what it is, all of it in place of the first
/// one as all of it; anything else is a part of something, which is not stored.
pub(super) fn meant(
    slice: Option<&Slice>,
    uri: &Key,
    (status, fields, body): (u16, &[Field<'_>], ResponseBody),
) -> (u16, Key) {
    let Some(slice) = slice else {
        return (status, Arc::clone(uri));
    };
    let version = slices::slice_of((fields, length_of(body)), slice.size, slice.number);
    match status {
        206 if version.is_some() => (200, slice.key(uri)),
        200 if slice.version.is_none() => (200, Arc::clone(uri)),
        _ => (206, Arc::clone(uri)),
    }
}

/// Stores what slices are of: as long as that is fresh, they are.
pub(super) fn mark(store: &Arc<Store>, uri: &str, (slice, since): (&Object, Moment)) {
    let of = (Arc::clone(&slice.route), slice.chosen.clone());
    let body = Arc::new(Body::coming(Some(0)));
    let head = Object::new(
        of,
        (slice.status, slice.fields.clone(), body),
        slice.freshness,
    );
    let filling = store.fill(&cache::of_slices(uri), (head, since), None, 0);
    filling.finish();
}
