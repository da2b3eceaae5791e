//! The wires: each turns its own framing into exchanges and back.

pub mod h2;
