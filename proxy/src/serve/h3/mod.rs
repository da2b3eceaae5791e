//! HTTP/3 (RFC 9114), server side, over a connection that somebody else moves packets for.
//!
//! [`Connection`] is what the driver of a UDP socket holds beside each of its QUIC connections:
//!
//! 1. It hands over every [`quinn_proto::StreamEvent`] by [`Connection::event`]. Request heads are read there; nothing begins yet, so
//!    that a request which is reset in the same turn never reaches an endpoint.
//! 2. It calls [`Connection::poll`] after the events of a turn and whenever the waker that it passed was woken. Exchanges run there,
//!    and write to the streams of QUIC themselves; what they wrote is to be sent afterwards.
//! 3. [`Ended`] says what to close the connection with. Whoever drops a `Connection` before that cuts its exchanges off.
//!
//! Payload of requests stays in QUIC, and uses up its windows, until an exchange asks for it.

mod code;
mod connection;
mod control;
mod driver;
mod face;
mod frame;
mod inbound;
mod outbound;
mod qpack;
mod request;
mod serve;
mod settings;
mod stream;
mod unidirectional;
mod varint;

pub use super::multiplexed::{Exchanges, Limits};
pub use code::{Code, Violation};
pub use driver::Driver;
pub use face::{End, Pending, Quic, Wait};
pub use serve::{Connection, Ended};

#[cfg(test)]
mod tests;
