//! Two network namespaces with a cable between them, removed at the end: both ends have the same name and number.

use std::process::Command;

use serde_json::Value;

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

    /// What the client has sent and its end of the cable has dropped: its queue is short, and nobody may have had time to empty it.
    pub fn lost(&self) -> u64 {
        let mut ip = Command::new("ip");
        ip.args([
            "-n",
            &self.client,
            "-s",
            "-j",
            "link",
            "show",
            "dev",
            INTERFACE,
        ]);
        let links: Value = serde_json::from_slice(&ip.output().unwrap().stdout).unwrap();
        let tx = &links[0]["stats64"]["tx"];
        tx["dropped"].as_u64().unwrap()
    }

    /// Tears the cable out.
    pub fn unplug(&self) {
        ip(&["-n", &self.server, "link", "del", INTERFACE]);
    }
}
