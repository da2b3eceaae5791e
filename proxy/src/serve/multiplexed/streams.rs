//! The streams of a connection, by slot and by id, and those whose request has just come.

use std::collections::VecDeque;
use std::fmt::Debug;

use openclaw_core::message::HeaderList;
use slab::Slab;

use super::spare;
use super::stream::{Cut, Stream};

/// An idle connection gives the memory of more streams back.
const KEPT_SLOTS: usize = 8;

/// A request whose head was read and that no exchange has begun with.
#[derive(Debug)]
pub(in crate::serve) struct Arrival {
    pub slot: u32,
    pub list: HeaderList,
    pub too_large: bool,
}

#[derive(Debug)]
pub(in crate::serve) struct Streams<I, O> {
    slots: Slab<Stream<I, O>>,
    /// Stream ids and slots, ascending.
    index: Vec<(I, u32)>,
    arrivals: VecDeque<Arrival>,
    /// Streams with an exchange were cut since this was last asked.
    has_cut: bool,
}

impl<I: Copy + Ord + Debug, O> Streams<I, O> {
    pub(in crate::serve) fn new() -> Self {
        Self {
            slots: Slab::new(),
            index: Vec::new(),
            arrivals: VecDeque::new(),
            has_cut: false,
        }
    }

    /// Gives a new stream, whose id is above all others, a slot.
    pub(in crate::serve) fn keep(&mut self, stream: Stream<I, O>) -> u32 {
        let id = stream.id;
        let slot = self.slots.insert(stream) as u32;
        self.index.push((id, slot));
        slot
    }

    /// The slot of a stream that has one.
    pub(in crate::serve) fn slot(&self, id: I) -> Option<u32> {
        let at = self.index.binary_search_by_key(&id, |entry| entry.0).ok()?;
        self.index.get(at).map(|entry| entry.1)
    }

    pub(in crate::serve) fn at(&mut self, slot: u32) -> Option<&mut Stream<I, O>> {
        self.slots.get_mut(slot as usize)
    }

    pub(in crate::serve) fn live(&mut self, slot: u32) -> Option<&mut Stream<I, O>> {
        self.at(slot).filter(|stream| stream.is_live())
    }

    pub(in crate::serve) fn all(&mut self) -> impl Iterator<Item = &mut Stream<I, O>> {
        self.slots.iter_mut().map(|(_, stream)| stream)
    }

    pub(in crate::serve) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether the client has `most` streams open. One that is over on the wire keeps its slot until the end of this turn,
    /// when its exchange is dropped; as many of these are tolerated again.
    pub(in crate::serve) fn is_full(&self, most: usize) -> bool {
        let slots = self.slots.len();
        let open = || self.slots.iter().filter(|(_, stream)| stream.is_open());
        slots >= most && (slots >= 2 * most || open().count() >= most)
    }

    /// How many have a slot.
    pub(in crate::serve) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Frees a stream's slot.
    pub(in crate::serve) fn forget(&mut self, slot: u32) -> Option<Stream<I, O>> {
        let stream = self.slots.try_remove(slot as usize)?;
        if let Ok(at) = self.index.binary_search_by_key(&stream.id, |entry| entry.0) {
            self.index.remove(at);
        }
        Some(stream)
    }

    /// A request has come, and waits until all that was read is taken in.
    pub(in crate::serve) fn arrive(&mut self, arrival: Arrival) {
        self.arrivals.push_back(arrival);
    }

    /// The next request to begin with.
    pub(in crate::serve) fn next_arrival(&mut self) -> Option<Arrival> {
        self.arrivals.pop_front()
    }

    /// The stream is over before its time. One with an exchange keeps its slot, and counts as open, until the exchange has
    /// let go of its endpoint; any other is returned.
    pub(in crate::serve) fn cut(&mut self, slot: u32, cut: Cut) -> Option<Stream<I, O>> {
        let stream = self.at(slot)?;
        if stream.started {
            stream.cut = cut;
            stream.wake();
            self.has_cut = true;
            return None;
        }
        let mut arrivals = self.arrivals.iter();
        let at = arrivals.position(|arrival| arrival.slot == slot);
        if let Some(arrival) = at.and_then(|at| self.arrivals.remove(at)) {
            spare::give_list(arrival.list);
        }
        self.forget(slot)
    }

    /// Whether streams with an exchange were cut since the last time.
    pub(in crate::serve) fn take_cut(&mut self) -> bool {
        std::mem::take(&mut self.has_cut)
    }

    /// The client is gone, or the connection is over.
    pub(in crate::serve) fn cut_all(&mut self) {
        while let Some(arrival) = self.arrivals.pop_front() {
            self.forget(arrival.slot);
        }
        for stream in self.all() {
            if stream.is_live() {
                stream.cut = Cut::Gone;
            }
            stream.wake();
        }
    }

    /// Gives memory back that an idle connection does not need.
    pub(in crate::serve) fn shrink(&mut self) {
        if self.slots.is_empty() && self.slots.capacity() > KEPT_SLOTS {
            *self = Self::new();
        }
    }
}
