//! Filling a header list, up to its limit.

use openclaw_core::message::HeaderList;

/// What became of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(in crate::serve) enum Decoded {
    Whole,
    /// The list was larger than allowed; it holds only the fields before that.
    TooLarge,
}

/// Fills the list and stops at the limit.
#[derive(Debug)]
pub(in crate::serve) struct Taker<'l> {
    list: &'l mut HeaderList,
    max_size: usize,
    decoded: Decoded,
}

impl<'l> Taker<'l> {
    pub(in crate::serve) fn new(list: &'l mut HeaderList, max_size: usize) -> Self {
        Self {
            list,
            max_size,
            decoded: Decoded::Whole,
        }
    }

    pub(in crate::serve) fn take(&mut self, name: &[u8], value: &[u8]) {
        if self.decoded == Decoded::TooLarge {
            return;
        }
        if self.list.size() + name.len() + value.len() + 32 > self.max_size {
            self.decoded = Decoded::TooLarge;
        } else {
            self.list.push(name, value);
        }
    }

    pub(in crate::serve) fn decoded(&self) -> Decoded {
        self.decoded
    }
}
