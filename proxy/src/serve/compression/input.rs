//! Reading a block from its front.

use super::{BadBlock, huffman};

/// What is left of the block.
#[derive(Debug)]
pub(in crate::serve) struct Input<'b>(&'b [u8]);

impl<'b> Input<'b> {
    pub(in crate::serve) fn new(block: &'b [u8]) -> Self {
        Self(block)
    }

    /// The next octet, which stays.
    pub(in crate::serve) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// RFC 7541 §5.1, at most four octets after the prefix: nothing on this wire is longer than 2^28.
    pub(in crate::serve) fn integer(&mut self, prefix: u8) -> Result<usize, BadBlock> {
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

    /// A string literal with a length of so many bits, above which is the Huffman flag (RFC 7541 §5.2): a slice of the block, or of
    /// `scratch` if it was compressed.
    pub(in crate::serve) fn string<'s>(
        &mut self,
        prefix: u8,
        scratch: &'s mut Vec<u8>,
    ) -> Result<&'s [u8], BadBlock>
    where
        'b: 's,
    {
        let compressed = self.peek().is_some_and(|first| first & (1 << prefix) != 0);
        let length = self.integer(prefix)?;
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
