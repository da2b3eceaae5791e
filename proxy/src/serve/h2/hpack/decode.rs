//! Header blocks to header lists.

use openclaw_core::message::HeaderList;

use super::table::{MAX_SIZE, Table};
use crate::serve::compression::{BadBlock, Decoded, Input, KEPT_SCRATCH, Taker};

/// The receiving half of one connection's compression.
#[derive(Debug)]
pub(in crate::serve) struct Decoder {
    table: Table,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Decoder {
    pub(in crate::serve) fn new() -> Self {
        Self {
            table: Table::new(),
            name: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Appends the fields of a whole block to `list`, at most until its size is `max_size`.
    pub(in crate::serve) fn decode(
        &mut self,
        block: &[u8],
        max_size: usize,
        list: &mut HeaderList,
    ) -> Result<Decoded, BadBlock> {
        let mut input = Input::new(block);
        let mut taker = Taker::new(list, max_size);
        let mut at_start = true;
        while let Some(first) = input.peek() {
            if first & 0xe0 == 0x20 {
                let size = input.integer(5)?;
                if !at_start || size > MAX_SIZE {
                    return Err(BadBlock);
                }
                self.table.resize(size);
                continue;
            }
            at_start = false;
            if first & 0x80 != 0 {
                let (name, value) = self.table.at(input.integer(7)?).ok_or(BadBlock)?;
                taker.take(name, value);
            } else {
                self.literal(first, &mut input, &mut taker)?;
            }
        }
        for scratch in [&mut self.name, &mut self.value] {
            if scratch.capacity() > KEPT_SCRATCH {
                *scratch = Vec::new();
            }
        }
        Ok(taker.decoded())
    }

    /// The three forms that carry a value (RFC 7541 §6.2).
    fn literal(
        &mut self,
        first: u8,
        input: &mut Input<'_>,
        taker: &mut Taker<'_>,
    ) -> Result<(), BadBlock> {
        let keeps = first & 0xc0 == 0x40;
        let index = input.integer(if keeps { 6 } else { 4 })?;
        self.name.clear();
        self.value.clear();
        let name = if index == 0 {
            input.string(7, &mut self.name)?
        } else {
            // Copied, as the insertion below may evict the entry that lends its name.
            let (name, _) = self.table.at(index).ok_or(BadBlock)?;
            self.name.extend_from_slice(name);
            &self.name
        };
        let value = input.string(7, &mut self.value)?;
        taker.take(name, value);
        if keeps {
            self.table.insert(name, value);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
