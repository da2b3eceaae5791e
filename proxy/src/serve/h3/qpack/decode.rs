//! Field sections to header lists.

use openclaw_core::message::HeaderList;

use super::table::STATIC;
use crate::serve::compression::{BadBlock, Decoded, Input, KEPT_SCRATCH, Taker};

/// Decodes field sections; keeps nothing but its scratch space from one to the next.
#[derive(Debug, Default)]
pub(in super::super) struct Decoder {
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Decoder {
    /// Appends the fields of a whole section to `list`, at most until its size is `max_size`. An error is
    /// `QPACK_DECOMPRESSION_FAILED`, and the end of the connection (RFC 9204 §2.2).
    pub(in super::super) fn decode(
        &mut self,
        section: &[u8],
        max_size: usize,
        list: &mut HeaderList,
    ) -> Result<Decoded, BadBlock> {
        let mut input = Input::new(section);
        prefix(&mut input)?;
        let mut taker = Taker::new(list, max_size);
        while let Some(first) = input.peek() {
            if first & 0x80 != 0 {
                // Indexed (RFC 9204 §4.5.2).
                let is_static = first & 0x40 != 0;
                let (name, value) = entry(is_static, input.integer(6)?)?;
                taker.take(name, value);
            } else if first & 0x40 != 0 {
                // A literal with a name by index (RFC 9204 §4.5.4).
                let is_static = first & 0x10 != 0;
                let (name, _) = entry(is_static, input.integer(4)?)?;
                self.value.clear();
                taker.take(name, input.string(7, &mut self.value)?);
            } else if first & 0x20 != 0 {
                // A literal with a literal name (RFC 9204 §4.5.6).
                self.name.clear();
                self.value.clear();
                let name = input.string(3, &mut self.name)?;
                taker.take(name, input.string(7, &mut self.value)?);
            } else {
                // What lies behind the base is in the dynamic table (RFC 9204 §4.5.3, §4.5.5).
                return Err(BadBlock);
            }
        }
        let decoded = taker.decoded();
        for scratch in [&mut self.name, &mut self.value] {
            if scratch.capacity() > KEPT_SCRATCH {
                *scratch = Vec::new();
            }
        }
        Ok(decoded)
    }
}

/// A section that requires nothing of the dynamic table, and whose base is not before its beginning (RFC 9204 §4.5.1).
fn prefix(input: &mut Input<'_>) -> Result<(), BadBlock> {
    if input.integer(8)? != 0 {
        return Err(BadBlock);
    }
    let is_before = input.peek().is_some_and(|first| first & 0x80 != 0);
    input.integer(7)?;
    if is_before { Err(BadBlock) } else { Ok(()) }
}

fn entry(is_static: bool, index: usize) -> Result<(&'static [u8], &'static [u8]), BadBlock> {
    let entry = STATIC.get(index).filter(|_| is_static);
    entry.copied().ok_or(BadBlock)
}
