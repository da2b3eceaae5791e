//! The wires: each turns its bytes into requests and bodies for the exchange, and responses back into bytes.

pub mod h1;
//! The wires: each turns its own framing into exchanges and back.

pub mod h2;
