//! Every decision of the proxy, as functions of bytes and time.
#![warn(missing_docs)]

pub mod adapt;
pub mod assay;
pub mod autoban;
pub mod balance;
pub mod caching;
pub mod certificates;
pub mod coding;
#[expect(
    missing_docs,
    reason = "a field is documented with its key, in the registry that makes the reference"
)]
pub mod config;
pub mod country;
pub mod discovery;
pub mod health;
pub mod hello;
pub mod limit;
pub mod message;
pub mod otlp;
pub mod overlay;
pub mod pace;
pub mod proxy_protocol;
pub mod quic;
pub mod reason;
pub mod redact;
pub mod route;
pub mod template;
pub mod tokens;
pub mod trace;
pub mod turns;
