//! Tests: one binary, as a user would see the product. A folder a subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_debug_implementations,
    reason = "a test fails by panicking, and a test binary exports nothing"
)]

mod shield;
