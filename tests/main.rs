//! OpenClaw as its users meet it: the real binary, real sockets, real neighbours. One folder a subject.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails, and says why"
)]

mod support;
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
