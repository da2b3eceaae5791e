//! Encoders of content codings, and those of a worker that wait for another body. Which body gets which is decided in
//! [`openclaw_core::coding`].

mod encoder;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};

use openclaw_core::coding::Coding;

pub use self::encoder::{Broken, Step, Until};

use self::encoder::Encoder;

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
}

/// An encoder for one body.
#[derive(Debug)]
pub struct Coder<'a> {
    coders: &'a Coders,
    kind: Kind,
    /// Gone when it is given back.
    encoder: Option<Encoder>,
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
        let kind = Kind { coding, level };
        let mut encoder = match self.kept(kind) {
            Some(encoder) => encoder,
            None => Encoder::new(coding, level).ok()?,
        };
        encoder.expect(length).ok()?;
        self.under_way.set(under_way + 1);
        Some(Coder {
            coders: self,
            kind,
            encoder: Some(encoder),
        })
    }

    fn kept(&self, kind: Kind) -> Option<Encoder> {
        let mut idle = self.idle.borrow_mut();
        let at = idle.iter().rposition(|(known, _)| *known == kind)?;
        Some(idle.remove(at).1)
    }
}

impl Coder<'_> {
    pub const fn coding(&self) -> Coding {
        self.kind.coding
    }

    /// Takes input and appends to `out`, within its capacity.
    ///
    /// # Errors
    /// Nothing more can be made of the body.
    pub fn step(&mut self, input: &[u8], until: Until, out: &mut Vec<u8>) -> Result<Step, Broken> {
        let encoder = self.encoder.as_mut().ok_or(Broken)?;
        encoder.step(input, until, out)
    }
}

impl Drop for Coder<'_> {
    fn drop(&mut self) {
        self.coders.under_way.set(self.coders.under_way.get() - 1);
        let encoder = self.encoder.take().and_then(Encoder::recycled);
        let mut idle = self.coders.idle.borrow_mut();
        if let Some(encoder) = encoder.filter(|_| idle.len() < KEPT) {
            idle.push((self.kind, encoder));
        }
    }
}
