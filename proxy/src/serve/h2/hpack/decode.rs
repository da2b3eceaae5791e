//! Header blocks to header lists.

use openclaw_core::message::HeaderList;

use super::huffman;
use super::table::{MAX_SIZE, Table};

/// Scratch buffers larger than this are given back after the block.
const KEPT_SCRATCH: usize = 1024;

/// What became of a block. The dynamic table is in step with the peer's in both cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(in super::super) enum Decoded {
    Whole,
    /// The list was larger than allowed; it holds only the fields before that.
    TooLarge,
}

/// The block cannot be decoded: `COMPRESSION_ERROR`, and the end of the connection (RFC 9113 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct BadBlock;

/// The receiving half of one connection's compression.
#[derive(Debug)]
pub(in super::super) struct Decoder {
    table: Table,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Decoder {
    pub(in super::super) fn new() -> Self {
        Self {
            table: Table::new(),
            name: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Appends the fields of a whole block to `list`, at most until its size is `max_size`.
    pub(in super::super) fn decode(
        &mut self,
        block: &[u8],
        max_size: usize,
        list: &mut HeaderList,
    ) -> Result<Decoded, BadBlock> {
        let mut input = Input(block);
        let mut taker = Taker {
            list,
            max_size,
            decoded: Decoded::Whole,
        };
        let mut at_start = true;
        while let Some(&first) = input.0.first() {
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
        Ok(taker.decoded)
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
            input.string(&mut self.name)?
        } else {
            // Copied, as the insertion below may evict the entry that lends its name.
            let (name, _) = self.table.at(index).ok_or(BadBlock)?;
            self.name.extend_from_slice(name);
            &self.name
        };
        let value = input.string(&mut self.value)?;
        taker.take(name, value);
        if keeps {
            self.table.insert(name, value);
        }
        Ok(())
    }
}

/// Fills the list and stops at the limit.
struct Taker<'l> {
    list: &'l mut HeaderList,
    max_size: usize,
    decoded: Decoded,
}

impl Taker<'_> {
    fn take(&mut self, name: &[u8], value: &[u8]) {
        if self.decoded == Decoded::TooLarge {
            return;
        }
        if self.list.size() + name.len() + value.len() + 32 > self.max_size {
            self.decoded = Decoded::TooLarge;
        } else {
            self.list.push(name, value);
        }
    }
}

/// What is left of the block.
struct Input<'b>(&'b [u8]);

impl<'b> Input<'b> {
    /// RFC 7541 §5.1, at most four octets after the prefix: nothing on this wire is longer than 2^28.
    fn integer(&mut self, prefix: u8) -> Result<usize, BadBlock> {
        let (first, mut rest) = self.0.split_first().ok_or(BadBlock)?;
        let mask = 0xffu8 >> (8 - prefix);
        let mut number = usize::from(first & mask);
        if first & mask == mask {
            let mut shift = 0;
            loop {
                let (octet, tail) = rest.split_first().ok_or(BadBlock)?;
                rest = tail;
                if shift > 21 {
                    return Err(BadBlock);
                }
                number += usize::from(octet & 0x7f) << shift;
                shift += 7;
                if octet & 0x80 == 0 {
                    break;
                }
            }
        }
        self.0 = rest;
        Ok(number)
    }

    /// A string literal (RFC 7541 §5.2): a slice of the block, or of `scratch` if it was compressed.
    fn string<'s>(&mut self, scratch: &'s mut Vec<u8>) -> Result<&'s [u8], BadBlock>
    where
        'b: 's,
    {
        let compressed = self.0.first().is_some_and(|first| first & 0x80 != 0);
        let length = self.integer(7)?;
        let (string, rest) = self.0.split_at_checked(length).ok_or(BadBlock)?;
        self.0 = rest;
        if !compressed {
            return Ok(string);
        }
        if huffman::decode(string, scratch) {
            Ok(scratch)
        } else {
            Err(BadBlock)
        }
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
