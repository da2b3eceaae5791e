//! OpenClaw: everything that touches a socket, a file or a clock. Decisions are in `openclaw-core`.

pub mod cache;
pub mod cli;
pub mod coding;
pub mod control;
pub mod exchange;
pub mod files;
pub mod filter;
pub mod listener;
pub mod net;
pub mod privilege;
pub mod relay;
pub mod serve;
pub mod shield;
pub mod snapshot;
pub mod telemetry;
pub mod time;
pub mod tls;
pub mod upstream;
pub mod worker;
