//! The PROXY protocol, versions 1 and 2: how a proxy tells whose connection it hands on.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::net::SocketAddr;

pub use read::{Announced, LONGEST, Malformed, read};
pub use write::write;

/// Which form of it is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A line of text.
    V1,
    /// Octets.
    V2,
}

/// Both ends of a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The client. Port 0 where it is not known.
    pub source: SocketAddr,
    /// Where it connected to.
    pub destination: SocketAddr,
}

/// How version 2 begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
