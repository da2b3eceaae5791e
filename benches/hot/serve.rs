//! What the program's HPACK shares with its QPACK.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "a part of the program, of which some functions are asked"
)]

#[path = "../../proxy/src/serve/compression/write.rs"]
pub(crate) mod compression;
