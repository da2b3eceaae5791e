//! The program's own HPACK, which no crate gives out.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "a part of the program, of which some functions are asked"
)]

#[path = "../../proxy/src/serve/h2/hpack/decode.rs"]
pub(crate) mod decode;
#[path = "../../proxy/src/serve/h2/hpack/encode.rs"]
pub(crate) mod encode;
#[path = "../../proxy/src/serve/h2/hpack/huffman.rs"]
mod huffman;
#[path = "../../proxy/src/serve/h2/hpack/table.rs"]
mod table;
