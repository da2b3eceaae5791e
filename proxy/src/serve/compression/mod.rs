//! What HPACK (RFC 7541) and QPACK (RFC 9204) have in common: integers, strings with their Huffman code, and the limit on the list that
//! they are decoded into.

mod fields;
pub(super) mod huffman;
mod input;
mod taker;
mod write;

pub(super) use fields::fields;
pub(super) use input::Input;
pub(super) use taker::{Decoded, Taker};
pub(super) use write::{digits, integer, name, value};

/// Scratch buffers larger than this are given back after the block.
pub(super) const KEPT_SCRATCH: usize = 1024;

/// A block that cannot be decoded: the end of the connection on either wire (RFC 9113 §4.3, RFC 9204 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadBlock;

#[cfg(test)]
mod tests {
    use super::{Input, integer};

    #[test]
    fn integers_of_every_prefix_survive_the_way_there_and_back() {
        for prefix in 1..=8 {
            for number in (0..70_000).chain([(1 << 28) - 1]) {
                let mut out = Vec::new();
                integer(&mut out, prefix, 0, number);
                let mut input = Input::new(&out);
                assert_eq!(input.integer(prefix), Ok(number), "{prefix}");
                assert_eq!(input.peek(), None);
            }
        }
    }

    #[test]
    fn the_examples_of_the_rfc_are_encoded_as_there() {
        for (prefix, first, number, expected) in [
            (5, 0, 10, &[0x0a][..]),
            (5, 0xa0, 1337, &[0xbf, 0x9a, 0x0a]),
            (8, 0, 42, &[0x2a]),
        ] {
            let mut out = Vec::new();
            integer(&mut out, prefix, first, number);
            assert_eq!(out, expected);
        }
    }
}
