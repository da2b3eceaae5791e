//! The stage for every test: the proxy as a process, origins, clients and networks around it.
//!
//! Nothing here skips. What is missing on the machine fails the test with a sentence that says what to install.
//! Every wait has a deadline, every process and network is gone when its value is dropped.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::missing_panics_doc,
    reason = "each subject takes from the stage what it needs"
)]

mod believer;
mod certificate;
mod child;
mod client;
mod curl;
mod dns;
mod load;
mod manager;
mod mmdb;
mod namespace;
mod net;
mod nginx;
mod origin;
pub mod otlp;
mod place;
mod proxy;
mod registry;
mod streams;
mod wire;

use std::time::{Duration, Instant};

pub use certificate::{Authority, certificate, server};
pub use child::{Child, Said};
pub use client::{RawClient, believing};
pub use curl::{Output, curl};
pub use dns::Dns;
pub use load::Load;
pub use manager::{Manager, Sockets};
pub use mmdb::{Shape, mmdb};
pub use namespace::{Namespace, inside, ip};
pub use net::Net;
pub use nginx::Nginx;
pub use origin::{Handshake, Origin, Peer};
pub use place::{Folder, free_port};
pub use proxy::{Proxy, openclaw};
pub use registry::{Consul, Eureka, Kubernetes};
pub use streams::{Call, StreamOrigin};
pub use wire::{Message, Wire};

/// How long a test waits for what should come at once, on a machine that has other things to do.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Waits until there is something.
pub fn eventually<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until something is so.
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    eventually(what, || is_so().then_some(()));
}
