//! Encoders and decoders of content codings, and the encoders of a worker that wait for another body. Which body gets which is decided
//! in [`openclaw_core::coding`].

mod decoder;
mod encoder;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};

use openclaw_core::coding::Coding;

pub use self::encoder::{Broken, Step, Until};

use self::decoder::Decoder;
use self::encoder::{Encoder, Whole};

/// So many encoders are kept for later.
const KEPT: usize = 8;

/// The encoders of one worker.
#[derive(Debug, Default)]
pub struct Coders {
    idle: RefCell<Vec<(Kind, Encoder)>>,
    under_way: Cell<usize>,
}

/// Encoders of one kind can take each other's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    coding: Coding,
    level: u8,
    is_whole: bool,
}

/// An encoder, or a decoder, for one body.
#[derive(Debug)]
pub struct Coder<'a> {
    coders: &'a Coders,
    /// In encoders.
    weight: usize,
    /// Gone when it is given back.
    way: Option<Way>,
}

#[derive(Debug)]
enum Way {
    Into(Kind, Encoder),
    OutOf(Decoder),
}

impl Coders {
    /// An encoder for a body of that length, if it is known; `None` while `most` are in use.
    pub fn coder(
        &self,
        (coding, level): (Coding, u8),
        length: Option<u64>,
        most: usize,
    ) -> Option<Coder<'_>> {
        let under_way = self.under_way.get();
        if under_way >= most {
            return None;
        }
        let is_whole = Whole::takes(coding, length);
        let kind = Kind {
            coding,
            level,
            is_whole,
        };
        let mut encoder = match self.kept(kind) {
            Some(encoder) => encoder,
            None => Encoder::new(coding, level, is_whole).ok()?,
        };
        encoder.expect(length).ok()?;
        Some(self.begin(Way::Into(kind, encoder), 1))
    }

    /// A decoder for a body in that coding; `None` while so many others are in use that its memory would be more than that of `most`
    /// encoders.
    pub fn decoder(&self, coding: Coding, most: usize) -> Option<Coder<'_>> {
        let weight = Decoder::weight(coding);
        let under_way = self.under_way.get();
        if under_way > 0 && under_way + weight > most {
            return None;
        }
        let decoder = Decoder::new(coding).ok()?;
        Some(self.begin(Way::OutOf(decoder), weight))
    }

    fn begin(&self, way: Way, weight: usize) -> Coder<'_> {
        self.under_way.set(self.under_way.get() + weight);
        Coder {
            coders: self,
            weight,
            way: Some(way),
        }
    }

    fn kept(&self, kind: Kind) -> Option<Encoder> {
        let mut idle = self.idle.borrow_mut();
        let at = idle.iter().rposition(|(known, _)| *known == kind)?;
        Some(idle.remove(at).1)
    }
}

impl Coder<'_> {
    /// What it puts a body into; `None` if it takes one out of a coding.
    pub const fn coding(&self) -> Option<Coding> {
        match &self.way {
            Some(Way::Into(kind, _)) => Some(kind.coding),
            Some(Way::OutOf(_)) | None => None,
        }
    }

    /// Takes input and appends to `out`, within its capacity.
    ///
    /// # Errors
    /// Nothing more can be made of the body.
    pub fn step(&mut self, input: &[u8], until: Until, out: &mut Vec<u8>) -> Result<Step, Broken> {
        match self.way.as_mut().ok_or(Broken)? {
            Way::Into(_, encoder) => encoder.step(input, until, out),
            Way::OutOf(decoder) => decoder.step(input, until, out),
        }
    }
}

impl Drop for Coder<'_> {
    fn drop(&mut self) {
        let under_way = self.coders.under_way.get();
        self.coders
            .under_way
            .set(under_way.saturating_sub(self.weight));
        let Some(Way::Into(kind, encoder)) = self.way.take() else {
            return;
        };
        let encoder = encoder.recycled();
        let mut idle = self.coders.idle.borrow_mut();
        if let Some(encoder) = encoder.filter(|_| idle.len() < KEPT) {
            idle.push((kind, encoder));
        }
    }
}
