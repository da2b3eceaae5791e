//! What the kernel program and user space both know: map layouts and names, how a frame is read, and the one function that decides
//! about it. Compiled for the BPF target it is the shield; compiled for the host it is the test oracle and the shield's stand-in at
//! `accept()` where there is no XDP. No I/O, no clock, no allocation: everything that differs between the two sides is behind
//! [`packet::Packet`] and [`decide::Tables`].
#![no_std]
#![warn(missing_docs)]
#![allow(
    clippy::inline_always,
    reason = "a call costs stack on the BPF target, whose frames share 512 bytes, and hides bounds from the verifier"
)]

#[cfg(test)]
extern crate std;

pub mod abi;
pub mod ban;
pub mod bucket;
pub mod chain;
pub mod cookie;
pub mod decide;
pub mod geo;
pub mod judgement;
pub mod maps;
pub mod packet;
pub mod ports;
pub mod rate;
pub mod sanity;
pub mod slot;
pub mod syn;
mod transport;
pub mod udp;
pub mod verdict;
pub mod words;
