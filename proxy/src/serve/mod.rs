//! The wires: each turns its bytes into requests and bodies for the exchange, and responses back into bytes.

mod compression;
pub mod h1;
pub mod h2;
pub mod h3;
mod multiplexed;
