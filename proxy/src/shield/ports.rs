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
        let addresses = config.listeners.iter().flat_map(|listener| &listener.bind);
        let ports = addresses.map(std::net::SocketAddr::port);
        Self {
            tcp: ports.filter(|port| *port != 0).collect(),
            ..Self::default()
        }
    }

    /// Writes them to the kernel.
    pub(super) fn write(&self, maps: &Maps) -> Result<(), KernelError> {
        maps.set_ports(Set::Tcp, self.tcp.iter().copied())?;
        maps.set_ports(Set::Quic, self.quic.iter().copied())?;
        maps.set_ports(Set::Udp, self.udp.iter().copied())
    }
}
