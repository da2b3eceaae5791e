//! The HTTP/1 wire grammar.
