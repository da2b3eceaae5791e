//! OpenClaw as its users meet it: the real binary, real sockets, real neighbours. One folder a subject.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::string_slice,
    clippy::unwrap_used,
    missing_debug_implementations,
    unreachable_pub,
    reason = "a test that cannot go on fails, and says why; a test binary exports nothing"
)]

mod assay;
mod caching;
mod clauses;
mod coding;
mod control;
mod discovery;
mod guides;
mod h3;
mod http;

mod package;
mod readme;
mod relay;
mod routes;
mod shield;
mod soak;
mod support;
mod upstream;
