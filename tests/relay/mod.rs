//! Listeners that forward bytes.

mod explain;
mod forged;
mod quic;
mod secured;
mod tcp;
mod tls;
mod udp;

use std::net::SocketAddr;

use crate::control::address;
use crate::support::{Proxy, RawClient};

/// The proxy with a listener that forwards to these addresses.
struct Relay {
    proxy: Proxy,
    at: SocketAddr,
}

impl Relay {
    /// `listener` and `upstream` are keys of each, beside the addresses.
    fn start(mode: &str, endpoints: &[SocketAddr], listener: &str, upstream: &str) -> Self {
        let proxy = Proxy::start(&config(mode, endpoints, listener, upstream));
        Self {
            at: address(&proxy, "db"),
            proxy,
        }
    }

    /// Where TCP goes with nothing else said.
    fn tcp(endpoints: &[SocketAddr]) -> Self {
        Self::start("tcp", endpoints, "", "")
    }

    fn client(&self) -> RawClient {
        RawClient::connect(self.at)
    }

    /// The value of a line of the metrics page.
    fn metric(&self, line: &str) -> Option<f64> {
        let request = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let page = RawClient::connect(self.proxy.metrics())
            .exchange(request)
            .text();
        let mut lines = page.lines();
        let value = lines.find_map(|have| have.strip_prefix(line))?;
        value.trim().parse().ok()
    }
}

fn config(mode: &str, endpoints: &[SocketAddr], listener: &str, upstream: &str) -> String {
    let endpoints: Vec<String> = endpoints.iter().map(|one| format!("\"{one}\"")).collect();
    format!(
        "[listener.db]\nbind = [\"127.0.0.1:0\"]\nmode = \"{mode}\"\nto = \"app\"\n{listener}\n\
         [upstream.app]\nendpoints = [{}]\n{upstream}\n",
        endpoints.join(", ")
    )
}
