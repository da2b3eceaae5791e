//! The program's own QPACK, which no crate gives out.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "a part of the program, of which some functions are asked"
)]

#[path = "../../proxy/src/serve/h3/qpack/decode.rs"]
pub(crate) mod decode;
#[path = "../../proxy/src/serve/h3/qpack/encode.rs"]
pub(crate) mod encode;
#[path = "../../proxy/src/serve/h3/qpack/table.rs"]
mod table;
