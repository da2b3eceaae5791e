//! What is asked of the wires with header lists: their codings are seen within `serve` alone, here as in the program.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "a part of the program, of which some functions are asked"
)]

#[path = "../../proxy/src/serve/compression/mod.rs"]
pub(crate) mod compression;
#[path = "h2.rs"]
pub(crate) mod h2;
#[path = "h3.rs"]
pub(crate) mod h3;
#[path = "hpack.rs"]
mod hpack;
#[path = "keys.rs"]
mod keys;
#[path = "qpack.rs"]
mod qpack;
#[path = "quic.rs"]
pub(crate) mod quic;
