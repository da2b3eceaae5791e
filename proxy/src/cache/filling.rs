//! A response on its way into the store: into memory, onto the disk, or both, and to those who read along.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep};

use super::disk::Writing;
use super::{Key, Lead, Moment, Object, Store};

/// A disk that takes nothing for so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// The same where others read along: who is behind would lose what only the disk has.
const PATIENCE_OF_READERS: Duration = Duration::from_secs(5);
/// How often is looked whether others have given room back.
const NAP: Duration = Duration::from_millis(5);

/// One that comes. Dropped before its end it breaks for all who read it.
#[derive(Debug)]
pub struct Filling {
    key: Key,
    object: Arc<Object>,
    lead: Option<Lead>,
    writing: Option<Writing>,
    /// The longest that is stored.
    most: u64,
    taken: u64,
    held: Held,
    /// Of what is held, what has not come yet.
    promised: u64,
    is_stored: bool,
    /// Too large for memory.
    is_spilt: bool,
    /// When its origin was asked.
    since: Moment,
    /// While room is waited for.
    patience: Option<Patience>,
}

#[derive(Debug)]
struct Patience {
    until: Instant,
    /// Bytes that were here when the disk was last seen to take some.
    held: u64,
    nap: Pin<Box<Sleep>>,
}

/// Memory for what is coming.
#[derive(Debug)]
struct Held {
    store: Arc<Store>,
    bytes: u64,
}

impl Store {
    /// Begins to store a response, whose payload is to come; `since`: when its origin was asked.
    pub fn fill(
        self: &Arc<Self>,
        key: &Key,
        (object, since): (Object, Moment),
        lead: Option<Lead>,
        most: u64,
    ) -> Filling {
        let object = Arc::new(object);
        if let Some(lead) = &lead {
            lead.publish(Arc::clone(&object));
        }
        let disk = self.disk();
        Filling {
            key: Arc::clone(key),
            lead,
            most: disk.as_ref().map_or(most, |disk| most.min(disk.most())),
            writing: disk.and_then(|disk| disk.write(key, &object, (&self.changes, since))),
            object,
            taken: 0,
            held: Held {
                store: Arc::clone(self),
                bytes: 0,
            },
            promised: 0,
            is_stored: true,
            is_spilt: false,
            since,
            patience: None,
        }
    }
}

impl Filling {
    /// Waits, though not for ever, for room for so much: an origin may be faster than the disk, and others may be before this one.
    pub fn poll_room(&mut self, bytes: usize, cx: &mut Context<'_>) -> Poll<()> {
        let bytes = bytes as u64;
        if !self.is_stored || !self.writes() || self.promise(bytes) {
            self.patience = None;
            return Poll::Ready(());
        }
        self.spill();
        self.write(self.object.body.seal_short());
        let held = self.object.body.poll_held(cx);
        self.shrink(held);
        if self.promise(bytes) {
            self.patience = None;
            return Poll::Ready(());
        }
        let now = Instant::now();
        let until = now
            + if self.is_read() {
                PATIENCE_OF_READERS
            } else {
                PATIENCE
            };
        let patience = self.patience.get_or_insert_with(|| Patience {
            until,
            held,
            nap: Box::pin(sleep(NAP)),
        });
        if held < patience.held {
            patience.until = until;
        }
        patience.held = held;
        if now >= patience.until {
            self.patience = None;
            return Poll::Ready(());
        }
        while patience.nap.as_mut().poll(cx).is_ready() {
            patience.nap.as_mut().reset(Instant::now() + NAP);
        }
        Poll::Pending
    }

    /// Whether there is room for so much, which is taken then.
    fn promise(&mut self, bytes: u64) -> bool {
        let fits = self.held.grow(bytes.saturating_sub(self.promised));
        if fits {
            self.promised = self.promised.max(bytes);
        }
        fits
    }

    /// What there is room for does not come yet.
    pub fn wait(&mut self) {
        let promised = std::mem::take(&mut self.promised);
        self.held.shrink(self.held.bytes.saturating_sub(promised));
    }

    /// No more than that has come and is here.
    fn shrink(&mut self, bytes: u64) {
        self.held.shrink(bytes + self.promised);
    }

    fn writes(&self) -> bool {
        let mut writing = self.writing.iter();
        writing.any(|writing| !writing.is_broken())
    }

    /// From now on the disk alone has it.
    fn spill(&mut self) {
        if !std::mem::replace(&mut self.is_spilt, true) {
            self.object.body.spill();
        }
    }

    /// Takes payload; false once nobody has a use for it.
    pub fn take(&mut self, payload: &[u8]) -> bool {
        self.taken += payload.len() as u64;
        if self.is_stored && !self.fits(payload.len() as u64) {
            self.is_stored = false;
            self.writing = None;
            // Who reads it reads on, out of as much memory as it has taken until now.
            self.object.body.let_go(self.held.bytes);
            if let Some(lead) = self.lead.take() {
                lead.pass();
            }
        }
        let pushed = self.object.body.push(payload);
        if self.is_stored {
            self.shrink(pushed.held);
        }
        let is_short = self.is_spilt && self.held.store.is_crowded();
        let short = || is_short.then(|| self.object.body.seal_short()).flatten();
        let piece = pushed.piece.or_else(short);
        self.write(piece);
        pushed.is_wanted
    }

    /// Has the disk write a piece. Where it alone has that, the room is free as soon as it lies there: its origin may be long in
    /// sending more.
    fn write(&mut self, piece: Option<Bytes>) {
        if let Some((writing, piece)) = self.writing.as_ref().zip(piece) {
            let room = self.is_spilt.then(|| self.held.part(piece.len() as u64));
            writing.push(piece, room);
        }
    }

    /// Whether so much more can be stored.
    fn fits(&mut self, more: u64) -> bool {
        let is_crowded = || self.writes() && self.held.store.is_crowded();
        if self.taken > self.held.store.most_in_memory() || is_crowded() {
            self.spill();
        }
        let is_storable = self.taken <= self.most && (self.writes() || !self.is_spilt);
        if !is_storable || !self.promise(more) {
            return false;
        }
        self.promised -= more;
        true
    }

    /// Whether somebody reads along.
    pub fn is_read(&self) -> bool {
        self.object.body.is_read()
    }

    /// That was all of it.
    pub fn finish(mut self) {
        let last = self.object.body.seal();
        let is_whole = self.object.body.finish();
        if !is_whole {
            return;
        }
        let store = Arc::clone(&self.held.store);
        let is_here = self.object.body.is_whole();
        // Where memory has it nobody need wait for the disk.
        let lead = if is_here { None } else { self.lead.take() };
        let nothing = Held {
            store: Arc::clone(&store),
            bytes: 0,
        };
        let held = std::mem::replace(&mut self.held, nothing);
        // Not to be dropped within the turn.
        let mut after = Some((lead, held));
        let writing = self.writing.take();
        // In one turn: of two that come at once memory and disk have the same one afterwards.
        store.keep(self.since, &self.key, &self.object, |purges| {
            if is_here {
                store.insert(&self.key, &self.object, purges);
            } else {
                store.make_way(&self.key, &self.object, purges);
            }
            if let Some(writing) = writing {
                if let Some(last) = last {
                    writing.push(last, ());
                }
                writing.finish(after.take());
            } else if let Some(disk) = store.disk() {
                // What is there is older.
                disk.forget_one(&self.key, &self.object);
            }
        });
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.object.body.break_off();
    }
}

impl Held {
    /// Whether there is room for more.
    fn grow(&mut self, bytes: u64) -> bool {
        let fits = self.store.reserve(bytes);
        if fits {
            self.bytes += bytes;
        }
        fits
    }

    /// So much of it, which is given back by itself.
    fn part(&mut self, bytes: u64) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self {
            store: Arc::clone(&self.store),
            bytes,
        }
    }

    /// No more than that is held.
    fn shrink(&mut self, bytes: u64) {
        let over = self.bytes.saturating_sub(bytes);
        self.store.release(over);
        self.bytes -= over;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.store.release(self.bytes);
    }
}
