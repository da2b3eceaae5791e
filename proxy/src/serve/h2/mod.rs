//! HTTP/2 (RFC 9113), server side.

mod frame;
mod hpack;
