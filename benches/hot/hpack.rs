//! The program's own HPACK, which no crate gives out.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "a part of the program, of which some functions are asked"
)]

#[path = "../../proxy/src/serve/h2/hpack/encode.rs"]
pub(crate) mod encode;
