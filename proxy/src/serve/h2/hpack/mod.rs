//! HPACK (RFC 7541): a decoder with its table, and an encoder that needs none.

mod decode;
pub(super) mod encode;
mod huffman;
mod table;

pub(super) use decode::{Decoded, Decoder};
