//! Which ports are protected: those that the proxy listens on.

use std::collections::BTreeSet;

use openclaw_common::ports::Set;
use openclaw_core::config::Config;

use super::kernel::{KernelError, Maps};

/// Protected ports by protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ports {
    pub(super) tcp: BTreeSet<u16>,
    pub(super) udp: BTreeSet<u16>,
    /// Those of `udp` that speak QUIC.
    pub(super) quic: BTreeSet<u16>,
}

impl Ports {
    /// The ports of the listeners. A port that the kernel has yet to choose is none.
    pub(super) fn of(config: &Config) -> Self {
        let mut ports = Self::default();
        for listener in &config.listeners {
            let bound = listener.bind.iter().map(std::net::SocketAddr::port);
            for port in bound.filter(|port| *port != 0) {
                ports.tcp.insert(port);
                if listener.protocols.h3 {
                    ports.udp.insert(port);
                    ports.quic.insert(port);
                }
            }
        }
        ports
    }

    /// Writes them to the kernel.
    pub(super) fn write(&self, maps: &Maps) -> Result<(), KernelError> {
        maps.set_ports(Set::Tcp, self.tcp.iter().copied())?;
        maps.set_ports(Set::Quic, self.quic.iter().copied())?;
        maps.set_ports(Set::Udp, self.udp.iter().copied())
    }
}
