//! The control plane of the shield.

pub mod kernel;
