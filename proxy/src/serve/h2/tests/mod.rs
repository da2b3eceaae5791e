//! The whole of a connection: driver, wires and frames, against an independent client and against raw frames.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::large_stack_arrays,
    reason = "tests may panic"
)]

mod abuse;
mod client;
mod conduct;
mod ending;
mod fuzz;
mod priorities;
mod raw;
mod requests;
pub(in crate::serve) mod server;
mod uploads;
mod windows;
