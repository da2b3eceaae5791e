//! QUIC listeners (RFC 9000): quinn-proto's state machines, driven by one task for each UDP socket, of which every worker has its own.
//!
//! [`serve`] is that task. Datagrams reach the worker of their connection by the connection id: the kernel looks at it ([`attach`]), and
//! what came to the wrong worker, or is for a
//! process before this one, is handed on. What is spoken over a connection is an [`Application`].

mod admit;
mod connection;
mod connections;
mod driver;
mod elders;
mod face;
mod ids;
mod mates;
mod ready;
mod settings;
mod socket;
mod steer;
mod timers;
mod tokens;

pub use self::driver::serve;
pub use self::elders::{Elder, Elders, Inboxes, Younger, receive, way};
pub use self::face::{Application, End, Quic};
pub use self::ids::IdKey;
pub(super) use self::mates::Mates;
pub use self::mates::{Seat, Stray, seats};
pub use self::settings::{Legacy, Settings};
pub use self::steer::attach;

#[cfg(test)]
mod tests;
