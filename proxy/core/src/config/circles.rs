//! Listeners that forward bytes to themselves, be it by way of others: whatever came would go round for ever.

use std::net::{IpAddr, SocketAddr};

use super::reader::Section;
use super::tree::Place;
use super::{Complaint, Config, EndpointAddress, Listener, Mode};

/// Complains about endpoints that lead back to a listener that forwards to them. `places` are those of the upstreams.
pub(super) fn forbid(root: &Section<'_>, config: &Config, places: &[(String, Place)]) {
    for listener in config.listeners.iter().filter(|one| !one.mode.is_http()) {
        for index in listener.mode.upstreams() {
            let Some((upstream, (_, place))) = config.upstreams.get(index).zip(places.get(index))
            else {
                continue;
            };
            for (at, next) in steps(config, listener, index) {
                if !leads(config, next, listener) {
                    continue;
                }
                let complaint = format!(
                    "{at} is the address of listener `{}`, and what listener `{}` forwards there comes back to it for ever",
                    next.name, listener.name
                );
                let complaint = Complaint::new(complaint)
                    .hint("name the address of the service that the proxy stands before");
                let key = format!("upstream.{}.endpoints", upstream.name);
                root.reader.report(*place, &key, complaint);
            }
        }
    }
}

/// Whether what comes to the one listener comes to the other.
fn leads(config: &Config, from: &Listener, to: &Listener) -> bool {
    let mut seen: Vec<&str> = Vec::new();
    let mut next = vec![from];
    while let Some(listener) = next.pop() {
        if listener.name == to.name {
            return true;
        }
        if seen.contains(&&*listener.name) {
            continue;
        }
        seen.push(&listener.name);
        let upstreams = listener.mode.upstreams().into_iter();
        let steps = upstreams.flat_map(|index| steps(config, listener, index));
        next.extend(steps.map(|(_, listener)| listener));
    }
    false
}

/// The endpoints of an upstream that are listeners of ours, which take what this one forwards.
fn steps<'a>(
    config: &'a Config,
    listener: &Listener,
    upstream: usize,
) -> Vec<(SocketAddr, &'a Listener)> {
    let is_udp = listener.mode.is_udp();
    let upstream = config.upstreams.get(upstream);
    let endpoints = upstream.into_iter().flat_map(|one| &one.endpoints);
    let addresses = endpoints.filter_map(|endpoint| match endpoint.address {
        EndpointAddress::Ip(address) => Some(address),
        EndpointAddress::Name { .. } | EndpointAddress::Demo => None,
    });
    let ours = |address: SocketAddr| {
        let mut all = config.listeners.iter();
        all.find(|one| {
            let forwards = match one.mode {
                Mode::Http => false,
                Mode::Udp(_) => is_udp,
                Mode::Tcp(_) | Mode::Tls(_) => !is_udp,
            };
            forwards && one.bind.iter().any(|bound| is_at(*bound, address))
        })
    };
    addresses
        .filter_map(|address| Some((address, ours(address)?)))
        .collect()
}

/// Whether what is sent to the address arrives at the bound one, as far as can be told without asking the system.
fn is_at(bound: SocketAddr, address: SocketAddr) -> bool {
    let [have, want] = [bound, address].map(|one| one.ip().to_canonical());
    let is_here = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified();
    let is_any = have.is_unspecified() && is_here(want) && (have.is_ipv6() || want.is_ipv4());
    bound.port() == address.port() && bound.port() != 0 && (have == want || is_any)
}

#[cfg(test)]
mod tests {
    use crate::config::{NoFiles, Source, load};

    /// What is wrong with listeners (mode, bind, upstream) and upstreams (one endpoint each).
    fn told(listeners: &[(&str, &str, &str)], upstreams: &[(&str, &str)]) -> String {
        let listeners = listeners.iter().zip(0..).map(|((mode, bind, to), index)| {
            format!("[listener.l{index}]\nbind = \"{bind}\"\nmode = \"{mode}\"\nto = \"{to}\"\n")
        });
        let upstreams = upstreams
            .iter()
            .map(|(name, endpoint)| format!("[upstream.{name}]\nendpoints = \"{endpoint}\"\n"));
        let text: String = listeners.chain(upstreams).collect();
        let source = Source {
            name: "test.toml",
            text: &text,
            files: &NoFiles,
            variable: &|_| None,
        };
        load(&source).map_or_else(|problems| problems.to_string(), |_| String::new())
    }

    #[test]
    fn a_listener_that_forwards_to_itself_is_refused() {
        for (mode, bind, endpoint) in [
            ("udp", "127.0.0.1:53", "127.0.0.1:53"),
            ("udp", "0.0.0.0:53", "127.0.0.1:53"),
            ("udp", "[::]:53", "127.0.0.1:53"),
            ("udp", "[::]:53", "[::1]:53"),
            ("udp", "192.0.2.1:53", "192.0.2.1:53"),
            ("tcp", "127.0.0.1:53", "127.0.0.1:53"),
        ] {
            let told = told(&[(mode, bind, "a")], &[("a", endpoint)]);
            let expected = format!("{endpoint} is the address of listener `l0`");
            assert!(told.contains(&expected), "{mode} {bind}: {told}");
        }
        for (mode, bind, endpoint) in [
            ("udp", "127.0.0.1:53", "127.0.0.1:5353"),
            ("udp", "127.0.0.1:53", "127.0.0.2:53"),
            ("udp", "0.0.0.0:53", "192.0.2.1:53"),
            ("udp", "0.0.0.0:53", "[::1]:53"),
        ] {
            let told = told(&[(mode, bind, "a")], &[("a", endpoint)]);
            assert_eq!(told, "", "{mode} {bind} {endpoint}");
        }
    }

    #[test]
    fn listeners_that_forward_to_each_other_are_refused_and_chains_are_not() {
        let (one, two) = ("127.0.0.1:1", "127.0.0.1:2");
        let circle = told(
            &[("udp", one, "a"), ("udp", two, "b")],
            &[("a", two), ("b", one)],
        );
        assert_eq!(circle.matches("comes back to it for ever").count(), 2);
        let chain = [("a", two), ("b", "127.0.0.1:3")];
        assert_eq!(told(&[("udp", one, "a"), ("udp", two, "b")], &chain), "");
        // Another transport is another listener.
        let across = [("a", two), ("b", one)];
        assert_eq!(told(&[("udp", one, "a"), ("tcp", two, "b")], &across), "");
    }
}
