//! HTTP/2 (RFC 9113), server side, by our own frame layer.
//!
//! [`Driver`] is the task of one connection. It owns the socket and a connection state that knows no socket; each
//! request becomes an exchange that the driver polls. What is not about frames and windows is in `multiplexed`.

mod budget;
mod connection;
mod driver;
mod face;
mod farewell;
mod flow;
mod frame;
mod growth;
pub(super) mod hpack;
mod inbound;
mod outbound;
mod output;
mod priority;
mod serve;
mod settings;
mod stream;

pub use super::multiplexed::{Exchanges, Limits};
pub use driver::Driver;
pub use face::{End, Pending, Socket, Wait};
pub use frame::{Code, PREFACE, Violation};
pub use serve::serve;

#[cfg(test)]
pub(super) mod tests;
