//! The whole of a connection: driver, wires and frames, over two state machines of QUIC that exchange packets in memory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "tests may panic"
)]

mod connect;
mod ending;
mod errors;
mod exchanges;
mod fuzz;
mod malformed;
mod messages;
mod pair;
mod parity;
mod setup;
mod windows;
