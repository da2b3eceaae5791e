//! QPACK (RFC 9204) with the static table alone: we announce a dynamic table of no size, so blocks depend on nothing but themselves.

mod decode;
pub(super) mod encode;
mod instructions;
mod table;

pub(super) use decode::Decoder;
pub(super) use instructions::{DecoderStream, is_capacity_of_none};

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
