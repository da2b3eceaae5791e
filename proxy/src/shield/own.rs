//! What can never be blocked, read from the system: the addresses of this host and its default gateways; and from the
//! configuration: trusted proxies. `/proc` shows the network namespace of the process, which is the one that it serves.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use openclaw_core::config::{Config, Prefix};

use super::store::Guard;

/// Everything that is protected now.
pub(super) fn guards(config: &Config) -> Vec<Guard> {
    // A kernel without one of these files has no addresses of that family.
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let mut guards = host();
    guards.extend(addresses4(&read("/proc/net/fib_trie")));
    guards.extend(addresses6(&read("/proc/net/if_inet6")));
    guards.extend(gateways4(&read("/proc/net/route")));
    guards.extend(gateways6(&read("/proc/net/ipv6_route")));
    guards.extend(neighbours(config));
    each_once(guards)
}

/// What is protected on any machine.
pub(super) fn of_config(config: &Config) -> Vec<Guard> {
    each_once(host().into_iter().chain(neighbours(config)).collect())
}

fn host() -> Vec<Guard> {
    let own = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    own.map(|address| guard(address, "is this host itself".into()))
        .to_vec()
}

/// Those who speak for others.
fn neighbours(config: &Config) -> impl Iterator<Item = Guard> {
    config.listeners.iter().flat_map(|listener| {
        let trusted = listener.trusted_proxies.iter().map(|prefix| Guard {
            prefix: *prefix,
            why: format!("is a trusted proxy of the listener `{}`", listener.name),
        });
        let announcing = listener.proxy_protocol.iter().map(|prefix| Guard {
            prefix: *prefix,
            why: format!("announces the clients of the listener `{}`", listener.name),
        });
        trusted.chain(announcing)
    })
}

/// The first reason that is known for a range is the one that is told.
fn each_once(mut guards: Vec<Guard>) -> Vec<Guard> {
    let mut seen = std::collections::HashSet::new();
    guards.retain(|guard| seen.insert(guard.prefix));
    guards
}

/// The addresses of this host.
pub(super) fn addresses() -> Vec<IpAddr> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let mut guards = addresses4(&read("/proc/net/fib_trie"));
    guards.extend(addresses6(&read("/proc/net/if_inet6")));
    guards
        .into_iter()
        .map(|guard| guard.prefix.address)
        .collect()
}

fn guard(address: IpAddr, why: String) -> Guard {
    let length = if address.is_ipv4() { 32 } else { 128 };
    Guard {
        prefix: Prefix { address, length },
        why,
    }
}

/// Local addresses out of the kernel's routing trie: a leaf `|-- ADDRESS` followed by `/32 host LOCAL`. The rest of 127.0.0.0/8 is
/// there only as a range, and may be blocked.
fn addresses4(trie: &str) -> Vec<Guard> {
    let mut leaf = None;
    let mut guards = Vec::new();
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = leaf
        {
            guards.push(guard(address.into(), "is an address of this host".into()));
        }
    }
    guards
}

/// `ADDRESS index length scope flags NAME`, numbers in hexadecimal.
fn addresses6(table: &str) -> Vec<Guard> {
    let guards = table.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let address = u128::from_str_radix(fields.next()?, 16).ok()?;
        let interface = fields.last()?;
        Some(guard(
            Ipv6Addr::from_bits(address).into(),
            format!("is an address of this host ({interface})"),
        ))
    });
    guards.collect()
}

/// `NAME destination gateway flags … mask …`, addresses in hexadecimal in the byte order of the host.
fn gateways4(table: &str) -> Vec<Guard> {
    let guards = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [interface, destination, gateway, _, _, _, _, mask, ..] = fields.as_slice() else {
            return None;
        };
        let number = |text: &str| u32::from_str_radix(text, 16).ok();
        let gateway = number(gateway).filter(|gateway| *gateway != 0)?;
        let is_default = number(destination)? == 0 && number(mask)? == 0;
        let address = Ipv4Addr::from(gateway.to_ne_bytes());
        is_default.then(|| {
            guard(
                address.into(),
                format!("is the default gateway ({interface})"),
            )
        })
    });
    guards.collect()
}

/// `destination length source length gateway … NAME`, addresses in hexadecimal.
fn gateways6(table: &str) -> Vec<Guard> {
    let guards = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [destination, length, _, _, gateway, .., interface] = fields.as_slice() else {
            return None;
        };
        let number = |text: &str| u128::from_str_radix(text, 16).ok();
        let gateway = number(gateway).filter(|gateway| *gateway != 0)?;
        let is_default = number(destination)? == 0 && number(length)? == 0;
        is_default.then(|| {
            guard(
                Ipv6Addr::from_bits(gateway).into(),
                format!("is the default gateway ({interface})"),
            )
        })
    });
    guards.collect()
}

#[cfg(test)]
mod tests {
    use super::super::prefix::show;
    use super::*;

    fn told(guards: &[Guard]) -> Vec<String> {
        guards
            .iter()
            .map(|guard| format!("{} {}", show(&guard.prefix), guard.why))
            .collect()
    }

    #[test]
    fn local_addresses_are_leaves_of_the_trie() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\nLocal:\n     +-- 127.0.0.0/8 2 0 2\n        |-- 127.0.0.0\n           /8 host LOCAL\n        |-- 127.0.0.1\n           /32 host LOCAL\n        |-- 192.0.2.2\n           /32 host LOCAL\n        |-- 192.0.2.255\n           /32 link BROADCAST\n";
        assert_eq!(
            told(&addresses4(trie)),
            [
                "127.0.0.1 is an address of this host",
                "192.0.2.2 is an address of this host"
            ]
        );
        let table = "fd000000000000000000000000000002 02 40 00 80     eth0\n00000000000000000000000000000001 01 80 10 80       lo\n";
        assert_eq!(
            told(&addresses6(table)),
            [
                "fd00::2 is an address of this host (eth0)",
                "::1 is an address of this host (lo)"
            ]
        );
        assert_eq!(told(&addresses6("nonsense\n\n")), [""; 0]);
    }

    #[test]
    fn only_default_routes_have_the_gateway() {
        let bytes = |address: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(address));
        let (zero, gateway, network) = (bytes([0; 4]), bytes([192, 0, 2, 1]), bytes([10, 0, 0, 0]));
        let table = format!(
            "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
             eth0 {zero} {gateway} 0003 0 0 0 {zero} 0 0 0\n\
             eth0 {network} {} 0003 0 0 0 {} 0 0 0\n\
             eth0 {network} {zero} 0001 0 0 0 {} 0 0 0\n",
            bytes([192, 0, 2, 9]),
            bytes([255, 0, 0, 0]),
            bytes([255, 0, 0, 0]),
        );
        assert_eq!(
            told(&gateways4(&table)),
            ["192.0.2.1 is the default gateway (eth0)"]
        );
        let zero = "0".repeat(32);
        let table = format!(
            "{zero} 00 {zero} 00 fd000000000000000000000000000001 00000400 00000002 00000000 00000003     eth0\n\
             fd000000000000000000000000000000 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001     eth0\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n"
        );
        assert_eq!(
            told(&gateways6(&table)),
            ["fd00::1 is the default gateway (eth0)"]
        );
    }
}
