//! HPACK (RFC 7541): a decoder with its table, and an encoder that needs none.

mod decode;
pub(in crate::serve) mod encode;
mod table;

pub(super) use super::super::compression::Decoded;
pub(in crate::serve) use decode::Decoder;
