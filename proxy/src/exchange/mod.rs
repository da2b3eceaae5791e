//! The life of one request, from its checked head to the access log.

pub mod wire;
