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
                if listener.mode.is_udp() {
                    ports.udp.insert(port);
                    continue;
                }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use openclaw_core::config::{self, NoFiles, Source};

    use super::*;

    #[test]
    fn ports_of_datagrams_are_protected_for_udp() {
        let source = Source {
            name: "test",
            text: "[listener.a]\nbind = [\"127.0.0.1:80\"]\n\
                   [listener.b]\nbind = [\"127.0.0.1:443\", \"[::1]:8443\"]\n\
                   protocols = [\"h2\", \"h3\"]\ntls = { self_signed = [\"a.test\"] }\n\
                   [listener.c]\nbind = [\"127.0.0.1:53\"]\nmode = \"udp\"\nto = \"d\"\n\
                   [upstream.d]\nendpoints = [\"127.0.0.1:54\"]\n\
                   [[route]]\nname = \"all\"\nrespond = { body = \"x\" }\n",
            files: &NoFiles,
            variable: &|_| None,
        };
        let ports = Ports::of(&config::load(&source).unwrap().config);
        assert_eq!(ports.tcp, BTreeSet::from([80, 443, 8443]));
        assert_eq!(ports.udp, BTreeSet::from([53, 443, 8443]));
        assert_eq!(ports.quic, BTreeSet::from([443, 8443]));
    }
}
