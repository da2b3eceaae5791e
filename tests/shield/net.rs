//! Two network namespaces with a cable between them, removed at the end: both ends have the same name and number.

use crate::support::{Namespace, ip};

pub use crate::support::inside;

pub const INTERFACE: &str = "oc0";
pub const SERVER4: &str = "10.77.0.1";
pub const CLIENT4: &str = "10.77.0.2";
/// A second address of the client.
pub const OTHER4: &str = "10.77.0.3";
pub const SERVER6: &str = "fd77::1";
pub const CLIENT6: &str = "fd77::2";

/// The namespaces of one test.
pub struct Net {
    pub server: String,
    pub client: String,
    namespaces: [Namespace; 2],
}

impl Net {
    pub fn new() -> Self {
        let namespaces = [Namespace::new(), Namespace::new()];
        let [server, client] = &namespaces;
        let net = Self {
            server: server.name().to_owned(),
            client: client.name().to_owned(),
            namespaces,
        };
        net.plug();
        net
    }

    /// Lays the cable.
    pub fn plug(&self) {
        let [server, client] = &self.namespaces;
        let (at_server, at_client) = (server.name(), client.name());
        ip(&[
            "-n", at_server, "link", "add", INTERFACE, "type", "veth", "peer", "name", INTERFACE,
            "netns", at_client,
        ]);
        for address in [SERVER4, SERVER6] {
            server.add_address(INTERFACE, address.parse().unwrap());
        }
        for address in [CLIENT4, OTHER4, CLIENT6] {
            client.add_address(INTERFACE, address.parse().unwrap());
        }
        for namespace in &self.namespaces {
            namespace.up(INTERFACE);
        }
    }

    /// Sets the MTU of both ends.
    pub fn set_mtu(&self, mtu: u32) {
        for namespace in &self.namespaces {
            let mtu = mtu.to_string();
            ip(&[
                "-n",
                namespace.name(),
                "link",
                "set",
                INTERFACE,
                "mtu",
                &mtu,
            ]);
        }
    }

    /// Tears the cable out.
    pub fn unplug(&self) {
        ip(&["-n", &self.server, "link", "del", INTERFACE]);
    }
}
