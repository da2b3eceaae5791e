//! HTTP/2 (RFC 9113), server side, by our own frame layer.
//!
//! [`Driver`] is the task of one connection. It owns the socket and a connection state that knows no socket; each
//! request becomes an exchange that the driver polls and that reaches its client through a [`StreamWire`].

mod budget;
mod connection;
mod driver;
mod face;
mod farewell;
mod flow;
mod frame;
pub(super) mod hpack;
mod inbound;
mod outbound;
mod output;
mod running;
mod serve;
mod settings;
pub(super) mod spare;
mod stream;
mod wire;

pub use driver::Driver;
pub use face::{End, Exchanges, Limits, Pending, Socket, Wait};
pub use frame::{Code, PREFACE, Violation};
pub use serve::serve;
pub use wire::StreamWire;

#[cfg(test)]
pub(super) mod tests;
