//! OpenClaw: everything that touches a socket, a file or a clock. Decisions are in `openclaw-core`.

pub mod exchange;
pub mod net;
pub mod shield;
pub mod snapshot;
pub mod telemetry;
pub mod time;
