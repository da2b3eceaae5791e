//! The proxy.

pub mod shield;
