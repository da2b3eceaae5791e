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
