//! Every decision of the proxy, as functions of bytes and time.

pub mod balance;
pub mod certificates;
pub mod config;
pub mod country;
pub mod message;
pub mod pace;
pub mod reason;
pub mod route;
pub mod trace;
