//! A network of two: this machine and a client in a namespace of its own, joined by a veth pair with IPv4 and IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{self, Command};

use super::Output;
use super::namespace::{Namespace, add_address, ip};

/// Removed with its value, and everything in it with it.
#[derive(Debug)]
pub struct Net {
    /// Our end of the pair.
    outside: String,
    pub outside4: Ipv4Addr,
    pub outside6: Ipv6Addr,
    /// The client's addresses.
    pub inside4: Ipv4Addr,
    pub inside6: Ipv6Addr,
    client: Namespace,
}

impl Net {
    pub fn new() -> Self {
        let client = Namespace::new();
        let number = client.number();
        let pid = process::id();
        let third = third_and_second(number);
        let [high, low] = [(pid >> 16) as u16, (pid & 0xffff) as u16];
        let net = Self {
            outside: format!("{}o", client.name()),
            outside4: Ipv4Addr::new(198, third.0, third.1, 1),
            inside4: Ipv4Addr::new(198, third.0, third.1, 2),
            outside6: Ipv6Addr::new(0xfd0c, high, low, number, 0, 0, 0, 1),
            inside6: Ipv6Addr::new(0xfd0c, high, low, number, 0, 0, 0, 2),
            client,
        };
        net.plug();
        net
    }

    /// Lays the cable: makes the pair, with addresses at both ends.
    pub fn plug(&self) {
        let (outside, inside) = (&*self.outside, self.inside());
        let name = self.client.name();
        ip(&[
            "link", "add", outside, "type", "veth", "peer", "name", &inside, "netns", name,
        ]);
        for address in [IpAddr::from(self.outside4), self.outside6.into()] {
            add_address(&[], outside, address);
        }
        ip(&["link", "set", outside, "up"]);
        self.add_address(self.inside4.into());
        self.add_address(self.inside6.into());
        self.client.up(&inside);
    }

    /// Tears the cable out: deletes the pair.
    pub fn unplug(&self) {
        ip(&["link", "del", &self.outside]);
    }

    /// Our end of the pair: the interface to shield.
    pub fn interface(&self) -> &str {
        &self.outside
    }

    /// The client's end of the pair.
    pub fn inside(&self) -> String {
        format!("{}i", self.client.name())
    }

    /// One more address for the client: a neighbour on the same wire.
    pub fn add_address(&self, address: IpAddr) {
        self.client.add_address(&self.inside(), address);
    }

    /// A command to start in the namespace.
    pub fn command(&self, program: &str) -> Command {
        self.client.command(program)
    }

    /// Runs a program in the namespace to its end.
    pub fn exec(&self, program: &str, arguments: &[&str]) -> Output {
        Output::of(self.command(program).args(arguments), "util-linux")
    }

    /// Runs curl in the namespace.
    pub fn curl(&self, arguments: &[&str]) -> Output {
        let manners = ["--disable", "--noproxy", "*", "-sS", "--max-time", "20"];
        self.exec("curl", &[&manners, arguments].concat())
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // Before its namespace: a process still in there would keep the pair.
        let removal = ["link", "del", &self.outside];
        drop(Command::new("ip").args(removal).output());
    }
}

/// The middle of a /24 that nobody here uses, out of the range for benchmarks (RFC 2544): 198.18.0.0/15.
fn third_and_second(number: u16) -> (u8, u8) {
    let taken = Output::of(Command::new("ip").args(["-4", "-o", "addr"]), "iproute2").text();
    let start = process::id().wrapping_mul(37).wrapping_add(number.into());
    (0..512_u32)
        .map(|step| {
            let index = start.wrapping_add(step) % 512;
            (18 + (index / 256) as u8, (index % 256) as u8)
        })
        .find(|(second, third)| !taken.contains(&format!(" 198.{second}.{third}.")))
        .expect("one of 512 networks is free")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::path::Path;

    use super::*;
    use crate::support::{Folder, Nginx, RawClient};

    #[test]
    fn a_client_in_a_namespace_reaches_us_over_both_families() {
        let net = Net::new();
        for (outside, inside) in [
            (IpAddr::from(net.outside4), IpAddr::from(net.inside4)),
            (net.outside6.into(), net.inside6.into()),
        ] {
            let listener = TcpListener::bind((outside, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let host = if outside.is_ipv6() {
                format!("[{outside}]")
            } else {
                outside.to_string()
            };
            let url = format!("telnet://{host}:{port}");
            let client = std::thread::scope(|scope| {
                let client = scope.spawn(|| net.curl(&[&url]));
                let (stream, peer) = listener.accept().unwrap();
                assert_eq!(peer.ip(), inside);
                drop(stream);
                client.join().unwrap()
            });
            client.ok();
        }
    }

    #[test]
    fn a_neighbour_has_its_own_address() {
        let net = Net::new();
        let neighbour = Ipv4Addr::from(u32::from(net.inside4) + 1);
        net.add_address(neighbour.into());
        let answer = net.exec("ip", &["-4", "-o", "addr"]).ok().text();
        assert!(answer.contains(&format!(" {neighbour}/24 ")), "{answer}");
    }

    #[test]
    fn a_network_is_gone_with_its_value() {
        let net = Net::new();
        let interface = Path::new("/sys/class/net").join(net.interface());
        let name = Path::new("/run/netns").join(net.client.name());
        assert!(interface.exists() && name.exists());
        drop(net);
        assert!(!interface.exists() && !name.exists());
    }
}
