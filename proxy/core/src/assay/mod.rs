//! What becomes of a request or a packet under a configuration, told without a socket, a file or a clock: for `explain`, for the tests
//! inside a configuration, for the comparison of two configurations and of one with an access log.
//!
//! [`World`] asks the same router, splits, templates and head parser that serve requests. What lists and countries say comes through
//! [`Gate`], as they are read from files.

mod asked;
mod diff;
mod expect;
mod fate;
mod gate;
mod packet;
mod parts;
mod replay;
#[cfg(test)]
mod tests;
mod world;

pub use asked::{Asked, Wire};
pub use diff::{Change, Difference, Kind, Shifted, Side, Turned, difference};
pub use expect::{Unmet, unmet};
pub use fate::{Fate, Share, Verdict};
pub use gate::{Gate, Open};
pub use packet::Packet;
pub use parts::CachePart;
pub use replay::{Logged, Replayed, is_ecs, replay};
pub use world::{Examined, Line, Other, World};
